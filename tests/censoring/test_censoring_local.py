"""Curves with local weights against the product written out slowly, in every mode."""

import numpy as np
import pandas as pd
import pytest
from censoring_reference import delayed, durations, products
from sklearn.preprocessing import StandardScaler

from trueness.censoring import (
    BeranCensoring,
    ForestCensoring,
    NeighborsCensoring,
    censoring_weights,
)
from trueness.censoring.numerics import local

KERNELS = {
    "gaussian": lambda r: np.exp(-(r**2) / 2),
    "epanechnikov": lambda r: np.maximum(1 - r**2, 0),
    "uniform": lambda r: (np.abs(r) <= 1).astype(float),
    "triangular": lambda r: np.maximum(1 - np.abs(r), 0),
    "biweight": lambda r: np.maximum(1 - r**2, 0) ** 2,
    "tricube": lambda r: np.maximum(1 - np.abs(r) ** 3, 0) ** 3,
}
N = 60


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Make sure that points are worked through in more than one part."""
    monkeypatch.setattr(local, "CHUNK_ELEMENTS", 7 * N)


def aligned(kind):
    """Return what comes with the rows in a mode."""
    _, time, _ = durations(N)
    rng = np.random.default_rng(8)
    return {
        "plain": {},
        "weights": {"sample_weight": rng.uniform(0.2, 3.0, N) * (rng.random(N) < 0.9)},
        "entry": {"entry": delayed(time)},
        "both": {"entry": delayed(time), "sample_weight": rng.uniform(0.2, 3.0, N)},
        "clusters": {"clusters": rng.integers(0, 15, N)},
        "two-way": {"clusters": rng.integers(0, 15, (N, 2))},
    }[kind]


ALIGNED = ["plain", "weights", "entry", "both", "clusters", "two-way"]


def others(more, leave_one_out=True):
    """Return 1 where a row may say something about another one, and 0 elsewhere."""
    if not leave_one_out:
        return np.ones((N, N))
    groups = np.asarray(more.get("clusters", np.arange(N))).reshape(N, -1)
    return (groups[:, None, :] != groups[None, :, :]).all(axis=2).astype(float)


def check(model, b, time, event, more, of="censoring"):
    """Compare training curves at own, common and several times with the product of weights b."""
    b = b * more.get("sample_weight", np.ones(N))
    options = {"of": of, "entry": more.get("entry")}
    for side in ("left", "right"):
        slow = products(b, time, event, time, side=side, **options)
        assert model.training_survival(time, side) == pytest.approx(slow, abs=1e-12)
        grid = np.array([1.0, 3.0, 4.5])
        slow = np.column_stack(
            [products(b, time, event, np.full(N, u), side=side, **options) for u in grid]
        )
        assert model.training_grid(grid, side) == pytest.approx(slow, abs=1e-12)
        rows = np.array([5, 3, 40])
        assert model.training_grid(grid, side, rows) == pytest.approx(slow[rows], abs=1e-12)
        several = np.column_stack([time, time / 2.0, np.full(N, 3.0)])
        found = model.training_survival(several, side)
        for j, column in enumerate(several.T):
            slow = products(b, time, event, column, side=side, **options)
            assert found[:, j] == pytest.approx(slow, abs=1e-12)
    support = model.training_curves(time, "left").support
    with np.errstate(invalid="ignore"):
        slow = np.nan_to_num(b.sum(axis=1) ** 2 / (b**2).sum(axis=1))
    assert support == pytest.approx(slow, abs=1e-9)


# -------------------------------------------------------------------------- worked example


E3 = {
    # By hand: weights of the rows within reach of each row with an event, rows 1, 3, 5 and 6.
    ("uniform", 1.0, False): ([2 / 3, 3 / 5, 2 / 3, 1], [1 / 4, 5 / 18, 1 / 4, 1 / 6]),
    ("uniform", 1.0, True): ([1 / 2, 1 / 2, 1 / 2, 1], [1 / 3, 1 / 3, 1 / 3, 1 / 6]),
    ("epanechnikov", 1.2, False): ([188 / 307, 116 / 235, 188 / 307, 1], None),
    ("epanechnikov", 1.2, True): ([44 / 163, 44 / 163, 44 / 163, 1], None),
    # With exp(-r^2 / 2), to eight digits.
    ("gaussian", 1.0, False): ([0.59436309, 0.56828409, 0.60748986, 0.95478201], None),
    ("gaussian", 1.0, True): ([0.38757993, 0.42419552, 0.40434678, 0.93209306], None),
}


@pytest.mark.parametrize(("kernel", "bandwidth", "leave_one_out"), E3)
def test_the_worked_example(kernel, bandwidth, leave_one_out):
    x = np.arange(0.0, 3.0, 0.5)[:, None]
    time, event = [3, 1, 4, 2, 5, 2], [1, 0, 1, 0, 1, 1]
    model = BeranCensoring(
        bandwidth=bandwidth, kernel=kernel, standardize=False, leave_one_out=leave_one_out
    )
    found = censoring_weights(
        time, event, x, model=model, floor=0, min_neighbors=0, positivity="ignore"
    )
    survived, weights = E3[kernel, bandwidth, leave_one_out]
    digits = 5e-9 if kernel == "gaussian" else 1e-14
    assert found.survival[[0, 2, 4, 5]] == pytest.approx(survived, abs=digits)
    if weights:
        assert found.weights[[0, 2, 4, 5]] == pytest.approx(weights, abs=1e-14)


# --------------------------------------------------------------------------------- kernels


def kernel_weights(x, kernel, form, bandwidth):
    gaps = (x[:, None, :] - x[None, :, :]) / bandwidth
    if form == "radial":
        return KERNELS[kernel](np.sqrt((gaps**2).sum(axis=2)))
    return KERNELS[kernel](gaps).prod(axis=2)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("form", ["radial", "product"])
@pytest.mark.parametrize("leave_one_out", [True, False])
def test_every_kernel(kernel, form, leave_one_out):
    x, time, event = durations(N)
    bandwidth = np.array([0.8, 1.3])
    model = BeranCensoring(
        bandwidth=bandwidth, kernel=kernel, form=form, leave_one_out=leave_one_out
    ).fit(x, time, event)
    b = kernel_weights(StandardScaler().fit_transform(x), kernel, form, bandwidth)
    check(model, b * others({}, leave_one_out), time, event, {})


@pytest.mark.parametrize("kind", ALIGNED)
@pytest.mark.parametrize("of", ["censoring", "event"])
def test_kernels_with_weights_entries_and_clusters(kind, of):
    x, time, event = durations(N)
    more = aligned(kind)
    model = BeranCensoring(bandwidth=0.9, kernel="epanechnikov", of=of, standardize=False)
    model.fit(x, time, event, **more)
    b = kernel_weights(x, "epanechnikov", "radial", 0.9)
    check(model, b * others(more), time, event, more, of)


@pytest.mark.parametrize("mismatch", [0.0, 0.4, 1.0])
def test_categories_match_or_count_less(mismatch):
    x, time, event = durations(N, levels=3)
    words = np.array(["north", "south", "west"])[x[:, 2].astype(int)]
    frame = pd.DataFrame({"a": x[:, 0], "region": words, "b": x[:, 1]})
    b = kernel_weights(x[:, :2], "gaussian", "radial", 0.7)
    b = b * np.where(words[:, None] == words[None, :], 1.0, mismatch) * others({})
    model = BeranCensoring(bandwidth=0.7, standardize=False, mismatch=mismatch)
    check(model.fit(frame, time, event), b, time, event, {})
    coded = frame.assign(region=x[:, 2])
    model.set_params(categorical=["region"])
    check(model.fit(coded, time, event), b, time, event, {})


def test_exact_match_alone_is_a_curve_for_each_stratum():
    _, time, event = durations(N)
    stratum = np.arange(N) % 2
    model = BeranCensoring(bandwidth="brier", categorical=[0], leave_one_out=False)
    model.set_params(bandwidth="effective")
    model.fit(stratum[:, None], time, event)
    b = (stratum[:, None] == stratum[None, :]).astype(float)
    check(model, b, time, event, {})


def test_a_category_never_seen_has_no_neighbours():
    _, time, event = durations(N)
    frame = pd.DataFrame({"region": np.array(["north", "south"])[np.arange(N) % 2]})
    model = BeranCensoring(bandwidth=1.0).fit(frame, time, event)
    new = pd.DataFrame({"region": ["east", "north"]})
    curves = model._curves(new, np.array([[3.0]]), "left")
    assert curves.support.tolist() == [0.0, N / 2]
    assert curves.values[0, 0] == 1.0


def test_new_rows_leave_nobody_out():
    x, time, event = durations(N)
    rng = np.random.default_rng(9)
    new, at = rng.normal(size=(20, 2)), rng.uniform(0.5, 5.0, 20)
    model = BeranCensoring(bandwidth=0.9, standardize=False).fit(x, time, event)
    b = np.exp(-((new[:, None, :] - x[None, :, :]) ** 2).sum(axis=2) / 2 / 0.9**2)
    slow = products(b, time, event, at)
    assert model.survival(new, at, "left") == pytest.approx(slow, abs=1e-12)
    curve = model.curve(new[3])
    assert curve(at[3], "left") == pytest.approx(slow[3], abs=1e-12)
    grid = model.survival_grid(new, [1.0, 3.0])
    assert grid[3] == pytest.approx(curve([1.0, 3.0]), abs=1e-12)


# ------------------------------------------------------------------------------ neighbours


def neighbor_weights(x, k, allowed, kernel="uniform"):
    distance = np.sqrt(((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=2))
    b = np.zeros((N, N))
    for i in range(N):
        able = np.flatnonzero(allowed[i])
        nearest = able[np.argsort(distance[i, able])[:k]]
        rho = distance[i, nearest]
        b[i, nearest] = 1.0 if kernel == "uniform" else KERNELS[kernel](rho / rho.max())
    return b


@pytest.mark.parametrize("kind", ALIGNED)
@pytest.mark.parametrize("of", ["censoring", "event"])
@pytest.mark.parametrize("kernel", ["uniform", "gaussian"])
def test_neighbours(kind, of, kernel):
    x, time, event = durations(N)
    more = aligned(kind)
    model = NeighborsCensoring(n_neighbors=9, kernel=kernel, of=of, standardize=False)
    model.fit(x, time, event, **more)
    allowed = others(more) * (more.get("sample_weight", np.ones(N)) > 0.0)
    check(model, neighbor_weights(x, 9, allowed, kernel), time, event, more, of)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_of_distances_to_neighbours(kernel):
    x, time, event = durations(N)
    model = NeighborsCensoring(n_neighbors=9, kernel=kernel, standardize=False).fit(x, time, event)
    check(model, neighbor_weights(x, 9, others({}), kernel), time, event, {})


def test_neighbours_that_may_count_themselves():
    x, time, event = durations(N)
    model = NeighborsCensoring(n_neighbors=9, leave_one_out=False, standardize=False)
    b = neighbor_weights(x, 9, np.ones((N, N)))
    check(model.fit(x, time, event), b, time, event, {})
    found = model.survival(x, time, "left")
    assert found == pytest.approx(model.training_survival(time, "left"), abs=0.0)


def test_more_neighbours_than_other_rows_leave_lists_short():
    x, time, event = durations(N)
    clusters = np.arange(N) % 2
    model = NeighborsCensoring(n_neighbors=45, standardize=False)
    model.fit(x, time, event, clusters=clusters)
    more = {"clusters": clusters}
    check(model, neighbor_weights(x, 45, others(more)), time, event, more)


def test_rows_at_one_point_are_neighbours_but_no_row_is_its_own():
    _, time, event = durations(N)
    x = np.zeros((N, 1))
    x[0] = 1.0
    model = NeighborsCensoring(n_neighbors=N - 1, standardize=False).fit(x, time, event)
    check(model, others({}), time, event, {})


def test_ties_of_distance_are_not_broken_by_time():
    # All rows at one point and sorted by time: the first in the table are the first to leave.
    rng = np.random.default_rng(0)
    time = np.sort(rng.exponential(size=2000))
    event = rng.random(2000) < 0.5
    x = (np.arange(2000) % 2).astype(float)[:, None]
    model = NeighborsCensoring(n_neighbors=300).fit(x, time, event)
    median = float(np.median(time))
    local_curve = model.survival([[0.0], [1.0]], [median, median])
    # Share censored by the median is 1 - sqrt(1/2); 300 rows have an error of about 0.03.
    assert local_curve == pytest.approx(model.marginal(np.array([median] * 2)), abs=0.12)


# ---------------------------------------------------------------------------------- forest


def forest_weights(forest, x, new, share, allowed):
    leaves, at = forest.apply(x), forest.apply(new)
    b = np.zeros((len(new), len(x)))
    for tree in range(leaves.shape[1]):
        same = (at[:, tree][:, None] == leaves[:, tree][None, :]) * allowed
        size = np.maximum(same.sum(axis=1, keepdims=True), 1)
        b += share[:, tree][:, None] * same / size
    return b


@pytest.mark.parametrize("kind", ["plain", "weights", "entry"])
@pytest.mark.parametrize("of", ["censoring", "event"])
def test_forest_out_of_bag(kind, of):
    x, time, event = durations(N)
    more = aligned(kind)
    model = ForestCensoring(n_estimators=12, min_samples_leaf=6, of=of, random_state=0)
    model.fit(x, time, event, **more)
    left_out = np.ones((N, 12))
    for tree, drawn in enumerate(model.forest_.estimators_samples_):
        left_out[drawn, tree] = 0.0
    scaled = model.covariates_.design(x)
    b = forest_weights(model.forest_, scaled, scaled, left_out, others({}))
    check(model, b, time, event, more, of)
    new = np.random.default_rng(9).normal(size=(N, 2))
    b = forest_weights(
        model.forest_, scaled, model.covariates_.design(new), np.ones((N, 12)), np.ones((N, N))
    )
    b = b * more.get("sample_weight", np.ones(N))
    slow = products(b, time, event, time, of=of, entry=more.get("entry"))
    assert model.survival(new, time, "left") == pytest.approx(slow, abs=1e-12)


def test_forest_with_clusters_is_grown_without_them():
    x, time, event = durations(N)
    clusters = np.arange(N) // 3
    model = ForestCensoring(n_estimators=5, min_samples_leaf=6, random_state=0)
    model.fit(x, time, event, clusters=clusters)
    folds = [predict for predict, _ in model._folds]
    assert sorted(np.concatenate(folds)) == list(range(N))
    for predict in folds:
        assert not set(clusters[predict]) & set(np.delete(clusters, predict))
    predict, leaves = model._folds[0]
    scaled = model.covariates_.design(x)
    inside = np.ones((len(predict), N))
    inside[:, predict] = 0.0
    ones = np.ones((len(predict), 5))
    b = forest_weights(leaves.forest, scaled, scaled[predict], ones, inside)
    slow = products(b, time, event, time[predict])
    found = model.training_survival(time, "left")[predict]
    assert found == pytest.approx(slow, abs=1e-12)


def test_forest_in_bag_would_prop_itself_up():
    x, time, event = durations(400, ties=False)
    model = ForestCensoring(n_estimators=50, random_state=0).fit(x, time, event)
    known = event & (time < np.quantile(time, 0.9))
    out_of_bag = model.training_survival(time, "left")[known]
    in_bag = model.survival(x, time, "left")[known]
    assert out_of_bag.mean() < in_bag.mean() - 0.01
