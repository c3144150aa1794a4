"""The command line for simulation studies."""

import warnings

import pandas as pd
import pytest

from trueness.__main__ import main

STUDY = """
from trueness.simulations.study import SimulationStudy
from beside import FACTOR

def generate(n, random_state):
    return {"observed": {"y": random_state.normal(FACTOR, 1.0, n)}, "truth": {"mean": FACTOR}}

def average(sample, random_state):
    y = sample.observed["y"]
    error = y.std(ddof=1) / len(y) ** 0.5
    row = {"term": "mean", "estimate": y.mean(), "std_error": error}
    return [row | {"conf_low": y.mean() - 2 * error, "conf_high": y.mean() + 2 * error}]

study = SimulationStudy(generate, {"average": average}, {"n": [10, 30]}, n_replicates=7)
"""


@pytest.fixture(autouse=True)
def keep_global_state(monkeypatch):
    """The command line prints warnings its own way and imports from the folder of the study."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.syspath_prepend("")


@pytest.fixture
def file(tmp_path):
    (tmp_path / "beside.py").write_text("FACTOR = 3.0\n")
    path = tmp_path / "my study.py"
    path.write_text(STUDY)
    return path


def rows(out):
    return pd.read_parquet(out / "shards")


def test_run_resume_and_summary(file, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["study", str(file), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    for text in ("Data-generating mechanism", "n = 10, 30", "Coverage", "average", "Parquet"):
        assert text in printed.out
    assert "14/14" in printed.err
    assert len(rows(out)) == 14
    assert main(["study", str(file), "--out", str(out), "--replicates", "50", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "Data-generating" not in printed.out
    assert len(rows(out)) == 100
    assert not rows(out).duplicated(["n", "replicate"]).any()


def test_parts_of_the_cells(file, tmp_path, capsys):
    out = tmp_path / "out"
    for part, cells in (("2/2", {30}), ("1/2", {10, 30})):
        assert main(["study", str(file), "--out", str(out), "--part", part, "--quiet"]) == 0
        assert set(rows(out)["n"]) == cells


def test_other_workers(file, tmp_path):
    out = tmp_path / "out"
    options = [
        "--backend",
        "threading",
        "--jobs",
        "2",
        "--until",
        "bias=0.2",
        "--replicates",
        "300",
    ]
    assert main(["study", str(file), "--out", str(out), "--quiet", *options]) == 0
    assert rows(out).groupby("n").size().between(100, 300).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--replicates", "0"], "n_replicates=0 must be"),
        (["--until", "coverage"], "--until coverage: write"),
        (["--until", "power=0.1"], "'power'; it knows"),
        (["--part", "3/2"], "--part 3/2: write"),
        (["--part", "1/9"], "There is no part 1 of 9"),
        (["--scheduler", "tcp://nowhere:1"], "needs backend='dask' or 'ray'"),
    ],
)
def test_errors_are_one_line_and_code_2(file, tmp_path, capsys, options, message):
    assert main(["study", str(file), "--out", str(tmp_path / "out"), "--quiet", *options]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_another_study_in_the_directory(file, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["study", str(file), "--out", str(out), "--quiet"]) == 0
    file.write_text(STUDY.replace("2 * error", "3 * error"))
    assert main(["study", str(file), "--out", str(out), "--quiet"]) == 2
    assert "holds another study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "defines no SimulationStudy named study"),
        (STUDY.replace("study = ", "one = two = "), "defines 2 studies, none of them named study"),
    ],
)
def test_files_without_a_study(file, tmp_path, capsys, text, message):
    file.write_text(text)
    assert main(["study", str(file), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert main(["study", str(tmp_path / "none.py"), "--out", str(tmp_path / "out")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_a_single_study_may_have_any_name(file, tmp_path):
    file.write_text(STUDY.replace("study = ", "mine = "))
    assert main(["study", str(file), "--out", str(tmp_path / "out"), "--quiet"]) == 0
