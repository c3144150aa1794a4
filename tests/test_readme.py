"""What README.md shows is what the reader gets."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trueness.__main__ import main
from trueness.datasets import load_durations, load_sentiment
from trueness.simulations import make_clicks

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
    ids=["dsl", "censored", "feedback"],
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


def test_the_command_for_clicks_runs(tmp_path, monkeypatch, capsys):
    clicks = make_clicks(n_users=60, n_items=40, exposure=0.3, random_state=0).observed["X"]
    users, items = clicks.nonzero()
    pd.DataFrame({"u": users, "i": items}).to_csv(tmp_path / "clicks.csv", index=False)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(blocks("sh")[4].replace("\\\n", " "))
    assert words[:4] == [".venv/bin/python", "-m", "trueness", "recommend"]
    assert main(words[3:]) == 0
    assert "Recommendations from clicks: clicks.csv" in capsys.readouterr().out
    lists = pd.read_parquet(tmp_path / "recs.parquet")
    assert (lists.groupby("u").size() == 10).all() and list(lists) == ["u", "i", "rank", "score"]


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_links_lead_to_files(target):
    assert (Path(__file__).parents[1] / target).is_file()
