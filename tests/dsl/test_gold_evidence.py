"""Committed results of the studies of gold samples are held to what the package promises."""

from pathlib import Path

import pandas as pd

EVIDENCE = Path(__file__).parents[2] / "vignettes" / "evidence"


def table(name):
    return pd.read_csv(EVIDENCE / f"gold_{name}.csv")


def test_labels_carried_up_to_units():
    """The package covers everywhere; the mean of labels does not as a covariate."""
    units = table("units")
    assert (units["replicates"] == 2500).all()
    ours, means = (units[units["way"] == way] for way in ("package", "mean of labels"))
    assert len(ours) == 6
    assert ours["coverage"].between(0.935, 0.965).all()
    # Below a seventh of a standard deviation an interval loses a quarter of a point.
    assert (ours["bias"].abs() / ours["SD"] < 1 / 7).all()
    assert (means.loc[means["estimand"] == "covariate", "coverage"] < 0.01).all()
    unequal = means[(means["estimand"] == "mean") & (means["probabilities"] == "unequal")]
    assert (unequal["coverage"] < 0.01).all()


def test_several_coders():
    """Figures of gold_labels.md, section 8, to Monte Carlo error: 1 point at 2,500 samples."""
    coders = table("coders")
    assert (coders["replicates"] == 2500).all()
    assert coders["pool"].between(0.935, 0.965).all()
    assert coders["pool, one coder per document"].between(0.935, 0.965).all()
    assert coders["population"].between(0.935, 0.975).all()
    leaning = coders["leanings"] > 0
    assert (coders.loc[leaning, "pool's interval for the population"] < 0.85).all()


def test_predicted_standard_errors():
    """Within 10 percent for light tails, 17 for a logit; a rare outcome is called unreliable."""
    budget = table("budget").set_index("cell")
    assert (budget.loc["linear", "median |error|"] <= 0.10).all()
    assert (budget.loc["logit", "median |error|"] <= 0.17).all()
    assert (budget.loc[["linear", "logit"], "called reliable"] >= 0.85).all()
    assert (budget.loc["logit, rare", "called reliable"] == 0.0).all()
    assert (budget["pilots"] >= 190).all()


def test_allocation_gains_where_it_can_and_loses_nothing_where_it_cannot():
    allocation = table("allocation")
    assert (allocation["pilots"] == 150).all() and len(allocation) == 12
    is_slope = allocation["target"] == "slope"
    varying = allocation[is_slope & (allocation["errors"] == "strongly varying")]
    constant = allocation[~is_slope & (allocation["errors"] == "constant")]
    for method in ("forest, share 0.2", "forest, gate", "ridge, share 0.2", "ridge, gate"):
        assert (varying[method] < 0.75).all()
        assert (varying["oracle"] <= varying[method]).all()
        # The 95th percentile over pilots, where there is nothing to be gained.
        assert (constant[f"{method}, 95%"] <= 1.05).all()
    # By default not even where the errors are small just where the influence is large.
    assert (allocation["forest, gate, 95%"] <= 1.05).all()


def test_intervals_after_adaptive_waves():
    """Every coefficient of every plan covers; forests have a fifth of the samples."""
    waves = table("waves")
    ridge = waves[waves["learner"] != "forest"]
    assert (ridge["replicates"] + ridge["failed"] == 2500).all() and len(ridge) == 30
    assert (waves["failed"] <= 5).all()
    assert ridge["coverage"].between(0.935, 0.965).all()
    assert ridge["SE2 / SD2"].between(0.9, 1.15).all()
    assert waves["bias / SD"].abs().max() < 0.2
