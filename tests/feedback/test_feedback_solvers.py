"""Solvers reach the optimum, agree on it, and are what they should be in known limits."""

import numpy as np
import pytest
from click_data import clicks, penalised_loss, propensities, scores, squared_norms
from scipy import sparse

from trueness.feedback import RelMF
from trueness.feedback.numerics.adam import PairSampler
from trueness.feedback.numerics.cross_entropy import (
    bound_needed,
    cross_entropy_objective,
    majorise_minimise,
)
from trueness.feedback.numerics.dense import Risk
from trueness.feedback.numerics.factors import Factors, start_factors
from trueness.feedback.numerics.gradient import objective_gradient, quasi_newton
from trueness.feedback.numerics.labels import make_labels
from trueness.feedback.numerics.spectral import spectrum
from trueness.feedback.numerics.squared import alternating_least_squares, squared_objective
from trueness.feedback.numerics.weighted import weighted_least_squares

X = clicks()
WEIGHTS = 1.0 / np.maximum(propensities(), 0.2)
LABELS = make_labels(X, item_weights=WEIGHTS)
# The same weights given click by click take other ways through the code.
BY_CLICK = make_labels(X, click_weights=WEIGHTS[X.indices])
FINE = {"max_iter": 20_000, "tol": 1e-15}


def start(rank=4, *, fit_bias=False, intercept=0.1, scale=None, seed=1):
    rng = np.random.default_rng(seed)
    return start_factors(
        X.shape, rank, fit_bias=fit_bias, intercept=intercept, dtype=float, rng=rng, scale=scale
    )


def test_alternating_least_squares_reaches_the_closed_form():
    found = alternating_least_squares(LABELS, start(), regularization=3.0, **FINE)
    leading = spectrum(LABELS, 4, np.random.default_rng(0))
    assert found.objective[-1] == pytest.approx(leading.objective(3.0), rel=1e-10)
    # The closed form is the objective at its own factors, and its scores are the solver's.
    best = leading.factors(3.0)
    assert squared_objective(LABELS, best, 3.0) == pytest.approx(leading.objective(3.0), rel=1e-12)
    assert found.factors.users @ found.factors.items.T == pytest.approx(
        best.users @ best.items.T, abs=1e-4
    )


def test_the_closed_form_is_that_of_all_singular_values():
    W = X.toarray() * WEIGHTS
    values = np.linalg.svd(W, compute_uv=False)
    for rank in (3, 40):
        leading = spectrum(LABELS, rank, np.random.default_rng(0))
        assert leading.values == pytest.approx(values[:rank], abs=1e-9)
        kept = np.maximum(values[:rank] - 2.0, 0.0)
        assert leading.objective(2.0) == pytest.approx(np.sum(W**2) - np.sum(kept**2))
        assert leading.effective_rank(2.0) == np.count_nonzero(kept)


@pytest.mark.parametrize("fit_bias", [False, True])
@pytest.mark.parametrize("labels", [LABELS, BY_CLICK], ids=["by item", "by click"])
def test_gradients_vanish_where_least_squares_end(fit_bias, labels):
    found = alternating_least_squares(labels, start(fit_bias=fit_bias), regularization=3.0, **FINE)
    at = objective_gradient(labels, found.factors, Risk("squared"), 3.0)
    assert np.abs(at.users).max() < 1e-5
    assert np.abs(at.items).max() < 1e-5
    assert abs(at.intercept) < 1e-5
    assert at.value == pytest.approx(found.objective[-1], rel=1e-12)


@pytest.mark.parametrize("fit_bias", [False, True])
def test_solvers_of_squared_loss_agree(fit_bias):
    common = {"regularization": 3.0, **FINE}
    ends = [
        alternating_least_squares(LABELS, start(fit_bias=fit_bias), **common),
        weighted_least_squares(BY_CLICK, start(fit_bias=fit_bias), click_weight=1.0, **common),
        quasi_newton(LABELS, start(fit_bias=fit_bias), risk=Risk("squared"), **common),
    ]
    best = ends[0].objective[-1]
    assert [end.objective[-1] for end in ends] == pytest.approx([best] * 3, rel=1e-10)


def test_weighted_rows_reach_a_point_without_gradient():
    for fit_bias in (False, True):
        found = weighted_least_squares(
            LABELS, start(fit_bias=fit_bias), click_weight=5.0, regularization=3.0, **FINE
        )
        at = objective_gradient(LABELS, found.factors, Risk("squared", 5.0), 3.0)
        assert at.value == pytest.approx(found.objective[-1], rel=1e-12)
        assert np.abs(at.users).max() < 1e-5
        assert np.abs(at.items).max() < 1e-5
        assert (np.diff(found.objective) <= 1e-9).all()


@pytest.mark.parametrize("fit_bias", [False, True])
def test_item_weights_minimise_what_they_say(fit_bias):
    c = np.minimum(1.0, propensities() / 0.2)
    found = alternating_least_squares(
        LABELS, start(fit_bias=fit_bias), regularization=3.0, item_weights=c, **FINE
    )
    assert (np.diff(found.objective) <= 1e-9).all()
    factors = found.factors
    S, W = factors.users @ factors.items.T, X.toarray() / propensities()
    assert found.objective[-1] == pytest.approx(
        np.sum(c * (S - W) ** 2) + 3.0 * factors.squared_norm(), rel=1e-12
    )
    R = c * (S - W)
    assert np.abs(R @ factors.item_factors + 3.0 * factors.user_factors).max() < 1e-5
    assert np.abs(R.T @ factors.user_factors + 3.0 * factors.item_factors).max() < 1e-5
    if fit_bias:
        assert np.abs(R.sum(axis=1) + 3.0 * factors.user_biases).max() < 1e-5
        assert np.abs(R.sum(axis=0) + 3.0 * factors.item_biases).max() < 1e-5
        assert abs(R.sum()) < 1e-5


def test_item_weights_of_one_change_nothing():
    ones = np.ones(X.shape[1])
    options = {"regularization": 3.0, "max_iter": 20, "tol": 0.0}
    with_weights = alternating_least_squares(LABELS, start(), item_weights=ones, **options)
    without = alternating_least_squares(LABELS, start(), **options)
    assert with_weights.objective == pytest.approx(without.objective, rel=1e-10)


# --------------------------------------------------------------------------- other losses


@pytest.mark.parametrize("fit_bias", [False, True])
def test_majorisation_decreases_and_agrees_with_other_solvers(fit_bias):
    common = {"regularization": 20.0, **FINE}
    risk = Risk("cross_entropy")
    options = {"fit_bias": fit_bias, "intercept": -1.0}
    found = majorise_minimise(LABELS, start(12, **options), **common)
    assert (np.diff(found.objective) <= 1e-9).all()
    other = quasi_newton(LABELS, start(12, **options), risk=risk, **common)
    assert found.objective[-1] == pytest.approx(other.objective[-1], rel=1e-10)
    at = objective_gradient(LABELS, found.factors, risk, 20.0)
    assert np.abs(at.users).max() < 1e-4
    assert abs(at.intercept) < 1e-4


@pytest.mark.parametrize("loss", ["squared", "cross_entropy", "squared_sigmoid"])
def test_adam_agrees_with_other_solvers(loss):
    options = {"loss": loss, "regularization": 15.0, "dtype": "float64", "random_state": 0}
    by_adam = RelMF(4, solver="adam", learning_rate=0.02, max_iter=4000, tol=1e-14, **options)
    by_lbfgs = RelMF(4, solver="lbfgs", max_iter=2000, tol=1e-14, **options)
    for model in (by_adam, by_lbfgs):
        model.fit(X, propensity=propensities())
    assert by_adam.objective_[-1] == pytest.approx(by_lbfgs.objective_[-1], rel=1e-6)


@pytest.mark.parametrize(
    "risk",
    [Risk("squared", 3.0), Risk("cross_entropy", 3.0, 0.5), Risk("squared_sigmoid", 3.0, 0.5)],
    ids=lambda risk: risk.loss,
)
@pytest.mark.parametrize("fit_bias", [False, True])
def test_gradients_agree_with_differences(risk, fit_bias):
    factors = start(3, fit_bias=fit_bias, scale=0.7)
    found = objective_gradient(BY_CLICK, factors, risk, 2.0)
    step = 1e-5
    for name, column in (("users", 1), ("users", factors.rank - 1 + fit_bias), ("items", 2)):
        differences = []
        for sign in (1.0, -1.0):
            moved = factors.copy()
            getattr(moved, name)[7, column] += sign * step
            differences.append(sign * objective_gradient(BY_CLICK, moved, risk, 2.0).value)
        expected = sum(differences) / (2.0 * step)
        assert getattr(found, name)[7, column] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("loss", ["squared", "cross_entropy", "squared_sigmoid"])
@pytest.mark.parametrize("options", [{}, {"fit_bias": True}, {"class_balance": True}], ids=str)
def test_the_objective_is_what_the_docstring_says(loss, options):
    penalty = 300.0 if options.get("class_balance") else 30.0
    model = RelMF(
        3,
        loss=loss,
        solver="lbfgs",
        regularization=penalty,
        dtype="float64",
        random_state=0,
        **options,
    ).fit(X, propensity=propensities())
    weight = (X.shape[0] * X.shape[1] - X.nnz) / X.nnz if model.class_balance else 1.0
    written_out = penalised_loss(
        model, X, propensities(), clip=0.3, regularization=penalty, loss=loss, weight=weight
    )
    assert model.objective_[-1] == pytest.approx(written_out, rel=1e-9)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("loss", ["squared", "cross_entropy", "squared_sigmoid"])
def test_sampled_gradients_are_unbiased(balanced, loss):
    weight = (X.shape[0] * X.shape[1] - X.nnz) / X.nnz if balanced else 1.0
    risk, factors = Risk(loss, weight), start(2, fit_bias=True, scale=0.7)
    n_pairs = X.shape[0] * X.shape[1]
    total = weight * X.nnz + n_pairs - X.nnz
    exact = objective_gradient(LABELS, factors, risk, 2.0)
    sampler = PairSampler(LABELS, 4000, balanced, np.random.default_rng(5))
    draws = [sampler.gradient(factors, risk, 2.0, total) for _ in range(60)]
    for name in ("value", "intercept", "users", "items"):
        values = np.array([getattr(draw, name) for draw in draws])
        error = values.std(axis=0, ddof=1) / np.sqrt(len(draws))
        z = (values.mean(axis=0) - getattr(exact, name)) / error
        # Standard normal, of which the largest of some 200 stays below 5 nearly always.
        assert np.abs(z).max() < 5.0, name
        if np.ndim(z):
            assert 0.7 < z.std() < 1.3


def test_balanced_samples_are_half_clicks():
    sampler = PairSampler(LABELS, 1000, True, np.random.default_rng(0))
    users, items, w, clicked = sampler.draw()
    assert clicked.sum() == 500
    assert np.array_equal(X.toarray()[users, items] > 0, clicked)
    assert w[clicked] == pytest.approx(WEIGHTS[items[clicked]])
    assert not w[~clicked].any()


# --------------------------------------------------------------------------- boundedness


def rank_one(size):
    """Return factors of one pair whose score is ``size``, at the least penalty for it."""
    root = np.full((1, 1), np.sqrt(size))
    return Factors(root, root.copy(), 0.0, False)


def test_the_bound_is_sharp_for_one_pair():
    labels = make_labels(sparse.csr_matrix([[1.0]]), click_weights=np.array([3.0]))
    needed = bound_needed(labels, fit_bias=False, rng=np.random.default_rng(0))
    assert needed == pytest.approx(2.0)
    # F = log(1 + e^s) - 3s + lambda |s|
    assert cross_entropy_objective(labels, rank_one(1e6), 1.99) < -9e3
    assert cross_entropy_objective(labels, rank_one(1e6), 2.0) == pytest.approx(0.0, abs=1e-6)


def test_weights_of_one_need_no_penalty():
    labels = make_labels(X)
    assert bound_needed(labels, fit_bias=True, rng=np.random.default_rng(0)) == 0.0


@pytest.mark.parametrize("fit_bias", [False, True])
def test_the_objective_stays_up_with_the_needed_penalty_and_falls_without(fit_bias):
    rng = np.random.default_rng(0)
    needed = bound_needed(LABELS, fit_bias=fit_bias, rng=rng)
    excess = np.maximum(X.toarray() * WEIGHTS - 1.0, 0.0)
    if fit_bias:
        excess = np.where(X.toarray() > 0, excess, -excess.sum() / (X.toarray() == 0).sum())
    assert needed == pytest.approx(np.linalg.norm(excess, 2))
    options = {"max_iter": 150, "tol": 0.0}
    held = majorise_minimise(
        LABELS, start(6, fit_bias=fit_bias), regularization=1.001 * needed, **options
    )
    assert held.objective[-1] > 0.0
    loose = majorise_minimise(
        LABELS, start(6, fit_bias=fit_bias), regularization=0.3 * needed, **options
    )
    assert loose.objective[-1] < -1e3


def test_an_intercept_cannot_be_bounded_where_labels_exceed_the_pairs():
    labels = make_labels(sparse.csr_matrix([[1.0, 1.0, 0.0]]), item_weights=np.full(3, 9.0))
    assert bound_needed(labels, fit_bias=True, rng=np.random.default_rng(0)) == np.inf


# --------------------------------------------------------------------------- limits in clip


@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
def test_a_clip_of_one_is_the_naive_loss_exactly(loss):
    options = {"loss": loss, "regularization": 10.0, "random_state": 0}
    clipped = RelMF(3, clip=1.0, **options).fit(X, propensity=propensities())
    naive = RelMF(3, clip=0.0, **options).fit(X, propensity=1.0)
    assert np.array_equal(clipped.user_factors_, naive.user_factors_)
    assert np.array_equal(clipped.item_factors_, naive.item_factors_)
    assert clipped.objective_ == naive.objective_


def test_a_clip_of_zero_is_the_unbiased_loss_exactly():
    options = {"regularization": 10.0, "random_state": 0, "dtype": "float64"}
    model = RelMF(3, clip=0.0, **options).fit(X, propensity=propensities())
    below = RelMF(3, clip=propensities().min(), **options).fit(X, propensity=propensities())
    assert np.array_equal(model.user_factors_, below.user_factors_)
    W = X.toarray() / propensities()
    direct = np.sum((scores(model) - W) ** 2) + 10.0 * squared_norms(model)
    assert model.objective_[-1] == pytest.approx(direct, rel=1e-12)


def test_item_weights_without_clip_are_the_unbiased_loss():
    options = {"clip": 0.0, "regularization": 10.0, "random_state": 0}
    weighted = RelMF(3, item_weighted=True, **options).fit(X, propensity=propensities())
    unbiased = RelMF(3, **options).fit(X, propensity=propensities())
    assert np.array_equal(weighted.user_factors_, unbiased.user_factors_)


def test_scaling_propensities_scales_scores_without_a_clip():
    # w -> 2w and lambda -> 2 lambda doubles the scores: rankings know propensities up to a factor.
    options = {"clip": 0.0, "solver": "svd", "dtype": "float64", "random_state": 0}
    one = RelMF(3, regularization=5.0, **options).fit(X, propensity=propensities())
    half = RelMF(3, regularization=10.0, **options).fit(X, propensity=propensities() / 2.0)
    assert scores(half) == pytest.approx(2.0 * scores(one), abs=1e-9)
