"""The command line for censored durations."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from trueness.__main__ import main
from trueness.censoring import (
    CensoredClassifier,
    CensoredRegressor,
    censoring_weights,
    survival_target,
)
from trueness.simulations import make_censored_durations


@pytest.fixture(autouse=True)
def keep_showwarning(monkeypatch):
    """The command line prints warnings its own way; that must not outlive a test."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


@pytest.fixture(scope="module")
def frame():
    sample = make_censored_durations(design="exp_pos", n_rows=240, level=0.3, random_state=0)
    y = sample.observed["y"]
    rng = np.random.default_rng(1)
    return sample.observed["X"].assign(
        t=y["time"],
        d=y["event"].astype(int),
        place=np.where(sample.observed["X"]["x1"] > 0, "city", "country"),
        firm=rng.integers(0, 40, len(y)),
        w=rng.uniform(0.5, 2.0, len(y)),
        e=y["time"] * rng.uniform(0.0, 0.2, len(y)),
        state=np.where(y["event"], "left", "stays"),
    )


@pytest.fixture
def path(frame, tmp_path):
    frame.to_csv(tmp_path / "cases.csv", index=False)
    frame.to_parquet(tmp_path / "cases.parquet")
    return tmp_path / "cases.csv"


def arguments(path, *more):
    base = ["censored", str(path), "--duration", "t", "--event", "d", "--censoring", "km"]
    base += ["--features", "x1", "x2", "--learner", "linear", "--folds", "2"]
    return [*base, "--method", "weights", *more]


def model_of(**options):
    return CensoredRegressor("linear", **({"censoring": "km", "random_state": 0} | options))


def fact(printed, name):
    """Return what stands beside a name; short facts share a line."""
    return re.search(rf"(?:^| ){name} {{2,}}(.+?)(?: {{4,}}|$)", printed, flags=re.MULTILINE)[1]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_file_gives_the_predictions_of_the_api(path, frame, capsys, suffix):
    out = path.with_name(f"predictions{suffix}")
    options = ["--horizon", "2", "--method", "auto", "--out", str(out)]
    assert main(arguments(path.with_suffix(suffix), *options)) == 0
    printed = capsys.readouterr().out
    X, y = frame[["x1", "x2"]], survival_target(frame["t"], frame["d"])
    model = model_of(horizon=2.0).fit(X, y)
    written = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    np.testing.assert_allclose(written["predicted_duration"], model.predict(X), rtol=1e-9)
    held_out = written["predicted_duration_out_of_fold"]
    assert 0.9 < np.corrcoef(held_out, model.predict(X))[0, 1] < 1 - 1e-6
    pd.testing.assert_frame_equal(written[frame.columns], frame, check_dtype=False, rtol=1e-12)
    # What is printed is counted, not invented.
    weights = censoring_weights(frame["t"], frame["d"], horizon=2.0)
    assert fact(printed, "Rows") == "240"
    assert fact(printed, "Events") == f"{frame['d'].sum()} ({frame['d'].mean():.1%})"
    assert fact(printed, "Horizon") == "2"
    known = int(weights.known.sum())
    assert fact(printed, "Target known") == f"{known} rows ({known / 240:.1%})"
    size = weights.weights.sum() ** 2 / (weights.weights**2).sum()
    assert fact(printed, "Effective sample size") == f"{size:.0f} of {known} known rows"
    assert fact(printed, "Model of censoring") == "Kaplan-Meier"
    assert fact(printed, "Method") == "doubly robust outcomes"


def test_scores_are_out_of_fold_and_under_two_models(path, frame, capsys):
    out = path.with_name("out.parquet")
    assert main(arguments(path, "--horizon", "2", "--out", str(out))) == 0
    printed = capsys.readouterr().out
    assert re.search(r"Score +Kaplan-Meier +Cox", printed)
    held_out = pd.read_parquet(out)["predicted_duration_out_of_fold"].to_numpy()
    weights = censoring_weights(frame["t"], frame["d"], horizon=2.0, floor=0, normalize="hajek")
    error = held_out - weights.target
    for name, value in {
        "Weight sum": 1.0,
        "Root mean squared error": np.sqrt(weights.weights @ error**2),
        "Bias": weights.weights @ error,
    }.items():
        first = float(fact(printed, name).split()[0])
        assert first == pytest.approx(value, abs=6e-4), name
    assert main(arguments(path, "--referees", "km", "beran")) == 0
    assert re.search(r"^ +Beran|Kaplan-Meier +Beran", capsys.readouterr().out, re.MULTILINE)


def test_no_row_helps_to_predict_itself(path, frame):
    """Moving one duration moves the fit but not this row's prediction out of fold."""
    out = path.with_name("out.parquet")
    predicted = []
    for factor in (1.0, 0.01):
        changed = frame.copy()
        changed.loc[7, ["t", "d"]] = factor * frame["t"].max(), 1
        changed.to_csv(path, index=False)
        # Folds are drawn within strata of durations, and clusters keep them as they are.
        options = ["--clusters", "firm", "--horizon", "2"]
        assert main(arguments(path, *options, "--out", str(out))) == 0
        predicted.append(pd.read_parquet(out))
    one, two = predicted
    assert one["predicted_duration_out_of_fold"][7] == two["predicted_duration_out_of_fold"][7]
    assert one["predicted_duration"][7] > two["predicted_duration"][7] + 1e-4
    mates = (frame["firm"] == frame["firm"][7]).to_numpy()
    same = one["predicted_duration_out_of_fold"] == two["predicted_duration_out_of_fold"]
    assert same[mates].all() and not same.all()


def test_survival(path, frame, capsys):
    out = path.with_name("out.csv")
    options = ["--predict", "survival", "--horizon", "1", "--out", str(out)]
    assert main(arguments(path, *options)) == 0
    printed = capsys.readouterr().out
    assert "Probability of outliving 1: t in cases.csv" in printed
    assert "Brier score at 1" in printed and fact(printed, "Method") == "weights"
    model = CensoredClassifier("linear", horizon=1.0, censoring="km", random_state=0)
    y = survival_target(frame["t"], frame["d"])
    expected = model.fit(frame[["x1", "x2"]], y).predict_survival(frame[["x1", "x2"]])
    written = pd.read_csv(out)
    np.testing.assert_allclose(written["predicted_survival"], expected.ravel(), rtol=1e-9)


@pytest.mark.parametrize("learner", ["forest", "boosting"])
def test_learners_take_categories_and_gaps(path, frame, capsys, learner):
    out = path.with_name("out.parquet")
    frame.assign(x2=frame["x2"].where(frame["x2"] > -0.8)).to_csv(path, index=False)
    options = ["--features", "place", "x2", "--learner", learner, "--out", str(out)]
    assert main(arguments(path, "--horizon", "2", *options)) == 0
    assert fact(capsys.readouterr().out, "Learner") == learner
    by_place = pd.read_parquet(out).groupby("place")["predicted_duration"].mean()
    assert by_place["city"] > by_place["country"] + 0.2


def test_the_seed_settles_everything(path):
    out = path.with_name("out.parquet")
    predicted = []
    for seed in ("3", "3", "4"):
        options = ["--learner", "forest", "--seed", seed, "--out", str(out)]
        assert main(arguments(path, "--horizon", "2", *options)) == 0
        predicted.append(pd.read_parquet(out).filter(like="predicted"))
    pd.testing.assert_frame_equal(*predicted[:2])
    assert (predicted[0] != predicted[2]).any().all()


def test_probabilities_are_predicted_with_entry_times(path, capsys):
    out = path.with_name("out.parquet")
    options = ["--event", "state", "--event-level", "left", "--entry", "e", "--predict", "survival"]
    assert main(arguments(path, *options, "--horizon", "1.5", "--out", str(out))) == 0
    shown = capsys.readouterr().out
    assert "not made for entry times" in shown
    assert "Brier" not in shown
    assert pd.read_parquet(out).filter(like="predicted").iloc[:, 0].between(0, 1).all()


def test_other_columns_are_handed_on(path, frame, capsys):
    out = path.with_name("out.parquet")
    options = ["--event", "state", "--event-level", "left", "--weights", "w", "--entry", "e"]
    assert main(arguments(path, *options, "--horizon", "1.5", "--out", str(out))) == 0
    shown = capsys.readouterr().out
    assert fact(shown, "Method") == "weights"
    assert "not made for entry times" in shown
    X, y = frame[["x1", "x2"]], survival_target(frame["t"], frame["d"], frame["e"])
    model = model_of(horizon=1.5, method="weights").fit(X, y, sample_weight=frame["w"])
    np.testing.assert_allclose(
        pd.read_parquet(out)["predicted_duration"], model.predict(X), rtol=1e-9
    )


def test_chosen_horizon_and_no_censoring(path, frame, capsys):
    assert main(arguments(path)) == 0
    printed = capsys.readouterr().out
    assert re.fullmatch(r"[0-9.]+ \(chosen\)", fact(printed, "Horizon"))
    frame.assign(d=1).to_csv(path, index=False)
    assert main(arguments(path)) == 0
    printed = capsys.readouterr().out
    assert fact(printed, "Horizon") == "none"
    assert fact(printed, "Method") == "none needed, nothing is censored"


@pytest.mark.filterwarnings("default::trueness.censoring.PositivityWarning")
def test_alarms_are_printed(path, capsys):
    sample = make_censored_durations(design="exp_neg", n_rows=240, level=0.6, random_state=0)
    y = sample.observed["y"]
    sample.observed["X"].assign(t=y["time"], d=y["event"].astype(int)).to_csv(path)
    assert main(arguments(path, "--horizon", "1.5")) == 0
    captured = capsys.readouterr()
    assert "Alarm: " in captured.out and "known rows" in captured.out
    assert captured.err.count("warning: Weights against censoring") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--duration", "tt"], "--duration: no column is named 'tt'"),
        (["--event", "w"], "event"),
        (["--features", "x9"], "--features: no column is named 'x9'. Did you mean 'x"),
        (["--horizon", "soon"], "--horizon soon: give a time, auto or none"),
        (["--horizon", "1000"], "1000"),
        (["--out", "table.docx"], "the name must end in .parquet, .csv"),
        (["--referees", "km", "km"], "name at least two different ones"),
        (["--predict", "survival"], "--predict survival needs the time to outlive"),
        (
            ["--predict", "survival", "--horizon", "1", "--method", "pseudo"],
            "--method weights only",
        ),
    ],
)
def test_errors_are_one_line_and_code_2(path, capsys, change, message):
    assert main(arguments(path, *change)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_gaps_and_taken_names(path, frame, capsys):
    frame.assign(x2=frame["x2"].where(frame["x2"] > 0)).to_csv(path, index=False)
    assert main(arguments(path)) == 2
    assert "'x2' has no value on" in capsys.readouterr().err
    frame.assign(predicted_duration=1.0).to_csv(path, index=False)
    assert main(arguments(path, "--out", str(path.with_name("out.csv")))) == 2
    assert "has a column 'predicted_duration' already" in capsys.readouterr().err
