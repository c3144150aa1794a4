"""The power-tuned estimator as the mathematics states it, dense and unit by unit.

Sums that leave a unit out are made by leaving it out, inverses are inverses of matrices, and roots
come from a general solver. Nothing of the package is used.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import root
from written_out import MODELS, Version, middle


class Sampling(NamedTuple):
    """What was known of the draw before it was made, for every row of the frame."""

    probability: np.ndarray
    is_fixed: bool
    groups: np.ndarray | None = None
    units: np.ndarray | None = None
    unit_probability: np.ndarray | None = None


class DrawnUnit(NamedTuple):
    """One drawn sampling unit: all its rows, and those that are labelled."""

    members: np.ndarray
    labelled: np.ndarray
    probability: float
    within: np.ndarray
    group: int


def drawn_units(sampling, drawn):
    """Return the drawn units in the order of their numbers."""
    n = len(drawn)
    units = np.arange(n) if sampling.units is None else sampling.units
    chance = sampling.unit_probability
    if chance is None:
        chance = sampling.probability
    groups = np.zeros(n, dtype=int) if sampling.groups is None else sampling.groups
    found = []
    for u in np.unique(units[drawn]):
        members = np.flatnonzero(units == u)
        labelled = members[drawn[members]]
        within = sampling.probability[labelled] / chance[labelled]
        found.append(DrawnUnit(members, labelled, chance[members[0]], within, groups[members[0]]))
    return found


def unit_totals(units, values):
    """Return a_u, expanded from the labelled rows of each unit; values of all rows."""
    return np.array([(values[u.labelled] / u.within[:, None]).sum(axis=0) for u in units])


def _groups(units):
    """Return the group of each unit, and whether the draw left it to chance."""
    return np.array([u.group for u in units]), np.array([u.probability < 1 for u in units])


def factors(units, *, is_fixed):
    """Return c_u of each unit."""
    group, is_random = _groups(units)
    result = np.array([1 - u.probability for u in units])
    for g in np.unique(group):
        n = (is_random & (group == g)).sum()
        if is_fixed and n > 1:
            result[group == g] *= n / (n - 1)
    return result


def centres(units, totals, *, is_fixed):
    """Return A_g of each unit."""
    group, is_random = _groups(units)
    result, c = np.zeros_like(totals), factors(units, is_fixed=is_fixed)
    expanded = totals / np.array([u.probability for u in units])[:, None]
    for g in np.unique(group):
        mates = is_random & (group == g)
        if is_fixed and mates.sum() > 1:
            result[mates] = c[mates] @ expanded[mates] / c[mates].sum()
    return result


def deviations(units, totals, *, is_fixed):
    """Return a_u / pi_u - A_g."""
    chance = np.array([u.probability for u in units])
    return totals / chance[:, None] - centres(units, totals, is_fixed=is_fixed)


def design_terms(units, left, right, *, is_fixed):
    """Return the terms of C_D(left, right), one matrix for each drawn unit."""
    c = factors(units, is_fixed=is_fixed)
    a, b = (deviations(units, totals, is_fixed=is_fixed) for totals in (left, right))
    return np.einsum("u,ui,uj->uij", c, a, b)


class Moments(NamedTuple):
    """Terms of C_D for gold and predicted influence, one matrix for each drawn unit."""

    gold: np.ndarray
    cross: np.ndarray
    square: np.ndarray

    def weights(self, kind, without=None):
        """Return Lambda, from all units but perhaps one; kind may be a contrast of coefficients."""
        if isinstance(kind, np.ndarray):
            own = (np.einsum("i,uij,j->u", kind, part, kind)[:, None, None] for part in self)
            return Moments(*own).weights("diagonal", without)[0, 0] * np.eye(len(kind))
        kept = np.arange(len(self.cross)) != without
        cross, square = self.cross[kept].sum(axis=0), self.square[kept].sum(axis=0)
        if kind == "matrix":
            return cross @ np.linalg.inv(square)
        if kind == "diagonal":
            ratios = np.diag(cross) / np.diag(square)
            return np.diag([self.shrunk(j, ratio) for j, ratio in enumerate(ratios)])
        # Variances of gold-only are a scale, and stay those of all units.
        size = np.diag(self.gold.sum(axis=0))
        ratio = (np.diag(cross) / size).sum() / (np.diag(square) / size).sum()
        return np.clip(ratio, 0, 1) * np.eye(len(size))

    def shrunk(self, j, ratio):
        """Move one weight towards the nearer of 0 and 1, by James and Stein's positive part.

        The variance of the ratio is that of all units, also where one is left out.
        """
        cross, square = self.cross[:, j, j], self.square[:, j, j]
        variance = sum((cross - cross.sum() / square.sum() * square) ** 2) / square.sum() ** 2
        nearer = 1.0 if ratio > 0.5 else 0.0
        distance = ratio - nearer
        return np.clip(nearer + max(0.0, 1 - variance / distance**2) * distance, 0, 1)


class Answer(NamedTuple):
    """Everything about one tuned fit."""

    params: np.ndarray
    cov: np.ndarray
    weights: np.ndarray
    gamma: np.ndarray
    jacobian: np.ndarray
    moments: np.ndarray
    errors: np.ndarray
    corrected: np.ndarray
    starred: np.ndarray

    def from_labels(self, drawn, clusters=None):
        """Return the share of each variance that rows or clusters with a label contribute."""
        clusters = np.arange(len(drawn)) if clusters is None else clusters
        influence, own, rest = self.corrected @ np.linalg.inv(self.jacobian).T, 0.0, 0.0
        for cluster in np.unique(clusters):
            members = clusters == cluster
            square = influence[members].sum(axis=0) ** 2
            own, rest = (own + square, rest) if drawn[members].any() else (own, rest + square)
        return own / (own + rest)


class Tuned(NamedTuple):
    """One tuned estimating equation; gold data of rows not drawn may be anything finite.

    Errors take a share of the correction: one half makes them the mean of e and e*.
    """

    moment: object
    information: object
    predicted: Version
    gold: Version
    drawn: np.ndarray
    sampling: Sampling
    weight: np.ndarray
    n_params: int
    correction: float = 1.0

    @classmethod
    def of(cls, model, predicted, gold, drawn, sampling, weight=None):
        """Return the equation of a model that is written out in `written_out`."""
        weight = np.ones(len(drawn)) if weight is None else weight / weight.mean()
        n_params = predicted.design.shape[1]
        if model == "multinomial":
            n_params *= predicted.outcome.shape[1]
        has_units = sampling.units is not None
        halved = model in ("logistic", "multinomial") or (model == "linear" and has_units)
        share = 0.5 if halved and len(drawn_units(sampling, drawn)) >= 10 else 1.0
        return cls(*MODELS[model], predicted, gold, drawn, sampling, weight, n_params, share)

    def mixed(self, gamma, hat, true):
        """Return a_i {Gamma (1 - w_i) hat_i + w_i true_i}; vectors or matrices of every row."""
        w = (self.drawn / self.sampling.probability).reshape(-1, *[1] * (hat.ndim - 1))
        a = self.weight.reshape(w.shape)
        return a * ((1 - w) * np.einsum("ij,nj...->ni...", gamma, hat) + w * true)

    def moments(self, gamma, beta):
        return self.mixed(gamma, self.moment(self.predicted, beta), self.moment(self.gold, beta))

    def jacobian(self, gamma, beta):
        parts = (self.information(part, beta) for part in (self.predicted, self.gold))
        return self.mixed(gamma, *parts).mean(axis=0)

    def solve(self, gamma, start):
        found = root(
            lambda beta: self.moments(gamma, beta).mean(axis=0),
            start,
            jac=lambda beta: -self.jacobian(gamma, beta),
            tol=1e-14,
        )
        return found.x

    def errors(self, gamma, beta):
        """Return a_i (m_i - Gamma mhat_i), right on labelled rows."""
        gap = self.moment(self.gold, beta) - self.moment(self.predicted, beta) @ gamma.T
        return self.weight[:, None] * gap

    def design_moments(self, beta):
        """Return J_0 and the terms of C_D at some parameters."""
        base = self.jacobian(np.zeros((self.n_params,) * 2), beta)
        units = drawn_units(self.sampling, self.drawn)
        psi, psi_hat = (
            unit_totals(units, self.weight[:, None] * self.moment(part, beta))
            @ np.linalg.inv(base).T
            for part in (self.gold, self.predicted)
        )
        pairs = ((psi, psi), (psi, psi_hat), (psi_hat, psi_hat))
        fixed = self.sampling.is_fixed
        return base, Moments(*(design_terms(units, *pair, is_fixed=fixed) for pair in pairs))

    def starred_errors(self, kind, gamma, at, beta):
        """Return e*_u: the weight of the other units, and without the unit's own leverage."""
        units = drawn_units(self.sampling, self.drawn)
        n = len(self.drawn)
        inverse = np.linalg.inv(self.jacobian(gamma, beta) * n)
        own = self.weight[:, None, None] * (
            self.information(self.gold, beta)
            - np.einsum("ij,njk->nik", gamma, self.information(self.predicted, beta))
        )
        base, moments = self.design_moments(at)
        gold, hat = (
            unit_totals(units, self.weight[:, None] * self.moment(part, beta))
            for part in (self.gold, self.predicted)
        )
        starred = []
        for position, unit in enumerate(units):
            left_out = base @ moments.weights(kind, without=position) @ np.linalg.inv(base)
            error = gold[position] - left_out @ hat[position]
            chance = self.sampling.probability[unit.labelled]
            leverage = (own[unit.labelled] / chance[:, None, None]).sum(axis=0) @ inverse
            starred.append(np.linalg.inv(np.eye(self.n_params) - leverage) @ error)
        return np.array(starred)

    def corrected_moments(self, gamma, beta, starred):
        """Return Gamma mhat_i + pi_i A_g + R_i (e_i / pi_i - A_g), with the changes of e*."""
        units, fixed = drawn_units(self.sampling, self.drawn), self.sampling.is_fixed
        hat = self.weight[:, None] * (self.moment(self.predicted, beta) @ gamma.T)
        errors = self.errors(gamma, beta)
        totals = unit_totals(units, errors)
        c, centre = factors(units, is_fixed=fixed), centres(units, totals, is_fixed=fixed)
        plain, better = (deviations(units, each, is_fixed=fixed) for each in (totals, starred))
        result = hat.copy()
        chance_of = self.sampling.unit_probability
        chance_of = self.sampling.probability if chance_of is None else chance_of
        groups = self.sampling.groups
        groups = np.zeros(len(hat), dtype=int) if groups is None else groups
        members = self.sampling.units
        members = np.arange(len(hat)) if members is None else members
        for g in np.unique(groups):
            known = [i for i, u in enumerate(units) if u.group == g and u.probability < 1]
            if known:
                rows = (groups == g) & (chance_of < 1)
                size = np.bincount(members)[members[rows]]
                result[rows] += (chance_of[rows] / size)[:, None] * centre[known[0]]
        for position, unit in enumerate(units):
            rest = 1 - unit.probability
            last = np.sqrt(1 + c[position] - rest) * plain[position]
            last = last + rest * (better[position] - plain[position])
            # The expanded errors of the rows, and the unit's change in equal shares.
            pi = self.sampling.probability[unit.labelled, None]
            result[unit.labelled] += errors[unit.labelled] / pi
            change = last - totals[position] / unit.probability
            result[unit.labelled] += change / len(unit.labelled)
        return result

    def round(self, kind, at):
        """Return the root with the weights and the J_0 of some parameters; weights; Gamma."""
        base, terms = self.design_moments(at)
        weights = terms.weights(kind)
        gamma = base @ weights @ np.linalg.inv(base)
        return self.solve(gamma, at), weights, gamma

    def answer(self, kind, *, clusters=None, target="superpopulation", gold_root=None):
        """Return the tuned estimate and its covariance."""
        nothing, p, n = np.zeros((self.n_params,) * 2), self.n_params, len(self.drawn)
        if gold_root is None:
            gold_root = self.solve(nothing, np.zeros(p))
        at, _, _ = self.round(kind, gold_root)
        beta, weights, gamma = self.round(kind, at)
        jacobian, moments = self.jacobian(gamma, beta), self.moments(gamma, beta)
        errors = self.errors(gamma, beta)
        totals = unit_totals(drawn_units(self.sampling, self.drawn), errors)
        starred = self.starred_errors(kind, gamma, at, beta)
        starred = totals + self.correction * (starred - totals)
        corrected = self.corrected_moments(gamma, beta, starred)
        if target == "superpopulation":
            total = middle(corrected, clusters)
        else:
            total = self.population_middle(starred, errors)
        inverse = np.linalg.inv(jacobian)
        cov = inverse @ total @ inverse.T / n**2
        return Answer(beta, cov, weights, gamma, jacobian, moments, errors, corrected, starred)

    def population_middle(self, starred, errors):
        """Return C_D(e*, e*), and the second stage within units."""
        units, fixed = drawn_units(self.sampling, self.drawn), self.sampling.is_fixed
        total = design_terms(units, starred, starred, is_fixed=fixed).sum(axis=0)
        if self.sampling.unit_probability is None:
            return total
        for unit in units:
            rows = [
                DrawnUnit(np.array([i]), np.array([i]), chance, np.ones(1), 0)
                for i, chance in zip(unit.labelled, unit.within, strict=True)
            ]
            values = errors[unit.labelled]
            second = design_terms(rows, values, values, is_fixed=True).sum(axis=0)
            total = total + second / unit.probability
        return total
