"""Models of clicks: answers, new users, files, options."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from click_data import clicks, penalised_loss, propensities, scores
from scipy import sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from trueness.feedback import (
    WMF,
    FeedbackModel,
    RankWarning,
    RelMF,
    SolverWarning,
    UnboundedLossWarning,
    clicks_to_matrix,
)

X = clicks()
THETA = propensities()
FINE = {"dtype": "float64", "random_state": 0, "tol": 1e-13, "max_iter": 5000}
LOG = pd.DataFrame(
    {
        "user": ["ann", "ann", "bob", "bob", "cat", "cat", "dan", "dan", "dan"],
        "item": ["tea", "milk", "tea", "milk", "rum", "gin", "rum", "gin", "tea"],
    }
)
MODELS = {
    "squared": RelMF(4),
    "biases": RelMF(4, fit_bias=True),
    "item-weighted": RelMF(4, item_weighted=True),
    "balanced": RelMF(4, class_balance=True),
    "cross-entropy": RelMF(4, loss="cross_entropy", fit_bias=True),
    "squared sigmoid": RelMF(4, loss="squared_sigmoid", solver="lbfgs", regularization=5.0),
    "wmf": WMF(4, fit_bias=True),
}


def fitted(name, **options):
    model = clone(MODELS[name]).set_params(**FINE, **options)
    return model.fit(X, propensity=None if name == "wmf" else THETA)


@pytest.fixture(scope="module")
def model():
    return RelMF(4, fit_bias=True, **FINE).fit(X, propensity=THETA)


@pytest.fixture(scope="module")
def named():
    return RelMF(2, random_state=0).fit(clicks_to_matrix(LOG["user"], LOG["item"]))


# ------------------------------------------------------------------------------- answers


def test_predictions_are_scores_or_probabilities(model):
    pairs = np.array([[0, 3], [7, 2], [59, 39]])
    expected = scores(model)[pairs[:, 0], pairs[:, 1]]
    assert model.predict(pairs) == pytest.approx(expected)
    assert model.predict((pairs[:, 0], pairs[:, 1])) == pytest.approx(expected)
    assert model.predict(pairs.tolist()) == pytest.approx(expected)
    logistic = fitted("cross-entropy")
    probability = expit(scores(logistic)[pairs[:, 0], pairs[:, 1]])
    assert logistic.predict(pairs) == pytest.approx(probability)


def best(table, n):
    return np.argsort(-table, axis=1, kind="stable")[:, :n]


def test_recommendations_are_the_best_unseen_items(model):
    table = np.where(X.toarray() > 0, -np.inf, scores(model))
    found = model.recommend(n=5)
    assert np.array_equal(found.found, best(table, 5))
    assert found.scores == pytest.approx(np.take_along_axis(table, found.found, axis=1))
    some = model.recommend([9, 2, 9], 5)
    assert np.array_equal(some.found, found.found[[9, 2, 9]])
    seen = model.recommend([9], 5, exclude_seen=False)
    assert np.array_equal(seen.found, best(scores(model)[[9]], 5))


def test_recommendations_without_some_items(model):
    table = np.where(X.toarray() > 0, -np.inf, scores(model))
    users, banned = [4, 11], [3, 17, 20]
    less = table[users].copy()
    less[:, banned] = -np.inf
    assert np.array_equal(model.recommend(users, 6, exclude=banned).found, best(less, 6))
    own = sparse.csr_matrix(([1.0, 1.0], ([0, 1], [best(table, 1)[4, 0], 5])), shape=(2, 40))
    less = np.where(own.toarray() > 0, -np.inf, table[users])
    assert np.array_equal(model.recommend(users, 6, exclude=own).found, best(less, 6))
    alone = np.where(own.toarray() > 0, -np.inf, scores(model)[users])
    found = model.recommend(users, 6, exclude=own, exclude_seen=False).found
    assert np.array_equal(found, best(alone, 6))


def test_recommendations_among_some_items(model):
    chosen = [30, 5, 8, 22]
    table = np.full(X.shape, -np.inf)
    table[:, chosen] = np.where(X.toarray() > 0, -np.inf, scores(model))[:, chosen]
    table[:, 8] = -np.inf
    found = model.recommend(n=4, items=chosen, exclude=[8])
    expected = best(table, 4)
    expected[np.isneginf(np.take_along_axis(table, expected, axis=1))] = -1
    assert np.array_equal(found.found, expected)
    assert np.array_equal(np.isnan(found.scores), expected == -1)
    frame = found.to_frame()
    assert len(frame) == (expected >= 0).sum()
    assert list(frame.columns) == ["user", "item", "rank", "score"]


def test_equal_scores_come_in_the_order_of_items():
    silent = sparse.vstack([X, sparse.csr_matrix((1, 40))]).tocsr()
    found = RelMF(4, random_state=0).fit(silent).recommend([60], 4)
    assert found.found.tolist() == [[0, 1, 2, 3]]
    assert found.scores.tolist() == [[0.0] * 4]


def test_names_go_in_and_come_out(named):
    found = named.recommend(["cat", "ann"], 2).to_frame()
    assert found["user"].tolist() == ["cat", "cat", "ann", "ann"]
    assert set(found.loc[found["user"] == "ann", "item"]) == {"gin", "rum"}
    few = named.recommend(["dan"], 3)
    assert few.found[0, 1:].tolist() == [None, None]
    pairs = pd.DataFrame({"u": ["ann", "dan"], "i": ["tea", "milk"]})
    assert named.predict(pairs) == pytest.approx(named.predict([("ann", "tea"), ("dan", "milk")]))
    only = named.recommend(["dan"], 1, items=["milk", "tea"])
    assert only.found.tolist() == [["milk"]]


def test_neighbours_are_those_with_the_largest_cosine(model):
    for factors, neighbours in (
        (model.item_factors_, model.similar_items),
        (model.user_factors_, model.similar_users),
    ):
        unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
        cosine = unit @ unit.T
        np.fill_diagonal(cosine, -np.inf)
        found = neighbours(n=3)
        assert np.array_equal(found.found, best(cosine, 3))
        assert np.array_equal(neighbours([5], 3).found, found.found[[5]])
    assert list(found.to_frame().columns) == ["user", "similar_user", "rank", "score"]


# ----------------------------------------------------------------------- users and files


@pytest.mark.parametrize("name", MODELS)
def test_users_of_the_fit_fold_in_as_they_are(name):
    model = fitted(name)
    rows = [3, 8, 40]
    folded = model.fold_in(X[rows])
    assert scores(folded) == pytest.approx(scores(model)[rows], abs=1e-4)
    assert folded.item_factors_ == pytest.approx(model.item_factors_)
    assert np.array_equal(folded.recommend(n=3).found, model.recommend(rows, 3).found)


def test_folding_in_takes_the_propensities_of_the_fit(model):
    one = model.fold_in(X[:2])
    assert np.array_equal(one.user_factors_, model.fold_in(X[:2], propensity=THETA).user_factors_)
    by_pair = RelMF(4, random_state=0).fit(X, propensity=np.tile(THETA, (60, 1)))
    with pytest.raises(ValueError, match="depend on users"):
        by_pair.fold_in(X[:2])
    by_pair.fold_in(X[:2], propensity=THETA)
    with pytest.raises(ValueError, match="39 items, the fit had 40"):
        model.fold_in(X[:2, :39])


def test_folding_in_checks_names(named):
    other = clicks_to_matrix(["eve", "eve"], ["tea", "gin"])
    with pytest.raises(ValueError, match="2 items, the fit had 4"):
        named.fold_in(other)
    shuffled = clicks_to_matrix(["eve"], ["tea"], item_names=["tea", "rum", "gin", "milk"])
    with pytest.raises(ValueError, match="in another order"):
        named.fold_in(shuffled)
    right = clicks_to_matrix(["eve"], ["tea"], item_names=named.item_names_)
    assert named.fold_in(right).recommend(["eve"], 1).found.tolist() == [["milk"]]


@pytest.mark.parametrize("name", MODELS)
def test_files_keep_everything(name, tmp_path):
    model = fitted(name)
    path = tmp_path / "model.npz"
    model.save(path)
    for reader in (type(model), FeedbackModel):
        again = reader.load(path)
        assert type(again) is type(model)
        assert again.get_params() == model.get_params()
        assert np.array_equal(again.recommend(n=3).found, model.recommend(n=3).found)
        assert np.array_equal(again.predict([[3, 4]]), model.predict([[3, 4]]))
        assert np.array_equal(
            again.fold_in(X[:3]).user_factors_, model.fold_in(X[:3]).user_factors_
        )
        assert repr(again.diagnostics_) == repr(model.diagnostics_)
    with np.load(path, allow_pickle=False) as archive:
        assert json.loads(str(archive["facts"]))["class"] == type(model).__name__


def test_files_keep_names_and_drop_generators(named, tmp_path):
    named.save(tmp_path / "named.npz")
    again = RelMF.load(tmp_path / "named.npz")
    assert again.recommend(["cat"], 2).found.tolist() == named.recommend(["cat"], 2).found.tolist()
    drawn = RelMF(2, random_state=np.random.default_rng(0)).fit(X)
    drawn.save(tmp_path / "drawn.npz")
    assert RelMF.load(tmp_path / "drawn.npz").random_state is None


def test_files_that_cannot_be(named, tmp_path):
    with pytest.raises(ValueError, match="saved as .npz, not '.pkl'"):
        named.save(tmp_path / "model.pkl")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="does not hold a model of clicks"):
        RelMF.load(tmp_path / "other.npz")
    named.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"holds a RelMF, not a WMF; load it by RelMF\.load"):
        WMF.load(tmp_path / "model.npz")
    mixed = RelMF(1, random_state=0).fit(clicks_to_matrix([1, "a", "a"], ["x", "x", "y"]))
    with pytest.raises(ValueError, match="neither all text nor all numbers"):
        mixed.save(tmp_path / "mixed.npz")


# ------------------------------------------------------------------------ seeds and types


def test_a_seed_gives_the_same_fit_with_any_number_of_threads():
    options = {"random_state": 3, "dtype": "float64"}
    one = RelMF(4, **options).fit(X)
    assert np.array_equal(RelMF(4, **options).fit(X).user_factors_, one.user_factors_)
    two = RelMF(4, n_jobs=2, **options).fit(X)
    assert two.user_factors_ == pytest.approx(one.user_factors_, abs=1e-10)
    other = RelMF(4, **(options | {"random_state": 4})).fit(X)
    assert not np.allclose(other.user_factors_, one.user_factors_)


def test_single_and_double_precision_agree():
    options = {"random_state": 0, "solver": "svd"}
    single, double = (RelMF(4, dtype=d, **options).fit(X) for d in ("float32", "float64"))
    assert single.user_factors_.dtype == np.float32
    assert scores(single) == pytest.approx(scores(double), abs=1e-4)
    assert RelMF(4).fit(X).item_biases_.dtype == np.float32


def test_input_of_any_form_gives_the_same_fit():
    fit = RelMF(3, random_state=0).fit
    first = fit(X).user_factors_
    shuffled = sparse.coo_array((X.data[::-1], tuple(i[::-1] for i in X.nonzero())), X.shape)
    for other in (X.tocsc(), sparse.csr_array(X), X.toarray(), X.toarray() > 0, shuffled):
        assert np.array_equal(fit(other).user_factors_, first)
    assert np.array_equal(fit(pd.DataFrame(X.toarray())).user_factors_, first)


def test_one_decomposition_gives_the_whole_path():
    penalties = [2.0, 5.0, 100.0]
    models, path = RelMF(4, dtype="float64", random_state=0).fit_path(
        X, penalties, propensity=THETA
    )
    for model, penalty, objective in zip(models, penalties, path["objective"], strict=True):
        single = RelMF(4, solver="svd", regularization=penalty, dtype="float64", random_state=0)
        single.fit(X, propensity=THETA)
        assert scores(model) == pytest.approx(scores(single), abs=1e-9)
        assert objective == pytest.approx(single.objective_[-1])
        assert model.recommend([0], 2).found.shape == (1, 2)
    assert path["effective_rank"].tolist()[-1] == 0


def test_sklearn_parameters():
    model = RelMF(7, clip=0.2)
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(n_factors=3).n_factors == 3
    with pytest.raises(NotFittedError):
        model.recommend([0])
    before = model.get_params()
    model.fit(X)
    assert model.get_params() == before


def test_diagnostics_say_who_is_silent():
    silent = sparse.vstack([X, sparse.csr_matrix((2, 40))]).tocsr()
    found = RelMF(4, clip=0.5, random_state=0).fit(silent, propensity=THETA).diagnostics_
    assert (found.n_silent_users, found.n_users, found.n_clicks) == (
        int((np.diff(silent.indptr) == 0).sum()),
        62,
        X.nnz,
    )
    w = 1.0 / np.maximum(THETA, 0.5)[X.indices]
    assert found.largest_weight == pytest.approx(w.max())
    assert found.effective_clicks == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-5)
    n_silent_items = int((X.sum(axis=0) == 0).sum())
    expected = f"{found.n_silent_users} users and {n_silent_items} items have no click"
    assert expected in repr(found)


def test_the_bar_is_silent_unless_asked_for(capsys):
    RelMF(3, random_state=0).fit(X)
    assert capsys.readouterr().err == ""
    RelMF(3, random_state=0, progress=True).fit(X)
    assert "RelMF" in capsys.readouterr().err


# ---------------------------------------------------------------------------- bad input

WRONG = [
    ({"clip": -0.1}, "clip=-0.1"),
    ({"clip": 1.5}, "clip=1.5"),
    ({"clip": "0.1"}, "clip='0.1'"),
    ({"regularization": -1.0}, "regularization=-1.0 must be a number, at least 0"),
    ({"regularization": np.nan}, "regularization=nan"),
    ({"n_factors": 0}, "n_factors=0 must be a whole number, at least 1"),
    ({"n_factors": 2.5}, "n_factors=2.5 must be a whole number"),
    ({"n_factors": 41}, "n_factors=41 is above 40, the number of items"),
    ({"loss": "hinge"}, "loss='hinge' is not one of 'squared'"),
    ({"solver": "mm"}, "solver='mm' does not minimise loss='squared'"),
    ({"solver": "svd", "fit_bias": True}, "solver='svd' has no biases"),
    ({"solver": "svd", "class_balance": True}, "cannot weigh clicks by class_balance"),
    ({"item_weighted": True, "loss": "cross_entropy"}, "item_weighted=True needs loss='squared'"),
    ({"dtype": "float16"}, "dtype='float16' is not one of"),
    ({"max_iter": 0}, "max_iter=0"),
    ({"tol": -1.0}, "tol=-1.0"),
    ({"learning_rate": 0.0}, "learning_rate=0.0 must be a number above 0"),
    ({"batch_size": 1}, "batch_size=1"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        RelMF(**({"n_factors": 3} | options)).fit(X)


def test_propensities_that_cannot_be():
    model = RelMF(3)
    for wrong, message in (
        (np.where(np.arange(40) == 4, 0.0, THETA), r"not in \(0, 1\]"),
        (THETA * 2.0, r"not in \(0, 1\]"),
        (THETA[:39], r"shape \(39,\)"),
        (np.nan, r"not in \(0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, propensity=wrong)
    with pytest.raises(ValueError, match="needs propensities of items"):
        RelMF(3, item_weighted=True).fit(X, propensity=np.tile(THETA, (60, 1)))
    with pytest.raises(ValueError, match="WMF has no propensities"):
        WMF(3).fit(X, propensity=THETA)
    with pytest.raises(ValueError, match="click_weight=0 must be a number above 0"):
        WMF(3, click_weight=0).fit(X)


def test_pairs_and_lists_that_cannot_be(model, named):
    for pairs, message in (
        ([[0, 40]], "pairs, items: 1 of 1 are out of range, for example 40"),
        ([[-1, 0]], "pairs, users: 1 of 1 are out of range"),
        ([[0, 1, 2]], "pairs must have two columns"),
        ([0, 1], "pairs must have two columns"),
        ([[0.5, 1.0]], "must be row or column numbers"),
        ((np.array([0]), np.array([1, 2])), "1 users, but 2 items"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(pairs)
    with pytest.raises(ValueError, match="n=0 must be a positive whole number"):
        model.recommend([0], 0)
    with pytest.raises(ValueError, match="users: 1 of 2 are out of range"):
        model.recommend([0, 60])
    with pytest.raises(ValueError, match="one row per asked user"):
        model.recommend([0], exclude=sparse.csr_matrix((2, 40)))
    with pytest.raises(ValueError, match=r"not among the 4 of the fit.*Did you mean 'ann'"):
        named.recommend(["anne"])


def test_more_factors_than_clicks_can_fill_are_said():
    few = sparse.vstack([X[:3], sparse.csr_matrix((57, 40))]).tocsr()
    rank = int((np.diff(few.indptr) > 0).sum())
    with pytest.warns(RankWarning, match=rf"rank {rank} at most; the other {5 - rank} factors"):
        model = RelMF(5, regularization=0.1, max_iter=500, random_state=0).fit(few)
    assert np.linalg.matrix_rank(model.user_factors_, tol=1e-4) <= rank


def test_cross_entropy_that_may_be_unbounded_is_said_with_its_cure():
    options = {"loss": "cross_entropy", "random_state": 0, "max_iter": 300}
    with (
        pytest.warns(UnboundedLossWarning, match="regularization=") as caught,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", SolverWarning)
        RelMF(3, clip=0.05, regularization=5.0, **options).fit(X, propensity=THETA)
    message = next(str(w.message) for w in caught if w.category is UnboundedLossWarning)
    penalty, clip = (
        float(message.split(f"{name}=")[-1].split(" or more")[0])
        for name in ("regularization", "clip")
    )
    # Each cure works, and not much less would.
    RelMF(3, clip=0.05, regularization=penalty, **options).fit(X, propensity=THETA)
    RelMF(3, clip=clip, regularization=5.0, **options).fit(X, propensity=THETA)
    for less in ({"clip": 0.05, "regularization": 0.98 * penalty}, {"clip": clip - 0.02}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SolverWarning)
            with pytest.warns(UnboundedLossWarning):
                RelMF(3, **({"regularization": 5.0} | less | options)).fit(X, propensity=THETA)


def test_the_automatic_penalty_bounds_cross_entropy():
    for fit_bias in (False, True):
        model = RelMF(3, loss="cross_entropy", clip=0.05, fit_bias=fit_bias, random_state=0)
        assert model.fit(X, propensity=THETA).objective_[-1] > 0.0


def test_a_fit_that_has_not_settled_says_so():
    with pytest.warns(SolverWarning, match="had not settled within 1e-12 after 2 iterations"):
        RelMF(3, max_iter=2, tol=1e-12, random_state=0).fit(X)


def test_adam_on_samples_comes_near_what_all_pairs_say():
    options = {"loss": "squared_sigmoid", "regularization": 5.0, "class_balance": True}
    exact = RelMF(3, solver="lbfgs", random_state=0, **options).fit(X, propensity=THETA)
    sampled = RelMF(
        3, batch_size=2048, max_iter=300, tol=0.0, learning_rate=0.03, random_state=0, **options
    ).fit(X, propensity=THETA)
    objectives = [
        penalised_loss(
            model,
            X,
            THETA,
            clip=0.3,
            regularization=5.0,
            loss="squared_sigmoid",
            weight=exact.click_weight_,
        )
        for model in (exact, sampled)
    ]
    assert objectives[0] == pytest.approx(exact.objective_[-1], rel=1e-5)
    # Optima differ by a little where the rank is three, and samples leave noise.
    assert objectives[1] == pytest.approx(objectives[0], rel=0.05)
