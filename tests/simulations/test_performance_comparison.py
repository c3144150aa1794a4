"""Comparisons of methods on the same data."""

import numpy as np
import pandas as pd
import pytest
from study_frames import NAN, grid, hand_made, values

from trueness.simulations.performance import compare_methods


def test_exact_values_of_a_comparison():
    first = hand_made()
    second = hand_made().assign(method="huber", estimate=[2.0, 2.0, NAN, 3.0, 1.0], term="x")
    second["estimand"] = 2.0
    second["conf_low"], second["conf_high"] = second["estimate"] - 0.5, second["estimate"] + 0.5
    rows = values(compare_methods(pd.concat([first, second]), "ols"))
    # Replicates 0, 1 and 3 have both: errors -1, 0, 4 of ols and 0, 0, 1 of huber.
    ours, theirs = np.array([0.0, 0.0, 1.0]), np.array([-1.0, 0.0, 4.0])
    difference = ours - theirs
    assert rows["method"].unique().tolist() == ["huber"]
    assert (rows.loc[["bias_difference", "mse_ratio"], "n_used"] == 3).all()
    expected = {
        "bias_difference": difference.mean(),
        "empirical_se_ratio": ours.std() / theirs.std(),
        "mse_ratio": 1 / 17,
        "rmse_ratio": np.sqrt(1 / 17),
        "coverage_difference": 2 / 3 - 2 / 3,
        "width_ratio": 3.0 / (1.5 + 3 + 6),
    }
    for name, value in expected.items():
        assert rows.loc[name, "value"] == pytest.approx(value), name
    assert rows.loc["bias_difference", "mcse"] == pytest.approx(difference.std(ddof=1) / np.sqrt(3))
    influence = (ours**2 - theirs**2 / 17) / (17 / 3)
    assert rows.loc["mse_ratio", "mcse"] == pytest.approx(influence.std(ddof=1) / np.sqrt(3))


def test_pairs_are_made_within_cells_replicates_and_terms():
    frame = grid().sample(frac=1, random_state=0)
    wide = compare_methods(frame, "a").to_frame(wide=True)
    assert len(wide) == 8
    np.testing.assert_allclose(wide["bias_difference"], 2)
    np.testing.assert_allclose(wide["bias_difference_mcse"], 0, atol=1e-12)
    back = compare_methods(frame, "b", by="n")
    assert back.reference == "b"
    np.testing.assert_allclose(back.to_frame(wide=True)["bias_difference"], -2)


def test_comparison_needs_another_method_with_the_same_terms():
    with pytest.raises(ValueError, match=r"no method 'olss'. Did you mean 'ols'\?"):
        compare_methods(hand_made(), "olss")
    with pytest.raises(ValueError, match="'ols' is the only method"):
        compare_methods(hand_made(), "ols")
    other = hand_made().iloc[:4].assign(method="b", term="z")
    with pytest.raises(ValueError, match="The terms are ols: x; b: z"):
        compare_methods(pd.concat([hand_made(), other]), "ols")
