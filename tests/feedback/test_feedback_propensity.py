"""Propensities: models of exposure, and whatever else a user may give."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from trueness.feedback import FeedbackWarning, NaiveBayesPropensity, PopularityPropensity
from trueness.feedback.clicks import read_clicks
from trueness.feedback.propensity import resolve_propensity
from trueness.simulations import make_clicks

# Items have 3, 2, 1 and no clicks; users 3, 2, 1 and none.
CLICKS = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
ROWS, COLUMNS = np.nonzero(CLICKS)


def resolve(propensity, clicks=CLICKS):
    return resolve_propensity(propensity, read_clicks(clicks))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, np.sqrt(np.array([4, 3, 2, 1]) / 4)),
        ({"smoothing": 0.0}, np.sqrt(np.array([3, 2, 1, 1]) / 3)),
        ({"power": 1.0, "smoothing": 0.5}, np.array([3.5, 2.5, 1.5, 0.5]) / 3.5),
        ({"smoothing": 0.0, "relative_to": "all"}, np.sqrt(np.array([3, 2, 1, 1]) / 4)),
        ({"power": 0.0}, np.ones(4)),
    ],
)
def test_popularity_of_items_by_hand(options, expected):
    model = PopularityPropensity(**options).fit(sparse.csr_matrix(CLICKS))
    np.testing.assert_allclose(model.item_propensities(), expected, rtol=1e-14)
    found = resolve(PopularityPropensity(**options))
    np.testing.assert_allclose(found.items, expected, rtol=1e-14)
    np.testing.assert_allclose(found.at_clicks, expected[COLUMNS], rtol=1e-14)


def test_popularity_of_users_and_of_both_by_hand():
    shares = np.array([4, 3, 2, 1]) / 4
    users = resolve(PopularityPropensity(by="user", power=1.0))
    assert users.items is None
    np.testing.assert_allclose(users.at_clicks, shares[ROWS])
    both = PopularityPropensity(by="both", power=1.0).fit(CLICKS)
    assert both.item_propensities() is None
    np.testing.assert_allclose(both.predict([0, 3], [1, 3]), [shares[1], shares[3] ** 2])
    np.testing.assert_allclose(resolve("both").at_clicks, shares[ROWS] * shares[COLUMNS])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (None, {}),
        ("popularity", {}),
        ("item", {"power": 1.0}),
        ("user", {"by": "user", "power": 1.0}),
        ("both", {"by": "both", "power": 1.0}),
    ],
)
def test_names_stand_for_models(name, options):
    model = PopularityPropensity(**options)
    np.testing.assert_array_equal(resolve(name).at_clicks, resolve(model).at_clicks)
    assert resolve(name).description == clone(model).fit(CLICKS).description


def test_given_numbers_reach_the_clicks_in_the_order_of_rows():
    rng = np.random.default_rng(0)
    table = rng.uniform(0.1, 1.0, CLICKS.shape)
    for given, by_item in (
        (0.3, np.full(4, 0.3)),
        (table[0], table[0]),
        (list(table[0]), table[0]),
        (table, None),
        (table[:, :1], None),
        (lambda users, items: table[users, items], None),
    ):
        found = resolve(given)
        full = table if callable(given) else np.broadcast_to(given, CLICKS.shape)
        np.testing.assert_array_equal(found.at_clicks, full[ROWS, COLUMNS])
        if by_item is None:
            assert found.items is None
        else:
            np.testing.assert_array_equal(found.items, by_item)


def test_a_model_is_cloned_and_fitted_to_these_clicks():
    model = PopularityPropensity().fit(np.ones((4, 4)))
    assert resolve(model).items[3] == 0.5
    assert model.item_propensities()[3] == 1.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0.0, r"1 of 1 values are not in \(0, 1\] \(0 at 0\)"),
        ([0.5, 0.0, 1.5, np.nan], r"3 of 4 values are not in .* \(0 at 1, 1.5 at 2, nan at 3\)"),
        ([0.5, 0.5], r"shape \(2,\), but there are 4 users and 4 items"),
        (np.full((4, 4), -1.0), "let clip limit the weights"),
        ("popular", "'popular' is unknown; choose one of 'popularity'"),
        (lambda users, items: [0.5], r"called with the users and items of 6 clicks and returned"),
        (lambda users, items: 0.0 * users, "A propensity of a click is a probability"),
    ],
)
def test_what_is_no_propensity_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        resolve(given)


@pytest.mark.parametrize("given", [True, {"a": 1}, object()])
def test_other_objects_are_refused(given):
    with pytest.raises(TypeError, match="propensity must be None, a name, a number"):
        resolve(given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "row"}, "by='row' is unknown"),
        ({"relative_to": "mean"}, "relative_to='mean' is unknown"),
        ({"power": -1.0}, "power=-1.0 is not allowed"),
        ({"smoothing": np.nan}, "smoothing=nan is not allowed"),
    ],
)
def test_options_of_popularity_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        PopularityPropensity(**options).fit(CLICKS)


def test_counts_are_no_clicks():
    with pytest.raises(ValueError, match="Binarise"):
        PopularityPropensity().fit(2 * CLICKS)


# ---------------------------------------------------------------------------------- naive Bayes


def test_naive_bayes_by_hand():
    # 6 of 16 pairs are clicked; three quarters of the random pairs are relevant.
    model = NaiveBayesPropensity([1, 1, 1, 0], smoothing=0.0)
    found = resolve(model)
    np.testing.assert_allclose(found.at_clicks, (6 / 16) / (3 / 4))
    np.testing.assert_allclose(found.items, 0.5)
    np.testing.assert_allclose(
        resolve(NaiveBayesPropensity([1, 1, 1, 0])).at_clicks, (6 / 16) / (4 / 6)
    )


def test_naive_bayes_by_rating():
    ratings = np.where(CLICKS == 1, 4, 0)
    ratings[0, 0] = ratings[1, 0] = 5
    random_ratings = [5, 4, 4, 3, 2, 1, 1, 1, 1, 1]
    expected = np.where(ratings == 5, (2 / 16) / 0.1, (4 / 16) / 0.2)
    for table in (ratings, sparse.coo_matrix(ratings)):
        model = NaiveBayesPropensity(random_ratings, ratings=table, smoothing=0.0)
        with pytest.warns(FeedbackWarning, match=r"2 of 2 ratings are more frequent .* 1 is taken"):
            found = resolve(model)
        assert found.items is None
        np.testing.assert_allclose(found.at_clicks, np.minimum(expected, 1.0)[ROWS, COLUMNS])
    more = NaiveBayesPropensity([*random_ratings, 5, 5, 5, 4, 4], ratings=ratings, smoothing=0.0)
    shares = np.where(ratings == 5, (2 / 16) / (4 / 15), (4 / 16) / (4 / 15))
    np.testing.assert_allclose(resolve(more).at_clicks, shares[ROWS, COLUMNS])
    alone = NaiveBayesPropensity(ratings=ratings)
    np.testing.assert_allclose(
        resolve(alone).at_clicks, np.where(ratings == 5, 0.5, 1.0)[ROWS, COLUMNS]
    )
    with pytest.raises(ValueError, match="a rating that no click had"):
        alone.fit(CLICKS).predict([3], [3])


def test_naive_bayes_finds_the_exposure_of_the_generator():
    sample = make_clicks(exposure=0.15, exposure_strength=0.0, random_state=3)
    rng = np.random.default_rng(4)
    n_drawn = 4000
    users, items = rng.integers(400, size=n_drawn), rng.integers(300, size=n_drawn)
    drawn = np.asarray(sample.complete.relevant[users, items]).ravel()
    found = NaiveBayesPropensity(drawn).fit(sample.observed["X"]).predict([0], [0])[0]
    # Relative variances of clicks and of the random sample add.
    clicks = sample.observed["X"].nnz
    error = 0.15 * np.sqrt(1 / clicks + (1 - drawn.mean()) / (drawn.mean() * n_drawn))
    assert abs(found - 0.15) < 4 * error


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (NaiveBayesPropensity(), "all clicks have the same"),
        (NaiveBayesPropensity([0, 0], smoothing=0.0), "none is 1, which clicks carry"),
        (NaiveBayesPropensity([]), "one finite number for each pair"),
        (NaiveBayesPropensity([1, np.nan]), "one finite number for each pair"),
        (NaiveBayesPropensity([1, 0], smoothing=-1.0), "smoothing=-1.0 is not allowed"),
        (NaiveBayesPropensity([1, 0], ratings=np.ones((2, 2))), r"ratings have shape \(2, 2\)"),
        (NaiveBayesPropensity([1, 0], ratings=np.full((4, 4), np.nan)), "every click needs one"),
    ],
)
def test_naive_bayes_says_what_it_misses(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(CLICKS)
