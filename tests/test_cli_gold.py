"""The commands from documents to gold labels."""

import numpy as np
import pandas as pd
import pytest

from trueness.__main__ import main
from trueness.dsl import GoldSample

N = 600


@pytest.fixture
def docs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    y = x + rng.normal(size=N)
    frame = pd.DataFrame(
        {
            "key": [f"{i:04d}" for i in range(N)],
            "source": np.repeat(["press", "web"], [200, 400]),
            "author": np.arange(N) // 6,
            "text": [f"text {i}" for i in range(N)],
            "x": x,
            "machine": y + 0.5 * rng.normal(size=N),
            "doubt": rng.uniform(0.1, 1.0, N),
            "truth": y,
        }
    )
    frame.drop(columns="truth").to_csv("docs.csv", index=False)
    return frame


def run(*words):
    return main([str(word) for word in words])


def test_from_documents_to_an_estimate(docs, capsys):
    options = ["--n", 120, "--strata", "source", "--seed", 1, "--out", "to_code.csv"]
    assert run("sample", "docs.csv", *options, "--id", "key", "--show", "text") == 0
    assert "120 of 600 rows" in capsys.readouterr().out
    sheet = pd.read_csv("to_code.csv", dtype={"id": str})
    assert list(sheet) == ["id", "text", "label", "probability", "sample"]
    sheet["label"] = sheet["id"].map(docs.set_index("key")["truth"])
    sheet.to_csv("to_code_done.csv", index=False)
    assert run("labels", "to_code_done.csv", "--out", "labels.csv") == 0
    assert "120 of 120 rows labelled" in capsys.readouterr().out
    labels = pd.read_csv("labels.csv", dtype={"id": str})
    assert labels["id"].tolist() == docs["key"].tolist()
    docs.drop(columns="truth").assign(y=labels["label"]).to_csv("coded.csv", index=False)
    model = ["--outcome", "y", "--covariates", "x", "--surrogates", "machine", "--learner", "none"]
    assert run("dsl", "coded.csv", *model, "--gold-sample", "to_code.sample.csv") == 0
    printed = capsys.readouterr().out
    assert "stratified simple random, 2 strata" in printed and "120 (20.0%)" in printed
    formula = ["--formula", "y ~ x", "--surrogates", "machine", "--learner", "none"]
    assert run("dsl", "coded.csv", *formula, "--gold-sample", "to_code.sample.csv") == 0
    assert "2 strata" in capsys.readouterr().out
    wish = ["--sample", "to_code.sample.csv", "--standard-error", 0.06, "--figure", "budget.png"]
    assert run("budget", "coded.csv", *model, *wish, "--cost", 2) == 0
    printed = capsys.readouterr().out
    assert "standard error 0.06: of 600 rows, from 120 labels" in printed
    assert "optimal" in printed and "Figure: budget.png" in printed


@pytest.mark.parametrize(
    ("options", "n_drawn", "kind"),
    [
        ([], 60, "simple_random"),
        (["--strata", "source", "--allocation", "equal"], 60, "stratified"),
        (["--strata", "source", "--allocation", "neyman", "--spread", "doubt"], 60, "stratified"),
        (["--size", "doubt", "--minimum", 0.02], 60, "unequal"),
        (["--independent", "--size", "doubt"], None, "poisson"),
        (["--units", "author"], 360, "clusters"),
        (["--units", "author", "--within", 2], 120, "two_stage"),
    ],
)
def test_every_draw(docs, options, n_drawn, kind):
    assert run("sample", "docs.csv", "--n", 60, "--seed", 3, "--out", "sheet.csv", *options) == 0
    sample = GoldSample.load("sheet.sample.csv")
    assert sample.kind == kind
    assert n_drawn is None or sample.n_drawn == n_drawn
    assert len(pd.read_csv("sheet.csv")) == sample.n_drawn


def test_coders_and_codebooks(docs, capsys):
    options = ["--n", 50, "--seed", 1, "--out", "sheet.csv", "--label", "anna", "ben"]
    assert run("sample", "docs.csv", *options) == 0
    sheet = pd.read_csv("sheet.csv")
    rng = np.random.default_rng(0)
    sheet["anna"] = rng.choice(["yes", "no"], 50)
    sheet["ben"] = np.where(rng.random(50) < 0.8, sheet["anna"], "no")
    sheet.to_csv("sheet.csv", index=False)
    words = ["--label", "anna", "ben", "--coders", "--codebook", "yes=1", "no=0"]
    assert run("labels", "sheet.csv", *words) == 0
    printed = capsys.readouterr().out
    assert "Krippendorff's alpha (nominal)" in printed and "50 documents" in printed


def test_before_any_label(docs, capsys):
    docs["said"] = (docs["machine"] > 0).astype(int)
    docs.to_csv("docs.csv", index=False)
    options = ["--covariates", "x", "--surrogates", "said", "--model", "logistic"]
    assumed = ["--sensitivity", 0.95, "--specificity", 0.95, "--power", 0.8, "--effect", 0.6]
    assert run("budget", "docs.csv", *options, *assumed) == 0
    assert "from assumptions, before any label" in capsys.readouterr().out


REFUSED = {
    "above": (["sample", "docs.csv", "--n", 601], "n=601, but there are only 600 rows"),
    "column": (["sample", "docs.csv", "--n", 60, "--strata", "sauce"], "'source'"),
    "within": (["sample", "docs.csv", "--n", 60, "--within", 2], "--within goes with --units"),
    "minimum": (["sample", "docs.csv", "--n", 60, "--minimum", 0.1], "--minimum goes with --size"),
    "spread": (["sample", "docs.csv", "--n", 60, "--spread", "x"], "--spread goes with"),
    "allocation": (
        ["sample", "docs.csv", "--n", 60, "--allocation", "equal"],
        "--allocation goes with --strata",
    ),
    "units": (
        ["sample", "docs.csv", "--n", 6, "--units", "author", "--size", "doubt"],
        "--units does not go with --size",
    ),
    "independent": (
        ["sample", "docs.csv", "--n", 6, "--independent", "--strata", "source"],
        "--independent draws have no strata",
    ),
    "no sheet": (["labels", "none.csv"], "no such file"),
    "no sample": (["labels", "docs.csv"], "has no column 'sample'"),
    "wish": (
        ["budget", "docs.csv", "--covariates", "x", "--surrogates", "machine", "--outcome", "x"],
        "labelled already",
    ),
    "assumptions": (
        ["budget", "docs.csv", "--covariates", "x", "--surrogates", "machine", "x"],
        "one surrogate is needed",
    ),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_errors_are_one_line_and_code_2(docs, capsys, words, message):
    if words[0] == "sample":
        words = [*words, "--seed", 1, "--out", "sheet.csv"]
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err


def test_a_changed_sheet(docs, capsys):
    assert run("sample", "docs.csv", "--n", 50, "--seed", 1, "--out", "sheet.csv") == 0
    sheet = pd.read_csv("sheet.csv").assign(label=1)
    sheet.loc[4, "label"] = 7
    sheet.to_csv("sheet.csv", index=False)
    assert run("labels", "sheet.csv", "--codebook", "0", "1") == 2
    assert "not in the codebook ('7', for example): line 6" in capsys.readouterr().err
    assert run("labels", "sheet.csv", "--codebook", "0", "one=1") == 2
    assert "LABEL=VALUE for all" in capsys.readouterr().err
    sheet.assign(sample="abc").to_csv("other.csv", index=False)
    assert run("labels", "other.csv") == 2
    assert "No gold sample with hash abc" in capsys.readouterr().err
