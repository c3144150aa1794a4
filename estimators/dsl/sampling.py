"""The sampling design behind the labels: from what the user states to probabilities of all rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..validation import first_rows
from .diagnostics import DesignWarning
from .numerics import SamplingDesign

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]

# |log| of the factor by which stated probabilities may miss the number of labels in silence.
LARGEST_LOG_FACTOR = 0.2
# Standard deviations by which the number of labels may differ from that of independent draws.
LARGEST_DEVIATION = 5.0
# Level and groups of the test of stated probabilities against realised labels.
CALIBRATION_LEVEL, CALIBRATION_GROUPS = 1e-5, 10
LEVEL = 5  # whoever called fit


class Strata(NamedTuple):
    """Stratum of each row, and the names of the strata."""

    codes: Codes
    names: Sequence[Any]

    def take(self, rows: Codes) -> Strata:
        """Return some of the rows."""
        kept, codes = np.unique(self.codes[rows], return_inverse=True)
        return Strata(codes.astype(np.intp), [self.names[h] for h in kept])


def sampling_design(
    stated: Array | None,
    strata: Strata | None,
    labelled: Flags,
    *,
    design: str,
    normalize: bool,
    given_number: bool = False,
) -> tuple[SamplingDesign, float]:
    """Return the design behind the labels, and the factor by which probabilities were rescaled.

    Without stated probabilities they are n / N, in each stratum of a stratified sample. Stated ones
    are multiplied, if ``normalize``, so that they sum to the number of labels; rows with
    probability one stay, as nothing about them is random.

    With ``given_number``, inference from independent draws with rescaled probabilities is
    conditional on the number of labels, which they were rescaled to. Given it, the draws are a
    fixed-size sample of the highest entropy, for which the variance formula was made; without it,
    predictions with a bias make the standard errors of intercepts and means too wide.

    Raises
    ------
    ValueError
        If a row with probability one is not labelled; if unequal or other probabilities than n / N
        are stated for a simple random sample, or within a stratum; or if a stratum has rows but
        fewer than two labels.

    Warns
    -----
    DesignWarning
        If the factor is far from 1 (more than about 20 percent, or five standard deviations), or
        if labels are not spread over the rows as stated.
    """
    if design == "stratified":
        return _stratified(stated, strata, labelled)
    if strata is not None:
        raise ValueError(
            f'strata belong to design="stratified", but design={design!r}; name the design, or '
            "leave strata out."
        )
    n_rows, n_labelled = len(labelled), int(labelled.sum())
    is_fixed = design == "srswor"
    if stated is None:
        probability = np.full(n_rows, n_labelled / n_rows)
        return SamplingDesign(probability, is_fixed or given_number), 1.0
    missed = (stated == 1.0) & ~labelled
    if missed.any():
        raise ValueError(
            f"sampling_probability is 1 on {missed.sum():,} rows that have no gold label "
            f"({first_rows(missed)}). A certain row must be labelled."
        )
    if is_fixed and np.ptp(stated) > 1e-8 * stated[0]:
        raise ValueError(
            'design="srswor" (simple random sampling) has equal probabilities, but '
            f"sampling_probability ranges from {stated.min():g} to {stated.max():g}; use "
            'design="poisson" for independent draws with unequal probabilities, '
            'design="stratified" with strata, or a GoldSample.'
        )
    random = stated < 1.0
    if not random.any():
        return SamplingDesign(stated, is_fixed), 1.0
    factor = float(labelled[random].sum() / stated[random].sum())
    if not normalize:
        if is_fixed and abs(factor - 1.0) > 1e-6:
            raise ValueError(
                f'design="srswor" with {n_labelled:,} labels of {n_rows:,} rows means a '
                f"probability of {n_labelled / n_rows:g}, but {stated[0]:g} is stated; leave it "
                "out or use normalize=True."
            )
        return SamplingDesign(stated, is_fixed), 1.0
    _check_total(stated, labelled, factor)
    probability = np.where(random, factor * stated, stated)
    if not is_fixed:
        _check_spread(probability, labelled)
    return SamplingDesign(probability, is_fixed or given_number), factor


def _check_total(stated: Array, labelled: Flags, factor: float) -> None:
    """Warn if the number of labels does not go with the stated probabilities."""
    n_labelled, expected = int(labelled.sum()), float(stated.sum())
    spread = float(np.sqrt((stated * (1.0 - stated)).sum()))
    is_far = abs(n_labelled - expected) > LARGEST_DEVIATION * spread and abs(factor - 1.0) > 0.01
    if factor > 0.0 and (is_far or abs(np.log(factor)) > LARGEST_LOG_FACTOR):
        warnings.warn(
            f"sampling_probability adds up to {expected:,.1f} expected labels, but "
            f"{n_labelled:,} rows are labelled; the probabilities were multiplied by {factor:.3g}. "
            "They may not describe how these labels were drawn.",
            DesignWarning,
            stacklevel=LEVEL + 1,
        )


def _check_spread(probability: Array, labelled: Flags) -> None:
    """Warn if rows with higher probabilities are not labelled more often as they should be."""
    rows = np.flatnonzero(probability < 1.0)
    order = rows[np.argsort(probability[rows], kind="stable")]
    if probability[order[0]] > (1.0 - 1e-9) * probability[order[-1]]:
        return
    groups = np.array_split(order, CALIBRATION_GROUPS)
    expected = np.array([probability[group].sum() for group in groups])
    seen = np.array([labelled[group].sum() for group in groups])
    spread = np.array([(probability[g] * (1.0 - probability[g])).sum() for g in groups])
    if expected.min() < 5.0:  # too few labels for the test
        return
    statistic = float(((seen - expected) ** 2 / spread).sum())
    p_value = float(stats.chi2.sf(statistic, len(groups) - 1))
    if p_value < CALIBRATION_LEVEL:
        worst = int(np.argmax(np.abs(seen - expected) / np.sqrt(spread)))
        bounds = probability[groups[worst][[0, -1]]]
        warnings.warn(
            "The labels are not spread over the rows as sampling_probability says (chi-squared "
            f"p = {p_value:.1g}): of the rows with probabilities {bounds[0]:.3g} to "
            f"{bounds[1]:.3g}, {seen[worst]:,} are labelled where {expected[worst]:,.1f} are "
            "expected. Estimates are biased if the probabilities are not those of the draw.",
            DesignWarning,
            stacklevel=LEVEL + 1,
        )


def _stratified(
    stated: Array | None, strata: Strata | None, labelled: Flags
) -> tuple[SamplingDesign, float]:
    """Return simple random sampling within strata."""
    if strata is None:
        raise ValueError(
            'design="stratified" needs strata, the stratum of every row; pass strata= to fit.'
        )
    codes = strata.codes
    size = np.bincount(codes)
    drawn = np.bincount(codes, labelled, minlength=len(size)).astype(int)
    poor = (drawn < 2) & (drawn < size)
    if poor.any():
        listed = ", ".join(
            f"{strata.names[h]!r} ({drawn[h]} of {size[h]:,} rows)"
            for h in np.flatnonzero(poor)[:5]
        )
        more = ", ..." if poor.sum() > 5 else ""
        raise ValueError(
            f"strata: {poor.sum()} of {len(size)} strata have fewer than two labels: {listed}"
            f"{more}. One label says nothing of the spread in its stratum, and no label nothing at "
            "all: label more rows there, or merge strata that were drawn at the same rate."
        )
    share = drawn / size
    if stated is not None:
        _check_stratum_probabilities(stated, share, strata)
    return SamplingDesign(share[codes], is_fixed=True, groups=codes), 1.0


def _check_stratum_probabilities(stated: Array, share: Array, strata: Strata) -> None:
    """Raise if stated probabilities are not those that the labels of each stratum imply."""
    ratio = stated / share[strata.codes]
    wrong = np.abs(np.log(ratio)) > LARGEST_LOG_FACTOR
    if wrong.any():
        row = int(np.argmax(wrong))
        stratum = strata.codes[row]
        raise ValueError(
            f"sampling_probability does not go with the strata on {wrong.sum():,} rows "
            f"({first_rows(wrong)}): {stated[row]:.3g} is stated in stratum "
            f"{strata.names[stratum]!r}, where {share[stratum]:.3g} of the rows are labelled. "
            "Leave it out for a stratified simple random sample, or use another design."
        )


def check_sample(drawn: Flags, labelled: Flags) -> None:
    """Raise if the labels are not those of the gold sample."""
    empty, extra = drawn & ~labelled, labelled & ~drawn
    if empty.any():
        raise ValueError(
            f"gold_sample: {empty.sum():,} of {drawn.sum():,} rows that were drawn have no gold "
            f"label ({first_rows(empty)}). Label them; if they cannot be labelled, draw a sample "
            "of the rows that can."
        )
    if extra.any():
        raise ValueError(
            f"gold_sample: {extra.sum():,} rows have a gold label but were not drawn "
            f"({first_rows(extra)}). Labels from outside the sample have no known probability; set "
            "them to NaN."
        )


def units_as_clusters(design: SamplingDesign, clusters: Codes | None) -> Codes | None:
    """Return the clusters of the analysis, by default the sampling units of several rows.

    Raises
    ------
    ValueError
        If no dimension of the clusters contains whole sampling units.
    """
    if design.units is None or clusters is None:
        return clusters if design.units is None else design.units
    columns = clusters.reshape(len(clusters), -1).T
    if any(_contains(column, design.units) for column in columns):
        return clusters
    raise ValueError(
        "clusters cut through the sampling units of gold_sample, so that rows labelled together "
        "would count as independent. Use clusters that contain whole sampling units, or leave "
        "them out to cluster by sampling unit."
    )


def _contains(clusters: Codes, units: Codes) -> bool:
    first = np.full(int(units.max()) + 1, -1, dtype=np.intp)
    first[units[::-1]] = clusters[::-1]
    return bool((first[units] == clusters).all())
