"""The equations of design-based supervised learning, row by row, for tests to compare with.

Everything is dense and as the mathematics states it: moments and derivatives of every row, roots
by a general solver, covariances from sums over rows, clusters or pairs of clusters.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import sqrtm
from scipy.optimize import root
from scipy.special import expit


class Version(NamedTuple):
    """Predicted or gold data of all rows; gold data of rows not drawn may be anything finite."""

    design: np.ndarray
    outcome: np.ndarray
    instruments: np.ndarray | None = None


def _index_model(mean, slope):
    def moment(part, beta):
        return part.design * (part.outcome - mean(part.design @ beta))[:, None]

    def information(part, beta):
        outer = np.einsum("ij,ik->ijk", part.design, part.design)
        return slope(part.design @ beta)[:, None, None] * outer

    return moment, information


def _probabilities(part, beta):
    odds = np.exp(part.design @ beta.reshape(part.outcome.shape[1], -1).T)
    return odds / (1 + odds.sum(axis=1, keepdims=True))


def _multinomial_moment(part, beta):
    residual = part.outcome - _probabilities(part, beta)
    return np.einsum("ij,ik->ijk", residual, part.design).reshape(len(part.design), -1)


def _multinomial_information(part, beta):
    rho = _probabilities(part, beta)
    blocks = np.einsum("ij,jl->ijl", rho, np.eye(rho.shape[1])) - np.einsum("ij,il->ijl", rho, rho)
    full = np.einsum("ijl,ia,ib->ijalb", blocks, part.design, part.design)
    size = rho.shape[1] * part.design.shape[1]
    return full.reshape(len(rho), size, size)


def _instrument_moment(part, beta):
    return part.instruments * (part.outcome - part.design @ beta)[:, None]


def _instrument_information(part, beta):
    return np.einsum("ij,ik->ijk", part.instruments, part.design)


MODELS = {
    "linear": _index_model(lambda e: e, np.ones_like),
    "logistic": _index_model(expit, lambda e: expit(e) * (1 - expit(e))),
    "poisson": _index_model(np.exp, np.exp),
    "multinomial": (_multinomial_moment, _multinomial_information),
    "instruments": (_instrument_moment, _instrument_information),
}


class Equation(NamedTuple):
    """One bias-corrected estimating equation.

    ``leverage`` of the rows on fixed effects, where gaps between gold and predicted data have
    their expected own products taken out.
    """

    model: str
    predicted: Version
    gold: Version
    drawn: np.ndarray
    probability: np.ndarray
    weight: np.ndarray
    leverage: np.ndarray | None = None

    @property
    def gap(self):
        """Gold minus predicted data."""
        pairs_of_parts = zip(self.gold, self.predicted, strict=True)
        return Version(*(None if one is None else one - hat for one, hat in pairs_of_parts))

    def mixed(self, term):
        """Return a_i {(1 - w_i) term(predicted) + w_i term(gold)} of every row.

        With leverages plus a_i P_ii (w_i^2 - w_i) term(gap).
        """
        hat, true = term(self.predicted), term(self.gold)
        axes = (slice(None), *[None] * (hat.ndim - 1))
        w = (self.drawn / self.probability)[axes]
        total = (1 - w) * hat + w * true
        if self.leverage is not None:
            total = total + self.leverage[axes] * (w**2 - w) * term(self.gap)
        return self.weight[axes] * total

    def moments(self, beta):
        return self.mixed(lambda part: MODELS[self.model][0](part, beta))

    def informations(self, beta):
        return self.mixed(lambda part: MODELS[self.model][1](part, beta))

    def errors(self, beta):
        """Return a_i {m(gold) - m(predicted)} of the rows drawn.

        With leverages plus a_i P_ii (1 / pi_i - 1) m(gap).
        """
        moment = MODELS[self.model][0]
        gap = moment(self.gold, beta) - moment(self.predicted, beta)
        if self.leverage is not None:
            share = self.leverage * (1 / self.probability - 1)
            gap = gap + share[:, None] * moment(self.gap, beta)
        return (self.weight[:, None] * gap)[self.drawn]

    def solve(self, start):
        found = root(
            lambda beta: self.moments(beta).mean(axis=0),
            start,
            jac=lambda beta: -self.informations(beta).mean(axis=0),
            tol=1e-14,
        )
        return found.x

    def cross(self, left, right):
        """Return the bias-corrected cross moment of two parts of a version."""
        return self.mixed(
            lambda part: np.einsum("ij,ik->ijk", getattr(part, left), getattr(part, right))
        ).sum(axis=0)


def two_stage(equation):
    """Return the two-stage estimate, the moments Pi'Z(Y - X'beta) and the sum of derivatives."""
    outcome = lambda part: part._replace(outcome=part.outcome[:, None])  # noqa: E731
    columns = equation._replace(predicted=outcome(equation.predicted), gold=outcome(equation.gold))
    zz, zx = columns.cross("instruments", "instruments"), columns.cross("instruments", "design")
    zy = columns.cross("instruments", "outcome")[:, 0]
    first_stage = np.linalg.solve(zz, zx)
    beta = np.linalg.solve(zx.T @ first_stage, first_stage.T @ zy)
    return beta, equation.moments(beta) @ first_stage, first_stage.T @ zx


def sums_by(codes, rows):
    return np.stack([rows[codes == code].sum(axis=0) for code in np.unique(codes)])


def pairs(clusters):
    """Return codes of the combinations of two cluster variables."""
    return np.unique(clusters, axis=0, return_inverse=True)[1].ravel()


def middle(moments, clusters=None, *, n_params=None):
    """Return the sum of outer products by rows, clusters or two ways; CR1 if n_params is given."""

    def one_way(codes):
        rows = sums_by(codes, moments)
        n, g = len(moments), len(rows)
        factor = 1.0 if n_params is None else g / (g - 1) * (n - 1) / (n - n_params)
        return factor * rows.T @ rows

    if clusters is None:
        return moments.T @ moments
    if clusters.ndim == 1:
        return one_way(clusters)
    return one_way(clusters[:, 0]) + one_way(clusters[:, 1]) - one_way(pairs(clusters))


def sandwich(moments, information, clusters=None, *, n_params=None):
    """Return J^-1 M J^-T from the moments of every row and the sum of the derivatives."""
    bread = np.linalg.inv(information)
    return bread @ middle(moments, clusters, n_params=n_params) @ bread.T


def adjusted_sandwich(moments, informations, units, power):
    """Return the sandwich of (I - J_u J^-1)^-power m_u over units, all dense."""
    total = informations.sum(axis=0)
    bread, identity = np.linalg.inv(total), np.eye(len(total))
    adjusted = []
    for unit in np.unique(units):
        rows = units == unit
        room = identity - informations[rows].sum(axis=0) @ bread
        adjust = np.linalg.inv(sqrtm(room).real if power == 0.5 else room)
        adjusted.append(adjust @ moments[rows].sum(axis=0))
    return bread @ (np.transpose(adjusted) @ np.array(adjusted)) @ bread


def fixed_size_moments(moments, errors, drawn):
    """Return the moments of a simple random draw, centred at the mean expanded error."""
    n, share = drawn.sum(), drawn.mean()
    centre = (errors / share).mean(axis=0)
    centred = moments + share * centre
    scale = np.sqrt(1 + (1 - share) / (n - 1))
    centred[drawn] += scale * (errors / share - centre) - errors / share
    return centred


def draw_middle(errors, probability, *, fixed_size):
    """Return the design variance of the total of the errors over the rows drawn."""
    expanded = errors / probability[:, None]
    if not fixed_size:
        return (expanded * (1 - probability)[:, None]).T @ expanded
    n, centred = len(errors), expanded - expanded.mean(axis=0)
    return (1 - probability[0]) * n / (n - 1) * centred.T @ centred


def dummies(codes):
    """Return independent dummy columns of the effects, in their order."""
    columns = [(effect == level).astype(float) for effect in codes.T for level in np.unique(effect)]
    kept, basis = [], np.empty((len(codes), 0))
    for column in columns:
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        if rest @ rest > 1e-10:
            kept.append(column)
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    return np.column_stack(kept)


def hat_diagonal(columns, weight):
    """Return the diagonal of D (D'WD)^-1 D'W, the projection onto independent columns."""
    scaled = columns * np.sqrt(weight)[:, None]
    return np.einsum("ij,ij->i", scaled @ np.linalg.inv(scaled.T @ scaled), scaled)


def relative_residual(moments):
    """Return the largest mean moment relative to the mean absolute one."""
    return np.max(np.abs(moments.mean(axis=0)) / np.abs(moments).mean(axis=0))
