"""One root and what its variance is made of: gold-only, plain, and power-tuned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .data import LabelledData
from .numerics import (
    Labels,
    Parts,
    Problem,
    Root,
    TwoStageModel,
    Weights,
    fixed_weights,
    left_out_errors,
    matrix_weights,
    solve,
    tuned_share,
    tuning_weights,
)
from .numerics.tuning import Kind

Array = NDArray[np.float64]
SOLVED = ("converged", "not converged")
# A third round changed no variance by more than one percent.
ROUNDS = 2


@dataclass(frozen=True)
class Solution:
    """A root of one estimating equation.

    Attributes
    ----------
    problem : Problem, or None
        None once it is no longer needed.
    root : Root
    parts : Parts, or None
        None if there is no root.
    weights : Weights, or None
        Tuning weights; None if the predictions were not tuned.
    note : str
        Why the weights are not those that were asked for.
    n_errors : int
        Labelled rows on which predicted and gold moments differ.
    n_saturated : int
        Sampling units whose leverage is 1.
    """

    problem: Problem | None
    root: Root
    parts: Parts | None
    weights: Weights | None = None
    note: str = ""
    n_errors: int = 0
    n_saturated: int = 0

    @property
    def is_solved(self) -> bool:
        """Whether there is a finite root."""
        return self.root.status == "converged"


def plain_solution(problem: Problem) -> Solution:
    """Solve an equation whose predictions have full weight, or none."""
    root = solve(problem)
    if root.status not in SOLVED:
        return Solution(problem, root, None)
    parts = Parts.of(problem, root)
    return Solution(problem, root, parts, n_errors=_rows_not_zero(parts.errors))


def gold_solution(data: LabelledData, *, small_sample: bool) -> Solution | None:
    """Solve the equation of the gold labels alone; its parts are those of all rows.

    None if there is no such equation, as with fewer labels than instruments.
    """
    try:
        problem = data.gold_only()
    except np.linalg.LinAlgError:
        return None
    root = solve(problem)
    if root.status not in SOLVED:
        return Solution(problem, root, None)
    rows, share = data.labelled, len(data.labelled) / data.n_rows
    moments = np.zeros((data.n_rows, root.moments.shape[1]))
    moments[rows] = root.moments
    correction, n_saturated = None, 0
    if small_sample:
        correction, n_saturated = left_out_errors(
            problem,
            root.beta,
            root.jacobian,
            root.jacobian,
            fixed_weights(0.0, len(root.beta)),
            data.draw,
            share=data.correction_share,
            left=_left_by_effects(data),
        )
    jacobian = root.jacobian * share
    parts = Parts(moments, jacobian, problem.errors(root.beta), rows, correction)
    root = root._replace(moments=moments, jacobian=jacobian)
    weights = fixed_weights(0.0, len(root.beta))
    return Solution(problem, root, parts, weights, "", len(rows), n_saturated)


def _left_by_effects(data: LabelledData) -> Array | None:
    """Return the share of the labelled rows' variance that fixed effects of their own leave."""
    if data.absorbed is None:
        return None
    rows = data.labelled
    weight = 1.0 / data.probability[rows]
    if data.sample_weight is not None:
        weight = weight * data.sample_weight[rows]
    return data.absorbed.among(rows, weight).effects.residual_share()


def tuned_solution(
    data: LabelledData, prediction: Array, kind: Kind, alone: Solution | None
) -> Solution:
    """Solve the equation whose predictions have the weight that the labels suggest.

    Parameters
    ----------
    data : LabelledData
    prediction : ndarray of shape (n, n_columns)
    kind : {"diagonal", "scalar", "matrix"}
    alone : Solution or None
        Of the gold labels alone.
    """
    if data.absorbed is not None:
        return _weighted_mean(data, prediction, kind, alone)
    problem = _tunable(data, prediction)
    problem.model.check(problem.predicted, "predicted")
    has_gold = alone is not None and alone.is_solved
    if alone is not None and has_gold:
        start = alone.root.beta
    else:
        plain = plain_solution(problem)
        if not plain.is_solved:
            return plain
        start = plain.root.beta

    def choose(psi: Array, psi_hat: Array) -> tuple[Weights, str]:
        return _chosen(psi, psi_hat, data, kind)

    found = _tuned_twice(data, problem, start, choose)
    if found is not None:
        return found
    if not has_gold:
        return plain_solution(problem)
    note = "the tuned equation has no solution"
    weights = fixed_weights(0.0, len(start))
    base, n_errors = _psi(data, problem, start)[2:]
    tuned = replace(problem, share=0.0)
    return _corrected(data, tuned, solve(tuned, start), base, weights, note, n_errors)


def _tuned_twice(
    data: LabelledData,
    problem: Problem,
    start: Array,
    choose: Callable[[Array, Array], tuple[Weights, str]],
) -> Solution | None:
    """Solve with the weights and the J of a first root, and again with those of the second.

    In nonlinear models the gold labels alone are a poor place to evaluate J: where the tuned
    estimate is much more precise, the second order of the distance between both costs as much
    as a tenth of the variance at 100 labels. None if the first equation has no solution.
    """
    found = None
    for _ in range(ROUNDS):
        psi, psi_hat, base, n_errors = _psi(data, problem, start)
        weights, note = choose(psi, psi_hat)
        tuned = replace(problem, share=tuned_share(weights, base))
        root = solve(tuned, start)
        if root.status != "converged":
            break
        found, start = (tuned, root, base, weights, note, n_errors), root.beta
    return None if found is None else _corrected(data, *found)


def combined_solution(
    data: LabelledData, prediction: Array, contrast: Array, alone: Solution | None
) -> tuple[float, Parts]:
    r"""Return one linear combination of the coefficients, tuned for itself.

    Its weight :math:`\lambda_c` minimises the design variance of
    :math:`c'(\psi - \lambda_c \hat\psi)`; the equation is solved anew with it.

    Parameters
    ----------
    data : LabelledData
    prediction : ndarray of shape (n, n_columns)
    contrast : ndarray of shape (p,)
        c.
    alone : Solution or None
        Of the gold labels alone.
    """
    if data.absorbed is not None:
        solution = _weighted_mean(data, prediction, "diagonal", alone, contrast[None])
        assert solution.parts is not None
        if solution.weights is None:  # one of both estimators does not exist
            return float(contrast @ solution.root.beta), _mapped(solution.parts, contrast)
        return float(solution.root.beta[0]), solution.parts
    problem = _tunable(data, prediction)
    if alone is None or not alone.is_solved:
        solution = tuned_solution(data, prediction, "diagonal", alone)
    else:

        def choose(psi: Array, psi_hat: Array) -> tuple[Weights, str]:
            own = tuning_weights(psi @ contrast[:, None], psi_hat @ contrast[:, None], data.draw)
            assert own.without is not None
            n_params = len(contrast)
            matrix = own.matrix[0, 0] * np.eye(n_params)
            return Weights(matrix, np.repeat(own.without, n_params, axis=1)), ""

        found = _tuned_twice(data, problem, alone.root.beta, choose)
        solution = found or tuned_solution(data, prediction, "diagonal", alone)
    assert solution.parts is not None
    return float(contrast @ solution.root.beta), _mapped(solution.parts, contrast)


def _mapped(parts: Parts, contrast: Array) -> Parts:
    """Return what the variance of a linear combination is made of."""
    loading = np.linalg.solve(parts.jacobian.T, contrast)[:, None]
    correction = None if parts.correction is None else parts.correction @ loading
    return Parts(
        parts.moments @ loading, np.eye(1), parts.errors @ loading, parts.labelled, correction
    )


def _corrected(
    data: LabelledData,
    problem: Problem,
    root: Root,
    base: Array,
    weights: Weights,
    note: str,
    n_errors: int,
) -> Solution:
    if root.status not in SOLVED:
        return Solution(problem, root, None, weights, note)
    correction, n_saturated = left_out_errors(
        problem, root.beta, root.jacobian, base, weights, data.draw, share=data.correction_share
    )
    parts = Parts.of(problem, root, correction)
    return Solution(problem, root, parts, weights, note, n_errors, n_saturated)


def _tunable(data: LabelledData, prediction: Array) -> Problem:
    """Return the plain equation, with a first stage that poor predictions cannot spoil."""
    problem = data.problem(prediction)
    if isinstance(problem.model, TwoStageModel) and not data.versions.shares_design:
        # Any first stage is valid; that of the gold labels does not depend on the predictions.
        gold = replace(problem, share=0.0).bound()
        problem = replace(problem, model=gold.model)
    return problem


def _psi(data: LabelledData, problem: Problem, beta: Array) -> tuple[Array, Array, Array, int]:
    """Return psi of the drawn units, gold and predicted, J there, and the rows with errors."""
    base = replace(problem, share=0.0).jacobian(beta)
    labels = Labels.of(problem, beta)
    to_psi = np.linalg.inv(base).T
    psi, psi_hat = (data.draw.totals(part) @ to_psi for part in (labels.gold, labels.predicted))
    return psi, psi_hat, base, _rows_not_zero(labels.gold - labels.predicted)


def _chosen(psi: Array, psi_hat: Array, data: LabelledData, kind: Kind) -> tuple[Weights, str]:
    if kind != "matrix":
        return tuning_weights(psi, psi_hat, data.draw, kind), ""
    weights = matrix_weights(psi, psi_hat, data.draw)
    if weights is not None:
        return weights, ""
    note = "too few labels, or predictions too much alike, for a matrix of weights"
    return tuning_weights(psi, psi_hat, data.draw), note


def _weighted_mean(
    data: LabelledData,
    prediction: Array,
    kind: Kind,
    alone: Solution | None,
    contrasts: Array | None = None,
) -> Solution:
    r"""Weigh the estimates from both kinds of labels and from gold labels alone.

    After fixed effects are absorbed a tuned equation would be biased in small groups, as the
    effects would be concentrated out with random weights. Both estimators are valid there, and so
    is :math:`\hat\beta_0 + \Lambda (\hat\beta_1 - \hat\beta_0)`, with the same optimal weights in
    terms of their influence values. With ``contrasts``, shape (r, p), linear combinations are
    weighed in their place.
    """
    problem = data.problem(prediction)
    plain = plain_solution(problem)
    if alone is None or not (plain.is_solved and alone.is_solved):
        return plain
    assert plain.parts is not None and alone.parts is not None
    p, draw = len(plain.root.beta), data.draw
    target = np.eye(p) if contrasts is None else contrasts
    gold_to_psi, to_psi = (
        target @ np.linalg.inv(part.jacobian) for part in (alone.parts, plain.parts)
    )
    gold_errors = alone.parts.errors @ gold_to_psi.T
    errors = plain.parts.errors @ to_psi.T
    own, n_saturated = left_out_errors(
        problem,
        plain.root.beta,
        plain.root.jacobian,
        plain.root.jacobian,
        fixed_weights(1.0, p),
        draw,
    )
    assert alone.parts.correction is not None
    gold_left_out = draw.totals(gold_errors) + alone.parts.correction @ gold_to_psi.T
    left_out = draw.totals(errors) + own @ to_psi.T
    # Effects take a good part of the gold errors; the weights would think them too precise.
    weights, note = _chosen(gold_left_out, gold_left_out - left_out, data, kind)
    identity = np.eye(len(target))
    rest = identity - weights.matrix
    beta = rest @ target @ alone.root.beta + weights.matrix @ target @ plain.root.beta
    moments = alone.parts.moments @ (rest @ gold_to_psi).T
    moments += plain.parts.moments @ (weights.matrix @ to_psi).T
    mixed = gold_errors @ rest.T + errors @ weights.matrix.T
    correction = gold_left_out - weights.left_out(gold_left_out - left_out) - draw.totals(mixed)
    parts = Parts(moments, identity, mixed, data.labelled, correction)
    root = plain.root._replace(beta=beta, moments=moments, jacobian=identity)
    return Solution(
        problem, root, parts, weights, note, plain.n_errors, n_saturated + alone.n_saturated
    )


def _rows_not_zero(errors: Array) -> int:
    """Count the rows with an error beyond rounding."""
    size = np.abs(errors).max(initial=0.0)
    return int((np.abs(errors) > 1e-12 * size).any(axis=1).sum()) if size > 0.0 else 0
