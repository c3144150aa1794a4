"""Cross-fitting: folds, out-of-fold predictions, seed streams, combination of repeats."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from trueness.crossfit import (
    combine_repeats,
    crossfit,
    draw_folds,
    fold_numbers,
    seed_sequence,
)

PROPERTY = settings(max_examples=60)
TREE = DecisionTreeRegressor(splitter="random", max_depth=3)


class Recorder(RegressorMixin, BaseEstimator):
    """Mean of the targets; notes which rows (first feature) it learned from and predicted."""

    log: ClassVar[list] = []

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        self.mean_, self.rows_ = y.mean(), X[:, 0].astype(int)
        return self

    def predict(self, X):
        self.log.append((self.rows_, X[:, 0].astype(int), self.random_state))
        return np.full(len(X), self.mean_)


def one_target(features, target, *, task, **options):
    """Cross-fit one target; predictions of shape (n_repeats, n) and losses of (n_repeats,)."""
    result = crossfit(features, target[:, None], tasks=[task], **options)
    return replace(result, predictions=result.predictions[:, :, 0], losses=result.losses[:, 0])


def record(target, **options):
    Recorder.log.clear()
    features = np.arange(len(target), dtype=float)[:, None]
    result = one_target(features, target, learner=Recorder(), task="regression", **options)
    return result, list(Recorder.log)


def partly(n, n_labelled, seed=0):
    rng = np.random.default_rng(seed)
    target = np.full(n, np.nan)
    rows = rng.choice(n, n_labelled, replace=False)
    target[rows] = rng.normal(size=n_labelled)
    return target


def spread(counts):
    return int(np.max(counts) - np.min(counts))


# ---------------------------------------------------------------------- folds

ROWS = st.lists(st.booleans(), min_size=1, max_size=60)


@PROPERTY
@given(labelled=ROWS, n_folds=st.integers(2, 7), seed=st.integers(0, 99))
def test_rows_are_dealt_evenly(labelled, n_folds, seed):
    labelled = np.array(labelled)
    numbers = fold_numbers(labelled, None, n_folds, np.random.default_rng(seed))
    assert numbers.shape == labelled.shape
    assert ((numbers >= 0) & (numbers < n_folds)).all()
    assert spread(np.bincount(numbers, minlength=n_folds)) <= 1
    assert spread(np.bincount(numbers[labelled], minlength=n_folds)) <= 1


@PROPERTY
@given(
    rows=st.lists(st.sampled_from([None, 0, 1]), min_size=4, max_size=60),
    n_folds=st.integers(2, 7),
    seed=st.integers(0, 99),
)
def test_classes_are_dealt_evenly(rows, n_folds, seed):
    """As in a stratified split: every class differs by at most one between folds."""
    labelled = np.array([r is not None for r in rows])
    classes = np.array([0.0 if r is None else float(r) for r in rows])
    numbers = fold_numbers(labelled, None, n_folds, np.random.default_rng(seed), classes)
    assert spread(np.bincount(numbers[labelled], minlength=n_folds)) <= 1
    for value in (0.0, 1.0):
        members = numbers[labelled & (classes == value)]
        assert spread(np.bincount(members, minlength=n_folds)) <= 1


@PROPERTY
@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=80),
    n_folds=st.integers(2, 6),
    seed=st.integers(0, 99),
)
def test_clusters_stay_together_and_labels_are_nearly_even(rows, n_folds, seed):
    names = np.array([r[0] for r in rows])
    labelled = np.array([r[1] for r in rows])
    codes = np.unique(names, return_inverse=True)[1]
    numbers = fold_numbers(labelled, codes, n_folds, np.random.default_rng(seed))
    for code in range(codes.max() + 1):
        assert len(set(numbers[codes == code])) == 1
    first = np.unique(codes, return_index=True)[1]
    assert spread(np.bincount(numbers[first], minlength=n_folds)) <= 1
    largest = np.bincount(codes, weights=labelled).max()
    assert spread(np.bincount(numbers[labelled], minlength=n_folds)) <= largest


def test_unlabelled_rows_of_clusters_are_nearly_even_too():
    """Clusters without any label still spread by size."""
    sizes = np.repeat(np.arange(20), np.arange(1, 21))
    numbers = fold_numbers(np.zeros(210, bool), sizes, 4, np.random.default_rng(0))
    assert spread(np.bincount(numbers, minlength=4)) <= 20


def test_folds_are_random():
    labelled = np.arange(30) < 12
    draws = np.array(
        [fold_numbers(labelled, None, 3, np.random.default_rng(s)) for s in range(600)]
    )
    # Each row is in each fold a third of the time: 600 draws, limits of 4.5 standard errors.
    for fold in range(3):
        shares = (draws == fold).mean(axis=0)
        assert_allclose(shares, 1 / 3, atol=4.5 * np.sqrt(2 / 9 / 600))
    # Two labelled rows share a fold with probability 3/11 (12 labels in 3 folds of 4).
    together = np.mean(draws[:, 0] == draws[:, 1])
    assert together == pytest.approx(3 / 11, abs=4.5 * np.sqrt(0.2 / 600))


@PROPERTY
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), min_size=30, max_size=90
    ),
    ways=st.integers(0, 2),
    n_folds=st.integers(2, 3),
    seed=st.integers(0, 99),
)
def test_no_row_or_cluster_is_on_both_sides(rows, ways, n_folds, seed):
    names, labelled = np.array([r[:2] for r in rows]), np.array([r[2] for r in rows])
    codes = np.column_stack([np.unique(c, return_inverse=True)[1] for c in names.T])
    clusters = (None, codes[:, 0], codes)[ways]
    try:
        folds = draw_folds(labelled, clusters, n_folds, np.random.default_rng(seed))
    except ValueError as error:
        assert any(word in str(error) for word in ("too few", "cannot be split"))
        return
    predicted = np.concatenate([fold.predict for fold in folds])
    assert_array_equal(np.sort(predicted), np.arange(len(rows)))
    for fold in folds:
        assert len(fold.train) > 0
        assert labelled[fold.train].all()
        assert not set(fold.train) & set(fold.predict)
        for column in codes.T[:ways]:
            assert not set(column[fold.train]) & set(column[fold.predict])
        if ways < 2:  # nothing more than necessary is left out
            numbers = np.setdiff1d(np.flatnonzero(labelled), fold.predict)
            assert_array_equal(np.sort(fold.train), numbers)


def test_too_few_labels():
    with pytest.raises(ValueError, match=r"9 labelled rows are too few for n_folds=5.*least 10"):
        draw_folds(np.arange(40) < 9, None, 5, np.random.default_rng(0))
    assert len(draw_folds(np.arange(40) < 10, None, 5, np.random.default_rng(0))) == 5


def test_too_few_clusters():
    labelled, codes = np.ones(40, bool), np.arange(40) % 4
    with pytest.raises(ValueError, match=r"4 clusters cannot be split into n_folds=5"):
        draw_folds(labelled, codes, 5, np.random.default_rng(0))
    two_way = np.column_stack([np.arange(40) % 8, codes])
    with pytest.raises(ValueError, match=r"4 clusters cannot be split into n_folds=5"):
        draw_folds(labelled, two_way, 5, np.random.default_rng(0))


def test_labels_in_one_cluster_only():
    codes = np.where(np.arange(60) < 30, 0, np.arange(60) - 29)
    with pytest.raises(ValueError, match="labelled rows lie in too few clusters"):
        draw_folds(np.arange(60) < 30, codes, 5, np.random.default_rng(0))


# ---------------------------------------------------------------------- out of fold


@pytest.mark.parametrize("ways", [0, 1, 2])
def test_every_row_is_predicted_once_by_a_learner_that_never_saw_its_cluster(ways):
    target = partly(120, 60)
    codes = np.column_stack([np.arange(120) % 13, np.arange(120) // 13])
    clusters = (None, codes[:, 0], codes)[ways]
    result, log = record(target, clusters=clusters, n_folds=3, n_repeats=4, random_state=1)
    assert result.predictions.shape == (4, 120)
    assert np.isfinite(result.predictions).all()
    counts = np.bincount(np.concatenate([predicted for _, predicted, _ in log]), minlength=120)
    assert_array_equal(counts, 4)
    for learned, predicted, _ in log:
        assert not set(learned) & set(predicted)
        assert not np.isnan(target[learned]).any()
        for column in codes.T[:ways]:
            assert not set(column[learned]) & set(column[predicted])


@pytest.mark.parametrize("ways", [0, 1, 2])
def test_labels_of_a_fold_do_not_move_its_own_predictions(ways):
    """Change the labels of one fold: its predictions stay, all others move."""
    rng = np.random.default_rng(2)
    target = partly(150, 90)
    features = rng.normal(size=(150, 2))
    codes = np.column_stack([np.arange(150) % 12, np.arange(150) // 12])
    options = dict(
        learner=LinearRegression(),
        task="regression",
        clusters=(None, codes[:, 0], codes)[ways],
        n_folds=3,
        n_repeats=1,
        random_state=3,
    )
    before = one_target(features, target, **options).predictions[0]
    _, log = record(target, **{k: v for k, v in options.items() if k not in ("learner", "task")})
    fold = max((predicted for _, predicted, _ in log), key=len)
    changed = target.copy()
    changed[fold] += 100.0 * rng.normal(size=len(fold))
    after = one_target(features, changed, **options).predictions[0]
    assert_array_equal(after[fold], before[fold])
    outside = np.setdiff1d(np.arange(150), fold)
    if ways < 2:
        assert (after[outside] != before[outside]).all()
    else:  # cells that share neither part with the fold learn from it
        assert (after[outside] != before[outside]).any()


def test_predictions_are_those_of_the_learner():
    """Fold by fold with scikit-learn alone."""
    rng = np.random.default_rng(4)
    target, features = partly(80, 50), rng.normal(size=(80, 3))
    _, log = record(target, n_folds=4, n_repeats=1, random_state=5)
    expected = np.full(80, np.nan)
    for learned, predicted, _ in log:
        model = LinearRegression().fit(features[learned], target[learned])
        expected[predicted] = model.predict(features[predicted])
    result = one_target(
        features,
        target,
        learner=LinearRegression(),
        task="regression",
        n_folds=4,
        n_repeats=1,
        random_state=5,
    )
    assert_allclose(result.predictions[0], expected, rtol=1e-12)
    assert result.losses[0] == pytest.approx(np.nanmean((expected - target) ** 2), rel=1e-12)
    assert result.learners == ("LinearRegression",)


def test_probabilities_are_out_of_fold():
    rng = np.random.default_rng(6)
    features = rng.normal(size=(300, 2))
    target = (features[:, 0] + rng.logistic(size=300) > 1.0) * 1.0
    truth = target.copy()
    target[150:] = np.nan
    result = one_target(
        features,
        target,
        learner=LogisticRegression(),
        task="probability",
        n_folds=5,
        n_repeats=2,
        random_state=0,
    )
    assert ((result.predictions > 0) & (result.predictions < 1)).all()
    baseline = np.mean((truth[150:] - truth[:150].mean()) ** 2)
    assert np.mean((result.predictions[:, 150:] - truth[150:]) ** 2) < 0.95 * baseline


def test_sparse_features():
    rng = np.random.default_rng(7)
    dense = rng.normal(size=(90, 4)) * (rng.random((90, 4)) < 0.5)
    target = dense @ [1.0, 2.0, 0.0, -1.0] + 0.1 * rng.normal(size=90)
    target[60:] = np.nan
    options = dict(learner="auto", task="regression", n_folds=3, n_repeats=2, random_state=0)
    result = one_target(sparse.csr_array(dense), target, **options)
    assert result.learners == ("linear", "linear")
    assert np.isfinite(result.predictions).all()
    assert max(result.losses) < 0.1


# ---------------------------------------------------------------------- seed streams


def run(n_repeats, seed=8, **options):
    rng = np.random.default_rng(9)
    features = rng.normal(size=(100, 2))
    target = partly(100, 70)
    defaults = dict(learner=TREE, task="regression", n_folds=4)
    return one_target(
        features, target, n_repeats=n_repeats, random_state=seed, **(defaults | options)
    )


def test_repeats_differ_and_more_repeats_leave_the_first_ones_alone():
    three, six = run(3).predictions, run(6).predictions
    assert_array_equal(three, six[:3])
    for s in range(6):
        for other in range(s):
            assert not np.array_equal(six[s], six[other])


def test_folds_differ_between_repeats_and_seeds_between_all_fits():
    _, log = record(partly(60, 40), n_folds=4, n_repeats=5, random_state=10)
    states = [state for _, _, state in log]
    assert all(isinstance(state, int) for state in states)
    assert len(set(states)) == len(log) == 20
    splits = {frozenset(frozenset(log[4 * s + k][1]) for k in range(4)) for s in range(5)}
    assert len(splits) == 5


def test_repeats_are_not_correlated():
    """Fold numbers of a row in different repeats are independent: share a fold 1 in 3 times."""
    _, log = record(partly(300, 300), n_folds=3, n_repeats=12, random_state=11)
    masks = np.zeros((12, 3, 300), bool)
    for j, (_, predicted, _) in enumerate(log):
        masks[j // 3, j % 3, predicted] = True
    together = np.array([(m[:, :, None] & m[:, None, :]).any(axis=0) for m in masks])
    upper = np.triu_indices(300, 1)
    pairs = np.array([t[upper] for t in together], dtype=float)
    correlation = np.corrcoef(pairs)[np.triu_indices(12, 1)]
    assert np.abs(correlation).max() < 0.03


def test_same_seed_same_result_and_other_seed_other_result():
    assert_array_equal(run(2).predictions, run(2).predictions)
    assert not np.array_equal(run(2).predictions, run(2, seed=9).predictions)
    assert not np.array_equal(run(1, seed=None).predictions, run(1, seed=None).predictions)


def test_random_states_of_every_kind():
    for make in (
        lambda: np.random.default_rng(3),
        lambda: np.random.RandomState(3),
        lambda: np.random.SeedSequence(3),
        lambda: np.int64(3),
    ):
        assert_array_equal(run(2, seed=make()).predictions, run(2, seed=make()).predictions)
    assert_array_equal(run(1, seed=np.int64(3)).predictions, run(1, seed=3).predictions)
    generator = np.random.default_rng(3)
    assert not np.array_equal(
        run(1, seed=generator).predictions, run(1, seed=generator).predictions
    )
    for wrong in ("now", 1.5, [1, 2]):
        with pytest.raises(ValueError, match="cannot seed a generator"):
            seed_sequence(wrong)


def test_number_of_jobs_does_not_change_a_bit():
    options = dict(learner="auto", n_folds=3)
    one, two = (run(2, n_jobs=jobs, **options) for jobs in (1, 2))
    assert_array_equal(one.predictions, two.predictions)
    assert one.learners == two.learners
    assert_array_equal(one.losses, two.losses)


# ---------------------------------------------------------------------- choice of the learner


@pytest.mark.parametrize("task", ["regression", "probability"])
@pytest.mark.parametrize("truth", ["linear", "boosting"])
def test_auto_takes_the_learner_that_fits_the_truth(task, truth):
    rng = np.random.default_rng(12)
    features = rng.uniform(-2, 2, size=(500, 2))
    signal = features @ [1.0, -1.0]
    if truth == "boosting":
        signal = 2.0 * np.sign(features[:, 0] * features[:, 1])
    target = signal + 0.5 * rng.normal(size=500)
    if task == "probability":
        target = (1.5 * signal + rng.logistic(size=500) > 0) * 1.0
    target[400:] = np.nan
    options = dict(task=task, n_folds=4, n_repeats=2, random_state=13)
    chosen = one_target(features, target, learner="auto", **options)
    assert chosen.learners == (truth, truth)
    alone = [one_target(features, target, learner=n, **options) for n in ("linear", "boosting")]
    # The folds are the same, so the loss is the smaller of the two.
    assert_allclose(chosen.losses, np.min([a.losses for a in alone], axis=0), rtol=1e-9)
    winner = alone[("linear", "boosting").index(truth)]
    assert_allclose(chosen.predictions, winner.predictions, rtol=1e-9)


# ---------------------------------------------------------------------- combination of repeats


@pytest.mark.parametrize("n_repeats", [2, 3, 4, 7])
def test_combination_by_medians_written_out(n_repeats):
    rng = np.random.default_rng(14)
    params = rng.normal(size=(n_repeats, 2))
    roots = rng.normal(size=(n_repeats, 2, 5)) + 2 * np.eye(2, 5)
    covs = 4.0 * roots @ roots.transpose(0, 2, 1)
    point, cov, split_cov = combine_repeats(params, covs)

    def median(values):
        values = sorted(values)
        middle = len(values) // 2
        return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2

    centre = [median(params[:, j]) for j in range(2)]
    assert_allclose(point, centre)
    for i in range(2):
        for j in range(2):
            gaps = [
                (params[s, i] - centre[i]) * (params[s, j] - centre[j]) for s in range(n_repeats)
            ]
            assert cov[i, j] == pytest.approx(
                median([c[i, j] + g for c, g in zip(covs, gaps, strict=True)])
            )
            assert split_cov[i, j] == pytest.approx(median(gaps))


def test_standard_errors_of_the_combination():
    """se_j^2 = median of se_sj^2 + (b_sj - b_j)^2, never the smallest or the mean."""
    params = np.array([[0.0], [1.0], [10.0]])
    covs = np.array([[[4.0]], [[1.0]], [[2.0]]])
    point, cov, split_cov = combine_repeats(params, covs)
    assert point == 1.0
    assert cov == 5.0  # of 4 + 1, 1 + 0, 2 + 81
    assert split_cov == 1.0


def test_a_single_split_is_left_alone():
    params, covs = np.array([[1.0, 2.0]]), np.array([[[1.0, 0.2], [0.2, 3.0]]])
    point, cov, split_cov = combine_repeats(params, covs)
    assert_array_equal(point, params[0])
    assert_array_equal(cov, covs[0])
    assert split_cov is None


def test_an_indefinite_median_is_replaced_by_the_nearest_matrix_of_the_same_diagonal():
    def correlation(ab, ac, bc):
        return np.array([[1.0, ab, ac], [ab, 1.0, bc], [ac, bc, 1.0]])

    parts = [(0.9, 0.9, 0.7), (0.9, -0.7, -0.9), (-0.7, 0.9, -0.9)]
    scale = np.array([1.0, 2.0, 0.1])
    covs = np.array([correlation(*p) * np.outer(scale, scale) for p in parts])
    assert all(np.linalg.eigvalsh(c)[0] > 0 for c in covs)
    median = np.median(covs, axis=0)
    assert np.linalg.eigvalsh(median)[0] < -1e-3
    _, cov, _ = combine_repeats(np.zeros((3, 3)), covs)
    assert isinstance(cov, np.ndarray)
    assert_allclose(np.diag(cov), scale**2, rtol=1e-12)
    assert np.linalg.eigvalsh(cov / np.outer(scale, scale))[0] > -1e-8
    # By symmetry the nearest correlations are 1/2, 1/2, -1/2: the boundary of the cone.
    assert_allclose(cov / np.outer(scale, scale), correlation(0.5, 0.5, -0.5), atol=1e-6)
