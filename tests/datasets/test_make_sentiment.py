"""The script that makes the sentiment data, on made-up texts."""

import gzip
import io
import itertools
import tarfile

import numpy as np
import pandas as pd
import pytest

from trueness.datasets import make_sentiment
from trueness.datasets.sentiment import COUNTS, decode_ratings, read_texts


def test_features_cover_the_columns_in_order():
    assert tuple(make_sentiment.text_features("Any text")) == COUNTS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("!", {"n_chars": 1, "exclamations": 1}),
        (
            "We can't go.",
            {
                "n_words": 3,
                "n_chars": 12,
                "n_letters": 8,
                "negations": 1,
                "first_person_plural": 1,
            },
        ),
        (
            "NOT what I paid 1,299.50 for; but MORE than you'd think?!",
            {
                "n_words": 10,
                "n_chars": 57,
                "n_letters": 35,
                "exclamations": 1,
                "questions": 1,
                "capitals": 2,
                "numbers": 1,
                "negations": 1,
                "contrasts": 1,
                "comparisons": 2,
                "first_person": 1,
                "second_person": 1,
            },
        ),
        (
            "@some_one2 it should rain: http://x.org/1?a=b! #wet22 mp3 <3",
            {
                "n_words": 5,
                "n_chars": 60,
                "n_letters": 17,
                "exclamations": 1,
                "modals": 1,
                "mentions": 1,
                "links": 1,
                "hashtags": 1,
            },
        ),
    ],
)
def test_features_of_made_up_texts(text, expected):
    counts = make_sentiment.text_features(text)
    assert {name: count for name, count in counts.items() if count} == expected


@pytest.mark.parametrize("negation", ["doesn't", "doesn’t", "doesnt", "doesn t", "Doesn' t", "not"])
def test_every_spelling_of_a_negation_counts_once(negation):
    counts = make_sentiment.text_features(f"it {negation} work")
    assert (counts["negations"], counts["n_words"]) == (1, 3)


def test_ratings_survive_encoding_and_decoding():
    rng = np.random.default_rng(20140601)
    drawn = [rng.integers(-4, 5, size=n).tolist() for n in rng.integers(1, 100, size=50)]
    drawn.append(list(range(-4, 5)))
    cells = pd.Series(
        [make_sentiment.encode_ratings(make_sentiment.parse_ratings(str(r))) for r in drawn]
    )
    decoded = decode_ratings(cells)
    assert decoded.shape == (51, max(map(len, drawn)))
    for row, ratings in zip(decoded, drawn, strict=True):
        np.testing.assert_array_equal(row[: len(ratings)], ratings)
        assert np.isnan(row[len(ratings) :]).all()


@pytest.mark.parametrize("cell", ["[5]", "[-5, 0]", "[0.5]", "[]", "3", "['1']"])
def test_cells_that_are_no_ratings_are_refused(cell):
    with pytest.raises(ValueError, match="whole ratings from -4 to 4"):
        make_sentiment.parse_ratings(cell)


# A source distribution shaped like the real one

FAKE_ANALYZER = """
from pathlib import Path

LEXICON = Path(__file__).with_name("vader_lexicon.txt")


class SentimentIntensityAnalyzer:
    def __init__(self):
        pairs = [line.split("\\t") for line in LEXICON.read_text().splitlines()]
        self.valence = {word: float(score) for word, score in pairs}

    def polarity_scores(self, text):
        return {"compound": sum(self.valence.get(word, 0.0) for word in text.split())}
"""

# Identifier, ratings, text: the two rounds of tweets, an accent, an entity, a row out of order.
MADE_UP = {
    "tweets": [
        ("1", [3, 3, 2], "good sun &lt;3"),
        ("2", [-1, -2, -2], "bad rain today"),
        ("3", [0, 0], "walking home"),
        ("4", [-3, -3, -4], "BAD rain today!"),
        ("5", [1, 0], "good enough"),
    ],
    "nytEditorialSnippets": [("1_1", [0, 1], "A vote."), ("2_1", [-1, 0], "No vote.")],
    "movieReviewSnippets": [("1", [4, 4], "good café noir")],
    "amazonReviewSnippets": [
        ("10_2", [-4, 0], "bad & late"),
        ("9_1", [2, 1], "good\x85 fit"),
        ("10_1", [2, 2], "good"),
    ],
}
PRINTED_ELSEWHERE = {("tweets", "4"): -2.5}


def add_member(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def made_up_corpora():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        add_member(archive, "hutto_ICWSM_2014/vaderSentiment.py", b"print 'another version'")
        for stem, rows in MADE_UP.items():
            truth, raw = "", "\ufeff" if stem.startswith("amazon") else ""
            for name, ratings, text in rows:
                mean = PRINTED_ELSEWHERE.get((stem, name), np.mean(ratings))
                truth += f"{name}\t{mean:.9f}\t{text}\r\n"
            for name, ratings, _ in sorted(rows):
                raw += f"{name}\t{np.mean(ratings):.9f}\t{np.std(ratings):.5f}\t{ratings}\r\n"
            folder = f"hutto_ICWSM_2014/{stem}"
            add_member(archive, f"{folder}_GroundTruth.txt", truth.encode())
            add_member(archive, f"{folder}_anonDataRatings.txt", raw.encode())
    return content.getvalue()


@pytest.fixture
def sdist(tmp_path):
    path = tmp_path / "vaderSentiment-3.3.2.tar.gz"
    members = {
        "vaderSentiment/vaderSentiment.py": FAKE_ANALYZER.encode(),
        "vaderSentiment/vader_lexicon.txt": b"good\t0.5\nbad\t-0.25\n",
        "vaderSentiment/emoji_utf8_lexicon.txt": b"",
        "additional_resources/hutto_ICWSM_2014.tar.gz": made_up_corpora(),
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            add_member(archive, f"vaderSentiment-3.3.2/{name}", content)
    return path


@pytest.fixture
def made(sdist):
    return make_sentiment.build(sdist, textblob=lambda text: -0.123456 * len(text.split()))


def test_script_joins_texts_and_ratings_by_identifier(made):
    expected = {
        ("tweets", "1"): "776",
        ("tweets", "2"): "322",
        ("tweets", "3"): "44",
        ("tweets", "4"): "110",
        ("tweets", "5"): "54",
        ("editorials", "1_1"): "45",
        ("editorials", "2_1"): "34",
        ("movies", "1"): "88",
        ("products", "9_1"): "65",
        ("products", "10_1"): "66",
        ("products", "10_2"): "04",
    }
    found = made.set_index(["corpus", "id"])["ratings"]
    assert found.to_dict() == expected
    assert list(found.index) == list(expected)  # natural order
    assert made["rating"].tolist() == pytest.approx(
        [8 / 3, -5 / 3, 0, -10 / 3, 0.5, 0.5, -0.5, 4, 1.5, 2, -2], abs=5e-7
    )
    assert made["n_ratings"].tolist() == [3, 3, 2, 3] + [2] * 7


def test_script_groups_sentences_and_contrived_tweets(made):
    assert made["group"].tolist() == ["", "2", "", "2", "", "1", "2", "", "9", "10", "10"]
    assert made["position"].tolist() == [*[""] * 5, "1", "1", "", "1", "1", "2"]


def test_script_scores_decoded_texts(made):
    assert made["text"].tolist()[0] == "good sun <3"
    assert made["text"].tolist()[7] == "good café noir"
    assert made["vader"].tolist() == [0.5, -0.25, 0, 0, 0.5, 0, 0, 0.5, 0.5, 0.5, -0.25]
    assert made["textblob"].tolist()[:3] == [-0.3704, -0.3704, -0.2469]
    features = pd.DataFrame([make_sentiment.text_features(text) for text in made["text"]])
    pd.testing.assert_frame_equal(made[list(COUNTS)], features)


def test_script_reports_means_printed_otherwise(made):
    lines = make_sentiment.report(made).splitlines()
    assert lines[0] == "11 texts, 2 contrived tweets or originals in 1 families"
    assert "differs for 1 texts, 1 of them contrived or originals, by 0.83" in lines[1]


def test_script_makes_the_columns_of_the_shipped_file(made):
    shipped = read_texts().drop(columns=["log_words", "word_length"])
    assert list(made.drop(columns=["text", "published"])) == list(shipped)


def test_script_is_deterministic_to_the_byte(sdist, made):
    again = make_sentiment.build(sdist, textblob=lambda text: -0.123456 * len(text.split()))
    numbers, numbers_again = (f.drop(columns=["text", "published"]) for f in (made, again))
    content = make_sentiment.to_csv_gz(numbers)
    assert content == make_sentiment.to_csv_gz(numbers_again)
    assert content[3:8] == bytes(5)  # neither file name nor time in the gzip header
    assert "café" not in gzip.decompress(content).decode()


def test_script_refuses_files_that_do_not_share_identifiers():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        add_member(archive, "any/tweets_GroundTruth.txt", b"1\t0\tsun\r\n2\t0\train\r\n")
        add_member(archive, "any/tweets_anonDataRatings.txt", b"1\t0\t0\t[0]\r\n3\t0\t0\t[0]\r\n")
    content.seek(0)
    with (
        tarfile.open(fileobj=content) as archive,
        pytest.raises(ValueError, match="ratings of 'tweets' do not share their identifiers"),
    ):
        make_sentiment.read_corpus(archive, "tweets")


def test_script_names_a_file_that_is_missing():
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        add_member(archive, "any/other_tweets_GroundTruth.txt", b"1\t0\tsun\r\n")
    content.seek(0)
    with (
        tarfile.open(fileobj=content) as archive,
        pytest.raises(ValueError, match=r"one file 'tweets_GroundTruth\.txt' .* found 0"),
    ):
        make_sentiment.read_corpus(archive, "tweets")


def test_script_refuses_another_source_distribution(sdist, tmp_path, capsys):
    out = tmp_path / "out.csv.gz"
    with pytest.raises(SystemExit):
        make_sentiment.main([str(sdist), str(out)])
    assert "expected 5d7c06e0" in capsys.readouterr().err
    assert not out.exists()


def test_script_names_the_version_of_textblob_it_needs(monkeypatch):
    monkeypatch.setattr(make_sentiment.importlib.metadata, "version", lambda name: "0.1")
    with pytest.raises(ImportError, match=r"found 0\.1: pip install textblob=="):
        make_sentiment.textblob_scorer()


def test_natural_order_sorts_every_part_as_a_number():
    ids = [
        f"{document}_{sentence}" for document, sentence in itertools.product([1, 2, 10], [1, 9, 11])
    ]
    shuffled = pd.Series(ids).sample(frac=1, random_state=3)
    assert shuffled.sort_values(key=make_sentiment.natural_order).tolist() == ids
