"""What README.md shows is what the reader gets."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trueness.__main__ import main
from trueness.datasets import load_durations, load_sentiment

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PROMISED = [
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/python -m trueness demo",
    ".venv/bin/pip install -q '.[test]' && .venv/bin/python -m pytest",
]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def test_the_two_commands_come_first():
    assert blocks("sh")[0].splitlines() == PROMISED


@pytest.mark.parametrize(
    ("code", "shown"),
    list(zip(blocks("python"), blocks("text"), strict=True)),
    ids=["dsl", "censored"],
)
def test_the_examples_print_what_is_shown(code, shown, capsys):
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == shown


def test_the_command_for_a_file_runs(tmp_path, monkeypatch, capsys):
    tweets = load_sentiment("tweets").frame
    drawn = np.random.default_rng(0).choice(len(tweets), size=500, replace=False)
    tweets["rating"] = tweets["rating"].where(tweets.index.isin(drawn))
    tweets.to_csv(tmp_path / "texts.csv", index=False)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(blocks("sh")[1].replace("\\\n", " "))
    assert words[:4] == [".venv/bin/python", "-m", "trueness", "dsl"]
    assert main(words[3:]) == 0
    printed = capsys.readouterr().out
    assert "500 (11.9%)" in printed
    assert "simple random" in printed
    assert r"\begin{tabular}" in (tmp_path / "table.tex").read_text(encoding="utf-8")


def test_the_command_for_censored_durations_runs(tmp_path, monkeypatch, capsys):
    load_durations("gbsg2").frame.to_csv(tmp_path / "patients.csv", index=False)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(blocks("sh")[3].replace("\\\n", " "))
    assert words[:4] == [".venv/bin/python", "-m", "trueness", "censored"]
    faster = ["--folds", "2", "--censoring", "km", "--method", "weights"]
    assert main([*words[3:], *faster]) == 0
    assert "299 (43.6%)" in capsys.readouterr().out
    predicted = pd.read_parquet(tmp_path / "predictions.parquet")["predicted_duration"]
    assert len(predicted) == 686 and predicted.between(0, 1826).all()


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_links_lead_to_files(target):
    assert (Path(__file__).parents[1] / target).is_file()
