"""Cells that stop when their Monte Carlo errors are small enough."""

import numpy as np
import pandas as pd
import pytest
from study_designs import comparable, make_study, median

from trueness.simulations.study.stopping import BLOCK

N_REPLICATES = 900


def interval(sample, random_state):
    y = sample.observed["y"]
    mean, error = y.mean(), y.std(ddof=1) / np.sqrt(len(y))
    bounds = {"conf_low": mean - 1.96 * error, "conf_high": mean + 1.96 * error}
    return [{"term": "mean", "estimate": mean, "std_error": error, **bounds}]


def study(n_replicates=N_REPLICATES, methods=None):
    return make_study({"n": [5, 40]}, methods or {"interval": interval}, n_replicates)


@pytest.fixture(scope="module")
def everything():
    return study().run(progress=False)


def first_stop(rows, measure, target):
    """Return the first multiple of the block at which the formula says that it is enough."""
    truth = rows["estimand"]
    error = (rows["estimate"] - truth).to_numpy()
    hits = ((rows["conf_low"] <= truth) & (truth <= rows["conf_high"])).to_numpy(dtype=float)
    for n in range(BLOCK, len(rows) + 1, BLOCK):
        share = (hits[:n].sum() + 2) / (n + 4)
        spread, gap = error[:n].std(ddof=1), error[:n] - error[:n].mean()
        mcse = {
            "coverage": np.sqrt(share * (1 - share) / n),
            "bias": spread / np.sqrt(n),
            "empirical_se": np.sqrt(((gap**4).mean() - (gap**2).mean() ** 2) / n) / (2 * spread),
        }[measure]
        if mcse <= target:
            return n
    return len(rows)


@pytest.mark.parametrize(
    ("until", "interior"),
    [
        ({"coverage": 0.015}, True),
        ({"bias": 0.02}, True),
        ({"empirical_se": 0.015}, True),
        ({"coverage": 0.02, "bias": 0.03}, True),
        ({"coverage": 0.5}, False),
        ({"bias": 1e-6}, False),
    ],
)
def test_a_cell_stops_where_the_formula_says(everything, until, interior):
    frame = study().run(progress=False, until=until)
    expected = {
        n: max(first_stop(rows, *item) for item in until.items())
        for n, rows in everything.groupby("n")
    }
    assert frame.groupby("n").size().to_dict() == expected
    stopped_between = any(BLOCK < count < N_REPLICATES for count in expected.values())
    assert stopped_between == interior
    part = everything[everything["replicate"] < everything["n"].map(expected)]
    pd.testing.assert_frame_equal(
        comparable(frame), comparable(part.reset_index(drop=True)), check_exact=True
    )


def test_where_it_stops_depends_neither_on_workers_nor_on_interruptions(tmp_path):
    until = {"coverage": 0.015}
    whole = study().run(progress=False, until=until)
    threads = study().run(progress=False, until=until, n_jobs=2, backend="threading")
    pd.testing.assert_frame_equal(comparable(whole), comparable(threads), check_exact=True)
    study(n_replicates=130).run(tmp_path, progress=False)
    resumed = study().run(tmp_path, progress=False, until=until)
    pd.testing.assert_frame_equal(comparable(whole), comparable(resumed), check_exact=True)
    results = study().run(tmp_path, progress=False, until=until, collect=False)
    counts = results.cells.set_index("n")["n_replicates"]
    assert counts.to_dict() == whole.groupby("n").size().to_dict()
    pd.testing.assert_frame_equal(results.to_frame(), resumed)


def test_rejection_rates_stop_cells():
    def test(sample, random_state):
        return [{"term": "mean", "estimate": 1.0, "p_value": random_state.random()}]

    frame = study(methods={"test": test}).run(progress=False, until={"rejection_rate": 0.02})
    # 0.05 * 0.95 / 0.02**2 is 119; the share varies, and is moved to the middle.
    assert frame.groupby("n").size().between(100, 400).all()


def test_methods_without_intervals_do_not_hold_a_cell_up():
    methods = {"interval": interval, "median": median}
    frame = study(methods=methods).run(progress=False, until={"coverage": 0.03})
    assert frame.groupby("n")["replicate"].nunique().max() < N_REPLICATES
    alone = study(300, {"median": median}).run(progress=False, until={"coverage": 0.03})
    assert len(alone) == 600


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ({"power": 0.1}, "'power'; it knows bias, empirical_se, coverage, rejection_rate"),
        ({"coverage": 0.0}, "must be positive"),
        ({"coverage": float("nan")}, "must be positive"),
        ({}, "until must be a dict"),
        (0.01, "until must be a dict"),
    ],
)
def test_bad_targets(until, message):
    with pytest.raises(ValueError, match=message):
        study().run(progress=False, until=until)
