"""The command line for recommendations."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from trueness.__main__ import main
from trueness.feedback import PopularityPropensity, RelMF, clicks_to_matrix, weight_diagnostics
from trueness.simulations import make_clicks


@pytest.fixture(autouse=True)
def keep_showwarning(monkeypatch):
    """The command line prints warnings its own way; that must not outlive a test."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


@pytest.fixture(scope="module")
def frame():
    sample = make_clicks(n_users=60, n_items=40, exposure=0.3, random_state=0)
    clicks = sample.observed["X"].tocoo()
    log = pd.DataFrame(
        {
            "who": [f"u{row:02d}" for row in clicks.row],
            "what": [f"i{column:02d}" for column in clicks.col],
            "stars": np.random.default_rng(1).integers(1, 6, clicks.nnz),
        }
    )
    return pd.concat([log, log.head(3)], ignore_index=True)


@pytest.fixture
def path(frame, tmp_path):
    frame.to_csv(tmp_path / "log.csv", index=False)
    frame.to_parquet(tmp_path / "log.parquet")
    return tmp_path / "log.csv"


def arguments(path, *more):
    base = ["recommend", str(path), "--user", "who", "--item", "what", "--factors", "4"]
    return [*base, "--n", "5", *more]


def fact(printed, name):
    """Return what stands beside a name; short facts share a line."""
    return re.search(rf"(?:^| ){name} {{2,}}(.+?)(?: {{4,}}|$)", printed, flags=re.MULTILINE)[1]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_file_gives_the_lists_of_the_api(path, frame, capsys, suffix):
    out = path.with_name(f"lists{suffix}")
    assert main(arguments(path.with_suffix(suffix), "--clip", "0.2", "--out", str(out))) == 0
    printed = capsys.readouterr().out
    clicks = clicks_to_matrix(frame["who"], frame["what"], repeats="ignore")
    model = RelMF(4, clip=0.2, random_state=0).fit(clicks)
    expected = model.recommend(n=5).to_frame()
    written = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    assert list(written) == ["who", "what", "rank", "score"]
    assert written["who"].tolist() == expected["user"].tolist()
    assert written["what"].tolist() == expected["item"].tolist()
    np.testing.assert_allclose(written["score"], expected["score"], rtol=1e-5)
    # What is printed is counted, not invented.
    assert fact(printed, "Users") == f"{frame['who'].nunique()}"
    n_clicks = len(frame.drop_duplicates(["who", "what"]))
    assert fact(printed, "Clicks").startswith(f"{n_clicks} (")
    assert fact(printed, "Rows that repeat a pair") == "3"
    weights = weight_diagnostics(clicks, clip=0.2)
    assert fact(printed, "Clip") == f"0.2 ({weights.share_clipped:.1%} of clicks below)"
    assert fact(printed, "Effective clicks") == f"{weights.effective_size:,.0f}"
    first = written[written["who"] == written["who"].iloc[0]]["what"].tolist()
    assert re.search(rf"^u00 +{first[0]} +{first[1]} +{first[2]}$", printed, re.MULTILINE)


def test_nobody_gets_what_was_clicked_unless_asked(path, frame):
    out = path.with_name("lists.csv")
    seen = set(zip(frame["who"], frame["what"], strict=True))
    for more, overlap in (([], False), (["--include-seen"], True)):
        assert main(arguments(path, *more, "--out", str(out))) == 0
        lists = pd.read_csv(out)
        assert bool(seen & set(zip(lists["who"], lists["what"], strict=True))) == overlap


def test_ratings_become_clicks_and_everybody_keeps_a_place(path, frame, capsys):
    out = path.with_name("lists.csv")
    assert main(arguments(path, "--rating", "stars", "--at-least", "5", "--out", str(out))) == 0
    printed = capsys.readouterr().out
    liked = frame[frame["stars"] >= 5]
    silent = frame["who"].nunique() - liked["who"].nunique()
    assert silent > 0
    assert fact(printed, "Users") == f"{frame['who'].nunique()} ({silent} without a click)"
    assert fact(printed, "Clicks").startswith(f"{len(liked.drop_duplicates(['who', 'what']))} (")


def test_options_reach_the_model(path, frame, capsys):
    out = path.with_name("lists.csv")
    options = ["--propensity", "both", "--power", "0.4", "--bias", "--regularization", "3"]
    assert main(arguments(path, *options, "--out", str(out))) == 0
    printed = " ".join(capsys.readouterr().out.split())  # facts are broken over lines
    assert "clicks of users and items to the power 0.4" in printed
    clicks = clicks_to_matrix(frame["who"], frame["what"], repeats="ignore")
    model = RelMF(4, regularization=3.0, fit_bias=True, random_state=0)
    model.fit(clicks, propensity=PopularityPropensity(by="both", power=0.4))
    expected = model.recommend(n=5).to_frame()
    np.testing.assert_allclose(pd.read_csv(out)["score"], expected["score"], rtol=1e-4)


def test_alarms_are_printed(path, capsys):
    assert main(arguments(path, "--power", "0", "--clip", "0.9")) == 0
    assert "Alarm" not in capsys.readouterr().out
    assert main(arguments(path, "--power", "3", "--clip", "0")) == 0
    assert "Alarm: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--user", "whom"], "--user: no column is named 'whom'. Did you mean 'who'"),
        (["--item", "who"], "--user and --item are both 'who'"),
        (["--rating", "stars"], "--rating and --at-least go together"),
        (["--rating", "stars", "--at-least", "9"], "no 'stars' is at least 9; the largest is 5"),
        (["--rating", "what", "--at-least", "1"], "'what' does not hold numbers"),
        (["--clip", "1.5"], "from 0 (none is clipped) to 1"),
        (["--regularization", "some"], "--regularization some: give a number or auto"),
        (["--n", "0"], "n=0"),
        (["--out", "lists.docx"], "the name must end in .parquet, .csv"),
    ],
)
def test_errors_are_one_line_and_code_2(path, capsys, change, message):
    assert main(arguments(path, *change)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ") and captured.out == ""
    assert "Traceback" not in captured.err
