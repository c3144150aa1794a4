"""Whether the data can tell the parameters apart, and messages to people when they cannot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .data import LabelledData
from .fixed_effects import EXPLAINED, Absorbed
from .numerics import CustomModel, Sample, collinear_column
from .numerics.absorb import constant_within

Array = NDArray[np.float64]


def check_identified(data: LabelledData) -> None:
    """Raise if columns are collinear, in the frame or among the labelled rows.

    Where covariates are predicted only the labelled rows are looked at: there stand the gold
    values that identify the model.

    Raises
    ------
    ValueError
    """
    gold = data.versions.gold(data.labelled)
    if isinstance(data.model, CustomModel):
        _check_custom(data, data.model, gold)
        return
    frame, labelled = _without_effects(data, gold.design)
    if frame is not None and not data.is_complete:
        _check_columns(data, frame, "")
    _check_columns(data, labelled, "" if data.is_complete else " among the labelled rows")
    if gold.instruments is not None:
        check_instruments(data, gold.design, gold.instruments)


def _without_effects(data: LabelledData, gold: Array) -> tuple[Array | None, Array]:
    """Return what fixed effects leave of the design of the frame, if known, and of labelled rows.

    Raises
    ------
    ValueError
        If they leave nothing of a column.
    """
    frame, absorbed = data.versions.frame_design(), data.absorbed
    if absorbed is None:
        return frame, gold
    if frame is None:
        absorbed = absorbed.among(data.labelled)
        left = absorbed.effects.within(gold)
        _check_fixed_effects(data, absorbed, gold, left, " among the labelled rows")
        return None, left
    # The effects come from all rows, so each may have few labels, or none.
    left = data.design_within
    _check_fixed_effects(data, absorbed, frame, left, "")
    return left, left[data.labelled]


def _check_custom(data: LabelledData, model: CustomModel, gold: Sample) -> None:
    """Raise if a user's moment has the wrong shape, or its derivative is singular."""
    model.check(gold, "labelled")
    weight = 1.0 / data.probability[data.labelled]
    jacobian = model.information(gold, model.initial, weight)
    size = np.abs(jacobian).max(axis=1, keepdims=True)
    scaled = jacobian / np.where(size > 0.0, size, 1.0)
    if not np.isfinite(jacobian).all() or np.linalg.cond(scaled) > 1e13:
        raise ValueError(
            "The derivative of the moment by the parameters is singular at the starting values "
            f"({', '.join(data.terms)} = {', '.join(f'{v:g}' for v in model.initial)}) among the "
            "labelled rows, so that the parameters cannot be told apart there. Choose other "
            "starting values by start=, or mend the moment."
        )


def _check_columns(data: LabelledData, design: Array, where: str) -> None:
    terms = data.versions.terms
    if len(design) < design.shape[1]:
        raise ValueError(
            f"{len(design)} rows{where} cannot identify {design.shape[1]} coefficients "
            f"({', '.join(terms[:8])}); label more rows or use fewer columns."
        )
    has_intercept = data.versions.has_intercept
    found = collinear_column(design, has_intercept=has_intercept)
    if found is None:
        return
    column, others = found
    names = " + ".join(repr(terms[j]) for j in others[:6])
    cause = f"is a linear combination of {names}" if names else "is zero"
    advice = "Leave one of them out."
    if others == [0] and has_intercept:
        cause, advice = "is constant", "Leave it out; the intercept takes its place."
    if where:
        advice = (
            "The gold labels say nothing about it: label rows where it varies, or leave it out."
        )
    raise ValueError(f"X: column {terms[column]!r} {cause}{where}. {advice}")


def _check_fixed_effects(
    data: LabelledData, absorbed: Absorbed, design: Array, left: Array, where: str
) -> None:
    """Raise if fixed effects leave nothing of a column, naming both."""
    spread = np.linalg.norm(design - design.mean(axis=0), axis=0)
    explained = np.linalg.norm(left, axis=0) <= EXPLAINED * spread
    for column in np.flatnonzero(explained):
        term = data.versions.terms[column]
        single = constant_within(absorbed.codes, design[:, column])
        by = [name for name, flag in zip(absorbed.names, single, strict=True) if flag]
        if not by and len(absorbed.names) == 1:
            by = list(absorbed.names)
        if by:
            cause = f"does not vary within the levels of {' or '.join(map(repr, by))}"
        else:
            cause = f"is a combination of the fixed effects {' + '.join(map(repr, absorbed.names))}"
        raise ValueError(
            f"X: column {term!r} {cause}{where}, so the fixed effects leave nothing of it to "
            "estimate. Leave out the column or that effect."
        )


def check_instruments(data: LabelledData, design: Array, instruments: Array) -> None:
    """Raise if there are fewer instruments than coefficients, or they explain nothing of one."""
    n_excluded = instruments.shape[1] - design.shape[1]
    if n_excluded < 0:
        raise ValueError(
            f"instruments: they are {-n_excluded} fewer than the endogenous columns and cannot "
            f"identify {design.shape[1]} coefficients. Add instruments, or treat a column as "
            "exogenous."
        )
    among = None if data.absorbed is None else data.absorbed.among(data.labelled)
    if among is not None:
        design = among.effects.within(design)
        instruments = among.effects.within(instruments)
    size = np.linalg.norm(instruments, axis=0)
    found = collinear_column(instruments / np.where(size > 0.0, size, 1.0), has_intercept=False)
    if found is not None:
        names = data.versions.instrument_names
        column = found[0] - (instruments.shape[1] - len(names))
        which = f"column {names[column]!r}" if column >= 0 else "a column"
        raise ValueError(
            f"instruments: {which} is constant, or a combination of the others and of the "
            "exogenous columns of X, among the labelled rows; leave it out."
        )
    basis, _ = np.linalg.qr(instruments)
    scaled = design / np.linalg.norm(design, axis=0)
    singular = np.linalg.svd(basis.T @ scaled, compute_uv=False)
    if singular[-1] < 1e-8:
        raise ValueError(
            "instruments: they explain nothing of some endogenous column beyond the exogenous "
            "ones, so its coefficient is not identified. Use instruments that move it."
        )
