"""The last wave: its size is computed once, and no further look decides to go on."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..gold_sample import GoldSample
from .errors import errors_of
from .pilot_budget import label_budget
from .waves import MIX, Method, draw_wave

# Before the first look at a width; see `final_wave`.
LEAST_LABELS, LEAST_ERRORS = 100, 30


def final_wave(
    sample: GoldSample,
    fit: Any,
    *,
    standard_error: Any = None,
    width: Any = None,
    power: Any = None,
    effect: Any = None,
    target: Any = None,
    most: float | None = None,
    method: Method = "pooled",
    cost: Any = None,
    learner: str = "forest",
    mix: float = MIX,
    level: float = 0.95,
    random_state: Any,
) -> GoldSample:
    r"""Draw the last wave, as large as one look at the labels says that it has to be.

    Adding labels until an interval is as narrow as wanted stops where the interval happens to be
    too narrow: in simulations it cost one percentage point of coverage. Here the labels so far fix
    the size of one last wave by `label_budget`, and the sample is closed: `next_wave` does not go
    on from it. The first look has to wait for 100 labels and 30 rows with an error.

    Parameters
    ----------
    sample, fit
        As in `next_wave`.
    standard_error, width, power, effect, target, level
        As in `label_budget`; of several targets the most demanding one decides.
    most : float, default=None
        Most further labels that can be paid for; no limit but the rows if None.
    method, cost, learner, mix, random_state
        As in `next_wave`.

    Returns
    -------
    GoldSample
        The closed sample. Its last wave is empty if the labels so far suffice.

    Raises
    ------
    ValueError
        As `next_wave` and `label_budget`; if there are too few labels or errors for a look, no
        number of labels reaches what is wanted, or it takes more than ``most``.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLLinearRegression, GoldSample, final_wave
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=5000)
    >>> y = x + rng.normal(size=5000)
    >>> machine = y + 0.5 * rng.normal(size=5000)
    >>> first = GoldSample.poisson(5000, n=150, random_state=1)
    >>> pilot = DSLLinearRegression(learner=None).fit(
    ...     x[:, None], np.where(first.drawn, y, np.nan), surrogates=machine, gold_sample=first
    ... )
    >>> last = final_wave(first, pilot, standard_error=0.03, random_state=2)
    >>> last.parameters["closed"], 250 < last.n_drawn < 450
    (True, True)
    """
    errors = errors_of(fit, "a final wave")
    size = np.abs(errors.psi).max(initial=0.0)
    n_errors = int((np.abs(errors.psi) > 1e-9 * size).any(axis=1).sum())
    if len(errors.labelled) < LEAST_LABELS or n_errors < LEAST_ERRORS:
        raise ValueError(
            f"{len(errors.labelled):,} labels, {n_errors:,} of them with an error of the "
            f"predictions, are too few for a look: it takes {LEAST_LABELS} labels and "
            f"{LEAST_ERRORS} errors. Draw another wave of a size fixed in advance (next_wave)."
        )
    budget = label_budget(
        fit,
        standard_error=standard_error,
        width=width,
        power=power,
        effect=effect,
        target=target,
        allocations=["equal"],
        level=level,
        n_resamples=0,
    )
    if budget.table["labels"].isna().any():
        row = budget.table[budget.table["labels"].isna()].iloc[0]
        raise ValueError(
            f"No number of labels gives {row['term']} a standard error of "
            f"{row['standard_error']:.4g}: with every row labelled it is {row['limit']:.4g}."
        )
    # What is there counts in full, wherever it was drawn.
    further = float(np.ceil(budget.table["labels"].max())) - sample.n_drawn
    if most is not None and further > most:
        raise ValueError(
            f"It takes {further:,.0f} further labels, more than most={most:,.6g}. Ask for less "
            "precision (label_budget shows the curve), or draw a wave of what there is (next_wave)."
        )
    return draw_wave(
        sample,
        fit,
        max(further, 0.0),
        target,
        method,
        cost,
        learner,
        mix,
        random_state,
        is_final=True,
    )
