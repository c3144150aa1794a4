"""The shipped sentiment data and its loader."""

import fnmatch
import gzip
import io
import re
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trueness.datasets import load_sentiment, make_sentiment
from trueness.datasets.sentiment import CORPORA, COUNTS

DATA_FILE = resources.files("trueness.datasets").joinpath("sentiment.csv.gz")


@pytest.fixture(scope="module")
def everything():
    return load_sentiment()


@pytest.fixture(scope="module")
def raw_file():
    return pd.read_csv(io.BytesIO(DATA_FILE.read_bytes()), compression="gzip", dtype=str)


# The shipped data


@pytest.mark.parametrize(
    ("corpus", "rows"),
    [("tweets", 4200), ("editorials", 5190), ("movies", 10605), ("products", 3708)],
)
def test_row_counts_are_those_of_the_publication(corpus, rows):
    sample = load_sentiment(corpus)
    assert len(sample.frame) == len(sample.ratings) == rows
    assert set(sample.frame["corpus"]) == {corpus}


def test_default_keeps_all_rows_under_a_clean_index(everything):
    assert everything.frame.index.equals(pd.RangeIndex(23703))
    assert tuple(everything.frame["corpus"].unique()) == CORPORA


def test_several_corpora_keep_the_order_of_the_file(everything):
    sample = load_sentiment(["products", "tweets", "products"])
    chosen = everything.frame["corpus"].isin(["tweets", "products"])
    expected = everything.frame[chosen].reset_index(drop=True)
    pd.testing.assert_frame_equal(sample.frame, expected)
    np.testing.assert_array_equal(sample.ratings, everything.ratings[chosen])


def test_bunch_names_columns_that_exist(everything):
    frame = everything.frame
    assert everything.target_name == "rating"
    assert everything.surrogate_names == ["vader", "textblob"]
    named = [everything.target_name, *everything.surrogate_names, *everything.feature_names]
    identifiers = ["id", "corpus", "group", "position", "n_ratings"]
    assert sorted([*named, *identifiers]) == sorted(frame.columns)
    assert all(pd.api.types.is_numeric_dtype(frame[name]) for name in named)


def test_rating_is_the_mean_of_the_individual_ratings(everything):
    # Six decimals are stored.
    means = np.nanmean(everything.ratings, axis=1)
    np.testing.assert_allclose(everything.frame["rating"], means, rtol=0, atol=5.1e-7)


def test_ratings_are_padded_to_the_right_only(everything):
    given = ~np.isnan(everything.ratings)
    n_ratings = everything.frame["n_ratings"].to_numpy()
    np.testing.assert_array_equal(given.sum(axis=1), n_ratings)
    assert (given == (np.arange(given.shape[1]) < n_ratings[:, None])).all()
    assert set(np.unique(everything.ratings[given])) == set(range(-4, 5))


def test_number_of_ratings_per_text(everything):
    spans = everything.frame.groupby("corpus")["n_ratings"].agg(["min", "max"])
    assert spans.loc["tweets"].tolist() == [20, 99]
    assert spans.loc["editorials"].tolist() == spans.loc["products"].tolist() == [20, 20]
    assert spans.loc["movies"].tolist() == [15, 29]
    assert load_sentiment("movies").ratings.shape[1] == 29


def test_values_stay_in_their_ranges(everything):
    frame = everything.frame
    assert frame["rating"].between(-4, 4).all()
    assert frame[everything.surrogate_names].abs().max().max() <= 1
    assert (frame[everything.surrogate_names].min() < -0.9).all()
    assert (frame[everything.surrogate_names].max() > 0.9).all()
    assert (frame[everything.feature_names].drop(columns="n_chars").min() == 0).all()
    assert frame["n_chars"].min() == 1
    assert not frame.drop(columns="position").isna().any(axis=None)
    assert (frame["n_letters"] <= frame["n_chars"]).all()
    assert (frame["n_words"] <= frame["n_letters"]).all()


def test_derived_features_follow_from_the_counts(everything):
    frame = everything.frame
    worded = frame[frame["n_words"] > 0]
    assert len(frame) - len(worded) == 8
    np.testing.assert_allclose(np.exp(worded["log_words"]), worded["n_words"])
    np.testing.assert_allclose(worded["word_length"] * worded["n_words"], worded["n_letters"])
    wordless = frame.loc[frame["n_words"] == 0, ["log_words", "word_length"]]
    assert (wordless == 0).all(axis=None)


def test_corpora_have_their_documented_peculiarities(everything):
    totals = everything.frame.groupby("corpus")[list(COUNTS)].sum()
    assert totals.loc["products", "capitals"] == 0
    assert (totals.loc[["editorials", "movies", "products"], "mentions"] == 0).all()
    assert (totals.drop(columns=["mentions", "links", "hashtags", "capitals"]) > 0).all(axis=None)


def test_groups_are_documents_or_families_of_tweets(everything):
    frame = everything.frame
    groups = frame.groupby("corpus")["group"].nunique()
    assert groups["editorials"] == 498
    assert groups["products"] == 300
    assert groups["movies"] == 10605
    assert frame["group"].nunique() == groups.sum()
    tweets = frame[frame["corpus"] == "tweets"]
    families = tweets[tweets.duplicated("group", keep=False)]
    assert len(families) == 200
    assert families["group"].nunique() == 30
    # Six to ten variations of each, and all of them from the round with many raters.
    assert families["group"].value_counts().between(6, 11).all()
    assert families["n_ratings"].min() > 90
    # Variations of punctuation and capitals keep the sign of the sentiment.
    assert families.groupby("group")["rating"].agg(lambda r: len(set(np.sign(r)))).eq(1).all()


def test_positions_number_the_sentences_of_a_document(everything):
    frame = everything.frame
    placed = frame["corpus"].isin(["editorials", "products"])
    assert (frame["position"].notna() == placed).all()
    documents = frame[placed]
    rebuilt = (
        documents["group"].str.split("-").str[1] + "_" + documents["position"].map("{:.0f}".format)
    )
    assert (rebuilt == documents["id"]).all()
    assert documents.groupby("group")["position"].is_monotonic_increasing.all()
    assert not frame.duplicated(["corpus", "id"]).any()


@pytest.mark.parametrize(
    ("corpus", "vader", "textblob"),
    [
        ("tweets", (0.865, 0.885), (0.68, 0.72)),
        ("editorials", (0.48, 0.52), (0.28, 0.32)),
        ("movies", (0.41, 0.45), (0.39, 0.43)),
        ("products", (0.57, 0.61), (0.49, 0.53)),
    ],
)
def test_surrogates_follow_the_ratings_as_closely_as_known(corpus, vader, textblob):
    frame = load_sentiment(corpus).frame
    for surrogate, (low, high) in {"vader": vader, "textblob": textblob}.items():
        assert low < frame["rating"].corr(frame[surrogate]) < high


def shared_rater_correlation(sample, first, second):
    """Correlate the residual ratings that stand in the same column of two rows."""
    residuals = sample.ratings - sample.frame[["rating"]].to_numpy()
    x, y = residuals[first].ravel(), residuals[second].ravel()
    both = ~np.isnan(x) & ~np.isnan(y)
    return np.corrcoef(x[both], y[both])[0, 1]


def test_order_of_ratings_has_meaning_within_batches_of_films_only():
    movies = load_sentiment("movies")
    batch = (movies.frame["id"].astype(int).to_numpy() - 1) // 30
    row = np.arange(len(batch) - 1)
    same = batch[row] == batch[row + 1]
    assert 0.3 < shared_rater_correlation(movies, row[same], row[same] + 1) < 0.4
    assert abs(shared_rater_correlation(movies, row[~same], row[~same] + 1)) < 0.05
    for corpus in ["tweets", "editorials", "products"]:
        other = load_sentiment(corpus)
        row = np.arange(len(other.frame) - 1)
        assert abs(shared_rater_correlation(other, row, row + 1)) < 0.02


def test_description_tells_source_licence_and_true_counts(everything):
    description = everything.DESCR
    assert "https://doi.org/10.1609/icwsm.v8i1.14550" in description
    assert "Copyright (c) 2016 C.J. Hutto" in description
    for corpus in CORPORA:
        rows = everything.frame[everything.frame["corpus"] == corpus]
        (line,) = re.findall(rf"^{corpus} +\d+ .*$", description, flags=re.MULTILINE)
        _, texts, groups, _, vader, textblob = line.split()
        assert (int(texts), int(groups)) == (len(rows), rows["group"].nunique())
        found = rows[["rating", "vader", "textblob"]].corr()["rating"]
        assert (float(vader), float(textblob)) == (
            pytest.approx(found["vader"], abs=5.1e-4),
            pytest.approx(found["textblob"], abs=5.1e-4),
        )
    documented = [*everything.frame.columns]
    assert [name for name in documented if not re.search(rf"\b{name}\b", description)] == []


def test_description_does_not_depend_on_the_corpus(everything):
    assert load_sentiment("movies").DESCR == everything.DESCR


@pytest.mark.parametrize(
    ("corpus", "nearest"),
    [("blogs", "movies"), ("tweet", "tweets"), (["movies", "Editorial"], "editorials")],
)
def test_unknown_corpus_names_the_choices_and_the_nearest(corpus, nearest):
    with pytest.raises(ValueError, match=f"The nearest is '{nearest}'") as caught:
        load_sentiment(corpus)
    assert all(repr(name) in str(caught.value) for name in CORPORA)


def test_empty_choice_is_refused():
    with pytest.raises(ValueError, match="`corpus` is empty"):
        load_sentiment([])


def test_loading_twice_gives_independent_copies(everything):
    other = load_sentiment()
    other.frame.loc[0, "rating"] = 99.0
    other.feature_names.clear()
    again = load_sentiment()
    pd.testing.assert_frame_equal(again.frame, everything.frame)
    assert again.feature_names == everything.feature_names


# The shipped file


def test_file_is_small_package_data():
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["trueness.datasets"]
    assert any(fnmatch.fnmatch("sentiment.csv.gz", pattern) for pattern in patterns)
    assert 400_000 < len(DATA_FILE.read_bytes()) < 700_000


def test_file_holds_no_text(raw_file):
    patterns = {
        "id": r"\d+(_\d+)?",
        "corpus": "|".join(CORPORA),
        "group": r"\d+",
        "ratings": "[0-8]{15,99}",
    }
    for name in raw_file:
        pattern = patterns.get(name, r"-?\d+(\.\d{1,6})?")
        assert raw_file[name].dropna().str.fullmatch(pattern).all(), name


def test_file_is_what_the_writer_makes_of_its_content(raw_file):
    content = DATA_FILE.read_bytes()
    written = make_sentiment.to_csv_gz(raw_file)
    # Other builds of zlib may compress otherwise: compare the header and what is inside.
    assert content[:10] == written[:10]
    assert gzip.decompress(content) == gzip.decompress(written)
