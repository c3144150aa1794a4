"""The study of losses of clicks: its parts in short, and what its committed results say."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

EVIDENCE = Path(__file__).parents[2] / "vignettes" / "evidence"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("feedback_loss", EVIDENCE / "feedback_loss.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def frame(study):
    return study.replicate("few clicks", 0)


def test_formulas_hold_over_fresh_draws(study):
    """Thirty distances, each a normal variate but for rounding: 4.5 is beyond chance."""
    table = study.compare_risks(400, seed=1)
    assert len(table) == 15
    assert table[["bias_z", "variance_z"]].abs().to_numpy().max() < 4.5
    # The distances are measured: a bias of the size of the clipped one would be seen.
    clipped = table[(table["risk"] == "clipped") & (table["loss"] == "squared")]
    assert (clipped["bias"].abs() > 4.5 * np.sqrt(clipped["variance"] / 400)).all()


def test_committed_formulas_hold():
    table = pd.read_csv(EVIDENCE / "feedback_risks.csv")
    assert len(table) == 15 and (table["draws"] >= 20_000).all()
    assert table[["bias_z", "variance_z"]].abs().to_numpy().max() < 4.5


def test_a_replicate_has_every_method_once_per_clip_and_penalty(study, frame):
    assert not frame.duplicated(["method", "clip", "penalty"]).any()
    counts = frame.groupby("method").size()
    n = len(study.PENALTIES)
    assert counts["naive"] == counts["unbiased"] == counts["oracle"] == n
    assert counts["clipped"] == n * len(study.CLIPS)
    assert counts["item-weighted"] == len(study.ITEM_CLIPS) * len(study.ITEM_PENALTIES)
    # A fixed clip is one of the clips: the same fits.
    key = ["penalty", *study.MEASURES]
    fixed, several = frame[frame["method"] == "clip 0.1"], frame[frame["method"] == "clipped"]
    pd.testing.assert_frame_equal(
        fixed[key].reset_index(drop=True),
        several.loc[several["clip"] == 0.1, key].reset_index(drop=True),
    )


def test_choice_and_differences_by_hand(study, frame):
    other = frame.assign(seed=1, loss=frame["loss"] + 0.01)
    table = study.summarise(frame, pd.concat([frame, other]))
    loss = table[table["measure"] == "loss"].set_index("method")
    clipped = frame[frame["method"] == "clipped"]
    best = clipped.loc[clipped["loss"].idxmin()]
    assert (loss.loc["clipped", "clip"], loss.loc["clipped", "penalty"]) == (
        best["clip"],
        best["penalty"],
    )
    naive = frame.loc[frame["method"] == "naive", "loss"].min()
    assert loss.loc["clipped", "from_naive"] == pytest.approx(best["loss"] - naive)
    assert loss.loc["clipped", "mean"] == pytest.approx(best["loss"] + 0.005)
    assert loss.loc["clipped", "better"] == float(best["loss"] < naive)
    held = clipped.loc[clipped["held_out"].idxmin(), "loss"]
    assert loss.loc["clipped, held out", "mean"] == pytest.approx(held + 0.005)
    gains = table[table["measure"] == "DCG"].set_index("method")["mean"]
    assert gains["clipped"] == pytest.approx(clipped["DCG"].max())


def test_committed_fits_are_in_the_order_that_is_claimed():
    table = pd.read_csv(EVIDENCE / "feedback_fits.csv")
    assert (table["data_sets"] == 50).all()
    for _, cell in table.groupby("design"):
        found = cell.set_index(["measure", "method"])
        loss = found["mean"]["loss"]
        assert loss["oracle"] < loss["clipped"] < loss["naive"] < loss["unbiased"]
        better, change, error = (
            found[name] for name in ("better", "from_naive", "from_naive_mcse")
        )
        assert better["loss", "clipped"] == better["loss", "oracle"] == 1.0
        for name in ("DCG", "DCG, unseen"):
            gain = found["mean"][name]
            assert gain["oracle"] > gain["clipped"] > gain["naive"] > gain["unbiased"]
            assert change[name, "clipped"] > 3 * error[name, "clipped"]
        # What does not hold is said, too.
        assert change["DCG", "clip 0.1"] < -3 * error["DCG", "clip 0.1"]
        assert change["DCG, rare", "clipped"] < 3 * error["DCG, rare", "clipped"]
