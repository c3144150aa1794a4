"""Small clicks that the tests of feedback models share, and their losses written out."""

import numpy as np
from scipy import sparse
from scipy.special import expit

SHAPE = 60, 40


def clicks(seed=0, shape=SHAPE, rate=0.15):
    """Draw clicks of which some items have more than others."""
    rng = np.random.default_rng(seed)
    rates = rate * 2.0 * rng.random(shape[1])
    return sparse.csr_matrix((rng.random(shape) < rates).astype(float))


def propensities(seed=0, n_items=SHAPE[1]):
    """Draw propensities of items between 0.05 and 1."""
    return 0.05 + 0.95 * np.random.default_rng(seed).random(n_items)


def scores(model):
    """Return the scores of all pairs."""
    return (
        model.intercept_
        + model.user_biases_[:, None]
        + model.item_biases_
        + model.user_factors_ @ model.item_factors_.T
    )


def squared_norms(model):
    parts = model.user_factors_, model.item_factors_, model.user_biases_, model.item_biases_
    return sum(float(np.sum(part**2)) for part in parts)


def penalised_loss(model, X, propensity, *, clip, regularization, loss="squared", weight=1.0):
    """Return the objective of the docstring of RelMF, pair by pair."""
    Y, s = X.toarray(), scores(model)
    w = Y / np.maximum(propensity, clip)
    c = np.where(Y > 0, weight, 1.0)
    if loss == "squared":
        return np.sum(c * (s - w) ** 2) + regularization * squared_norms(model)
    if loss == "cross_entropy":
        each = w * np.logaddexp(0, -s) + (1 - w) * np.logaddexp(0, s)
    else:
        each = w * expit(-s) ** 2 + (1 - w) * expit(s) ** 2
    return np.sum(c * each) + 0.5 * regularization * squared_norms(model)
