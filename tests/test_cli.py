"""The command line: the demonstration and a regression on a file."""

import warnings

import numpy as np
import pandas as pd
import pytest

from trueness import __version__, demo
from trueness.__main__ import main
from trueness.dsl import DSLLinearRegression


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    n = 500
    x = rng.normal(size=(n, 2))
    truth = x[:, 0] + rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "y": np.where(rng.random(n) < 0.3, truth, np.nan),
            "x1": x[:, 0],
            "x2": x[:, 1],
            "llm_y": truth + rng.normal(size=n),
            "pi": 0.3,
            "doc": rng.integers(0, 40, n),
        }
    )
    frame.to_csv(tmp_path / "texts.csv", index=False)
    frame.to_parquet(tmp_path / "texts.parquet")
    return tmp_path / "texts.csv", frame


@pytest.fixture(autouse=True)
def keep_showwarning(monkeypatch):
    """The command line prints warnings its own way; that must not outlive a test."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


def arguments(path, *more):
    base = ["dsl", str(path), "--outcome", "y", "--covariates", "x1", "x2"]
    return [*base, "--surrogates", "llm_y", "--learner", "linear", "--repeats", "2", *more]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_file_gives_the_estimates_of_the_api(table, capsys, suffix):
    path, frame = table
    out = path.with_name("table.csv")
    code = main(
        arguments(
            path.with_suffix(suffix), "--probability", "pi", "--clusters", "doc", "--out", str(out)
        )
    )
    assert code == 0
    model = DSLLinearRegression(learner="linear", n_repeats=2, random_state=0)
    model.fit(
        frame[["x1", "x2"]],
        frame["y"],
        surrogates=frame["llm_y"],
        sampling_probability=frame["pi"],
        clusters=frame["doc"],
    )
    written = pd.read_csv(out)
    pd.testing.assert_frame_equal(written, model.to_frame(), rtol=1e-9)
    printed = capsys.readouterr().out
    assert "DSL linear regression" in printed
    assert "clustered (40 clusters)" in printed


@pytest.mark.parametrize("tuning", ["scalar", "none"])
def test_weight_of_the_predictions(table, capsys, tuning):
    path, frame = table
    out = path.with_name("table.csv")
    assert main(arguments(path, "--tuning", tuning, "--out", str(out))) == 0
    model = DSLLinearRegression(
        learner="linear",
        n_repeats=2,
        tuning=None if tuning == "none" else tuning,
        random_state=0,
    )
    model.fit(frame[["x1", "x2"]], frame["y"], surrogates=frame["llm_y"])
    pd.testing.assert_frame_equal(pd.read_csv(out), model.to_frame(), rtol=1e-9)
    assert ("Tuning" in capsys.readouterr().out) == (tuning == "scalar")


@pytest.mark.parametrize("by_formula", [False, True])
def test_stratified_labels(table, capsys, by_formula):
    """Strata in which a half and a tenth of the rows are labelled."""
    path, frame = table
    rng = np.random.default_rng(1)
    frame["source"] = np.where(frame["x1"] > 0.5, "press", "web")
    share = frame["source"].map({"press": 0.5, "web": 0.1})
    truth = frame["x1"] + rng.normal(size=len(frame))
    frame["y"] = truth.where(rng.random(len(frame)) < share)
    frame.to_csv(path, index=False)
    out = path.with_name("table.csv")
    given = arguments(path)
    if by_formula:
        given = [given[0], given[1], "--formula", "y ~ x1 + x2", *given[7:]]
    given += ["--design", "stratified", "--strata", "source", "--out", str(out)]
    assert main(given) == 0
    assert "stratified, 2 strata" in capsys.readouterr().out
    model = DSLLinearRegression(learner="linear", n_repeats=2, design="stratified", random_state=0)
    model.fit(frame[["x1", "x2"]], frame["y"], surrogates=frame["llm_y"], strata=frame["source"])
    pd.testing.assert_frame_equal(pd.read_csv(out), model.to_frame(), rtol=1e-9)


@pytest.mark.parametrize(
    ("suffix", "start"), [(".html", "<"), (".tex", "\\begin{table}"), (".md", "**DSL linear")]
)
def test_table_formats(table, suffix, start):
    path, _ = table
    out = path.with_name(f"table{suffix}")
    assert main(arguments(path, "--out", str(out))) == 0
    text = out.read_text()
    assert text.lstrip().startswith(start)
    assert "x1" in text.replace("x\\_", "x_")


def test_logistic_model(table, capsys):
    path, frame = table
    frame.assign(y=(frame["y"] > 0).astype(float).where(frame["y"].notna())).to_csv(path)
    assert main(arguments(path, "--model", "logistic")) == 0
    assert "DSL logistic regression" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--surrogates", "lm_y"], "--surrogates: no column is named 'lm_y'. Did you mean 'llm_y'"),
        (["--clusters", "Docs"], "Did you mean 'doc'?"),
        (["--probability", "x1"], "sampling_probability lies outside (0, 1]"),
        (["--out", "table.docx"], "the name must end in .html, .tex, .md, .csv"),
        (["--learner", "magic"], "learner='magic' is not one of"),
        (["--design", "stratified"], 'design="stratified" needs strata'),
        (["--strata", "doc"], 'strata belong to design="stratified"'),
        (["--design", "stratified", "--strata", "docs"], "Did you mean 'doc'?"),
    ],
)
def test_errors_are_one_line_and_code_2(table, capsys, change, message):
    path, _ = table
    assert main(arguments(path, *change)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_files_that_cannot_be_read(tmp_path, capsys):
    assert main(arguments(tmp_path / "none.csv")) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(arguments(tmp_path / "none.xlsx")) == 2
    assert ".parquet file is needed" in capsys.readouterr().err
    (tmp_path / "empty.csv").write_text("y,x1,x2,llm_y\n")
    assert main(arguments(tmp_path / "empty.csv")) == 2
    assert "has no rows" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"trueness {__version__}\n"


def test_demo_prints_tables_story_and_figure(tmp_path, capsys):
    figure = tmp_path / "figure.png"
    options = ["--corpus", "tweets", "--labels", "300", "--seed", "4", "--figure", str(figure)]
    assert main(["demo", *options]) == 0
    printed = capsys.readouterr().out
    for word in ("tweets: 4,200 texts, 300 gold labels", "Surrogate only", "seed 4", "What to see"):
        assert word in printed
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert max(map(len, printed.split("What to see")[0].splitlines())) <= 92


def test_demo_counts_what_it_says():
    """The sentence is made of the tables, whatever they show."""
    demos = [demo.run_corpus("tweets", n_labels=300, random_state=1)]
    (shown,) = demos
    interval = shown.results["Surrogate only"].conf_int()
    inside = (interval["conf_low"] <= shown.truth.params) & (
        shown.truth.params <= interval["conf_high"]
    )
    assert f"miss {(~inside).sum()} of 5" in demo.story(demos)
    assert shown.table().count("*") == sum(shown.misses(label).sum() for label in shown.results)
    assert shown.results["DSL"].header["Gold labels"] == "300 (7.1%)"


def test_demo_refuses_what_it_cannot_show(capsys):
    assert main(["demo", "--corpus", "blogs"]) == 2
    assert "tweets" in capsys.readouterr().err
    assert main(["demo", "--labels", "0"]) == 2
    assert "n_labels=0 must lie between 1 and 4,199" in capsys.readouterr().err
