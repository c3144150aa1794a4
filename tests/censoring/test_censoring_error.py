"""Errors of learned regressions against the truth: naive, complete-case, marginal, automatic.

The studies in ``vignettes/evidence`` take 50 data sets of each design; a few of them run here.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from trueness.censoring import CensoredRegressor, PositivityWarning
from trueness.simulations.censoring import make_censored_durations

EVIDENCE = Path(__file__).parents[2] / "vignettes" / "evidence" / "censoring_error.py"
DEPENDENT = ["exp_pos", "exp_neg", "wei_pos", "wei_neg"]
WEIGHTS = ("naive", "complete", "marginal", "auto")


@pytest.fixture(scope="module")
def evidence():
    """The study, which is in no package."""
    spec = importlib.util.spec_from_file_location(EVIDENCE.stem, EVIDENCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mean_errors(evidence, design, level, seeds, methods=WEIGHTS):
    frames = [evidence.replicate(design, level, seed, methods) for seed in seeds]
    frame = pd.concat(frames)
    return frame.groupby("method")["error"].mean(), frame


@pytest.mark.parametrize("design", ["exp_pos", "exp_neg"])
def test_errors_fall_from_naive_to_automatic_where_censoring_depends(evidence, design):
    error, _ = mean_errors(evidence, design, 0.4, range(2))
    assert error["naive"] > error["complete"] > error["marginal"] >= error["auto"]
    assert error["complete"] > 2 * error["marginal"]
    assert error["marginal"] > 1.1 * error["auto"]


def test_nothing_is_lost_where_censoring_does_not_depend(evidence):
    error, _ = mean_errors(evidence, "exp_ind", 0.4, range(2), ("complete", "marginal", "auto"))
    assert error["auto"] <= 1.1 * error["marginal"] < 0.2 * error["complete"]


def test_the_doubly_robust_fit_survives_a_failure_of_positivity(evidence):
    error, frame = mean_errors(evidence, "exp_neg", 0.6, range(1), ("auto", "doubly robust"))
    assert frame["alarm"].all()
    assert frame["weight_sum"].max() < 0.95
    assert error["doubly robust"] < error["auto"] / 5


def test_an_alarm_is_a_warning():
    sample = make_censored_durations(design="exp_neg", level=0.6, n_rows=400, random_state=1)
    horizon = float(sample.observed["y"]["time"].max())
    for method in ("weights", "doubly_robust"):
        model = CensoredRegressor(
            Ridge(), method=method, censoring="cox", outcome="cox", horizon=min(3.0, horizon)
        )
        with pytest.warns(PositivityWarning, match=r"weights sum to 0\.\d+, far from 1"):
            model.fit(**sample.observed)


def test_a_shorter_horizon_is_found_where_weights_fail():
    # Outcomes need no shorter horizon: the model of the event fills in.
    sample = make_censored_durations(design="exp_neg", level=0.6, n_rows=1200, random_state=0)
    weighted, robust = (
        CensoredRegressor(
            Ridge(), method=method, censoring="cox", outcome="cox", positivity="ignore"
        ).fit(**sample.observed)
        for method in ("weights", "doubly_robust")
    )
    assert weighted.horizon_ < robust.horizon_
    assert abs(weighted.diagnostics_.weight_sum - 1.0) < 0.1


# ---------------------------------------------------------------------------- the whole study


@pytest.mark.slow
@pytest.mark.parametrize("design", DEPENDENT)
def test_order_of_errors_over_fifty_data_sets(evidence, design):
    error, _ = mean_errors(evidence, design, 0.4, range(50))
    assert error["naive"] > error["complete"] > error["marginal"] >= error["auto"]


@pytest.mark.slow
@pytest.mark.parametrize("design", ["exp_ind", "wei_ind"])
def test_no_loss_over_fifty_data_sets(evidence, design):
    error, _ = mean_errors(evidence, design, 0.4, range(50), ("marginal", "auto"))
    assert error["auto"] <= 1.1 * error["marginal"]


@pytest.mark.slow
def test_positivity_over_fifty_data_sets(evidence):
    error, frame = mean_errors(evidence, "exp_neg", 0.6, range(50), ("auto", "doubly robust"))
    assert frame["alarm"].all()
    assert error["doubly robust"] < error["auto"] / 5


def test_the_committed_study_shows_the_same():
    table = pd.read_csv(EVIDENCE.with_suffix(".csv"))
    assert (table["data_sets"] == 50).all()
    error = table.set_index(["design", "level", "method"])["error"]
    for design in DEPENDENT:
        naive, complete, marginal, auto = (error[design, 0.4, name] for name in WEIGHTS)
        assert naive > complete > marginal >= auto
    for design in ("exp_ind", "wei_ind"):
        assert error[design, 0.4, "auto"] <= 1.1 * error[design, 0.4, "marginal"]
    assert error["exp_neg", 0.6, "doubly robust"] < error["exp_neg", 0.6, "auto"] / 5
    alarms = table.set_index(["design", "level", "method"])["alarms"]
    assert alarms["exp_neg", 0.6, "auto"] == 1.0
    assert np.isfinite(table["error_mcse"]).all()
