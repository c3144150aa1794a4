"""Monte Carlo standard errors are right: measures of repeated studies spread by that much.

800 studies of 400 replicates. The standard deviation of a measure over them is known to
1 / sqrt(2 * 799) = 2.5%, so that 10% is four times its error.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from trueness.simulations.performance import compare_methods, performance

N_STUDIES, N_REPLICATES = 800, 400
TRUTH = 0.4
TOLERANCE = 0.1
# Standardised; kurtosis 5, 1.8 and 4.2, that of the normal distribution is 3.
NOISE = {
    "skewed": lambda rng, shape: (rng.chisquare(6, shape) - 6) / np.sqrt(12),
    "light tails": lambda rng, shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
    "heavy tails": lambda rng, shape: rng.standard_t(9, shape) * np.sqrt(7 / 9),
}


def make_method(rng, name, noise, shift):
    """Return the rows of one method: biased estimates, and standard errors that go with them."""
    study, replicate = np.indices(noise.shape)
    estimate = TRUTH + shift + 0.2 * noise
    std_error = 0.18 * np.exp(0.2 * np.tanh(noise) + 0.1 * rng.standard_normal(noise.shape))
    columns = {
        "study": study,
        "replicate": replicate,
        "estimate": estimate,
        "std_error": std_error,
        "conf_low": estimate - 1.645 * std_error,
        "conf_high": estimate + 1.645 * std_error,
        "p_value": 2 * ndtr(-np.abs(estimate / std_error)),
        "converged": rng.random(noise.shape) < 0.9,
    }
    frame = pd.DataFrame({key: values.ravel() for key, values in columns.items()})
    frame["method"], frame["term"], frame["estimand"] = name, "x", TRUTH
    failed = rng.random(len(frame)) < 0.1
    frame.loc[failed, [*NUMBERS, "estimand"]] = np.nan
    frame.loc[failed, "term"] = ""
    return frame


NUMBERS = ["estimate", "std_error", "conf_low", "conf_high", "p_value"]


@pytest.fixture(scope="module", params=list(NOISE))
def results(request):
    rng = np.random.default_rng(20190120)
    noise = NOISE[request.param](rng, (N_STUDIES, N_REPLICATES))
    other = 0.8 * noise + 0.6 * NOISE[request.param](rng, noise.shape)
    methods = [make_method(rng, "first", noise, 0.1), make_method(rng, "second", other, 0.05)]
    frame = pd.concat(methods, ignore_index=True)
    return performance(frame), compare_methods(frame, "first")


def stated_over_actual(frame):
    """Return root mean squared Monte Carlo error / standard deviation over studies."""
    groups = frame.groupby(["measure", "method"], sort=False)
    stated = np.sqrt((frame["mcse"] ** 2).groupby([frame["measure"], frame["method"]]).mean())
    return stated / groups["value"].std()


def test_every_measure_spreads_as_stated(results):
    ratio = stated_over_actual(results[0].to_frame())
    assert len(ratio) == 2 * 17
    assert ratio.between(1 - TOLERANCE, 1 + TOLERANCE).all(), ratio.to_string()


def test_every_paired_comparison_spreads_as_stated(results):
    ratio = stated_over_actual(results[1].to_frame())
    assert len(ratio) == 7
    assert ratio.between(1 - TOLERANCE, 1 + TOLERANCE).all(), ratio.to_string()


def test_monte_carlo_intervals_hold_the_expectation(results):
    frame = results[0].to_frame()
    expected = frame.groupby(["measure", "method"])["value"].transform("mean")
    holds = (frame["mc_low"] <= expected) & (expected <= frame["mc_high"])
    share = holds.groupby([frame["measure"], frame["method"]]).mean()
    # 0.95 with an error of 0.008; skewed measures are off by a little more.
    assert share.between(0.92, 0.98).all(), share.to_string()


def test_the_check_would_find_errors_of_normal_theory(results):
    wide = results[0].to_frame(wide=True)
    wide = wide[wide["method"] == "first"]
    n = wide["n_replicates"] * (1 - wide["failures"])
    normal_theory = {
        "empirical_se": wide["empirical_se"] / np.sqrt(2 * (n - 1)),
        # Morris, White and Crowther (2019, table 6).
        "se_ratio": wide["se_ratio"]
        * np.sqrt((wide["model_se_mcse"] / wide["model_se"]) ** 2 + 1 / (2 * (n - 1))),
    }
    for name, mcse in normal_theory.items():
        ratio = np.sqrt(np.mean(mcse**2)) / wide[name].std()
        assert not 1 - TOLERANCE < ratio < 1 + TOLERANCE, name


def test_the_check_would_find_forgotten_pairs(results):
    wide = results[0].to_frame(wide=True).set_index(["method", "study"])
    pairs = results[1].to_frame(wide=True).set_index("study")
    first, second = wide.loc["first"], wide.loc["second"]
    unpaired = {
        "bias_difference": np.hypot(first["bias_mcse"], second["bias_mcse"]),
        "rmse_ratio": second["rmse"]
        / first["rmse"]
        * np.hypot(
            first["rmse_mcse"] / first["rmse"],
            second["rmse_mcse"] / second["rmse"],
        ),
    }
    for name, mcse in unpaired.items():
        assert np.sqrt(np.mean(mcse**2)) / pairs[name].std() > 1 + TOLERANCE, name
