"""Designs of clicks: probabilities are what they are said to be, and clicks follow them."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from trueness.simulations import make_clicks, make_saito2020
from trueness.simulations.feedback import KnownRelevance
from trueness.simulations.feedback.factors import fit_factors

RNG = np.random.default_rng(0)


def within(estimate, value, std_error, limit=4.0):
    assert abs(estimate - value) < limit * std_error, (estimate, value, std_error)


# ----------------------------------------------------------------------------------- make_clicks


@pytest.mark.parametrize("by", ["item", "pair"])
def test_means_are_exact_and_clicks_need_both(by):
    sample = make_clicks(relevance=0.25, exposure=0.15, exposure_by=by, random_state=1)
    gamma, theta = sample.complete.relevance, sample.complete.exposure
    assert gamma.mean() == pytest.approx(0.25, abs=1e-10)
    assert theta.mean() == pytest.approx(0.15, abs=1e-10)
    X = sample.observed["X"]
    both = sample.complete.relevant.multiply(sample.complete.exposed)
    assert (both != X).nnz == 0 and set(X.data) == {1.0}
    rate = gamma * theta
    assert sample.truth["clicks"] == pytest.approx(rate.sum())
    within(X.nnz, rate.sum(), np.sqrt((rate * (1 - rate)).sum()))
    for drawn, chance in ((sample.complete.relevant, gamma), (sample.complete.exposed, theta)):
        within(drawn.nnz, chance.sum(), np.sqrt((chance * (1 - chance)).sum()))
    # Not only in number: clicks fall on pairs in proportion to their probabilities.
    centred = np.log(rate) - np.log(rate).mean()
    noise = np.sqrt((centred**2 * rate * (1 - rate)).sum())
    within((centred * (X.toarray() - rate)).sum(), 0.0, noise)
    assert sample.complete.propensity.shape == ((300,) if by == "item" else (400, 300))
    np.testing.assert_array_equal(np.broadcast_to(sample.complete.propensity, (400, 300)), theta)


def test_relevance_and_exposure_are_drawn_independently_given_the_pair():
    sample = make_clicks(exposure=0.4, random_state=2)
    gamma, theta = sample.complete.relevance, sample.complete.exposure
    errors = (sample.complete.relevant.toarray() - gamma) * (
        sample.complete.exposed.toarray() - theta
    )
    spread = np.sqrt((gamma * (1 - gamma) * theta * (1 - theta)).sum())
    within(errors.sum(), 0.0, spread)


def test_streams_keep_relevance_when_exposure_changes():
    one, two = (
        make_clicks(exposure=e, exposure_strength=s, random_state=3)
        for e, s in ((0.1, 1.5), (0.5, 0.0))
    )
    np.testing.assert_array_equal(one.complete.relevance, two.complete.relevance)
    assert (one.complete.relevant != two.complete.relevant).nnz == 0
    assert not (one.complete.exposure == two.complete.exposure).any()
    again = make_clicks(random_state=np.random.SeedSequence(3))
    assert (
        again.observed["X"] != make_clicks(random_state=np.random.SeedSequence(3)).observed["X"]
    ).nnz == 0


def test_strength_spread_and_quality_are_those_asked_for():
    sample = make_clicks(
        n_users=50, n_items=4000, exposure_strength=1.2, quality=0.6, signal=1.5, random_state=4
    )
    z = logit(sample.complete.propensity)
    # A standard deviation of n normal values has relative error sqrt(1 / 2n).
    within(z.std() / 1.2, 1.0, np.sqrt(1 / 8000))
    merit = logit(sample.complete.relevance).mean(axis=0)
    assert np.corrcoef(z, merit)[0, 1] > 0.3
    # The users' part has only 50 values, 10% of the variance; the factors of 50 users, 50%.
    within(logit(sample.complete.relevance).std() / 1.5, 1.0, 0.1)
    flat = make_clicks(exposure_strength=0.0, random_state=4)
    assert np.ptp(flat.complete.propensity) < 1e-12
    everything = make_clicks(exposure=1.0, random_state=4)
    assert (everything.observed["X"] != everything.complete.relevant).nnz == 0


def test_difficulty_is_what_no_factor_model_can_follow():
    def share_outside(difficulty):
        logits = logit(make_clicks(difficulty=difficulty, random_state=5).complete.relevance)
        values = np.linalg.svd(logits, compute_uv=False) ** 2
        return values[8:].sum() / values.sum()  # five factors, user and item parts, constant

    assert share_outside(0.0) < 1e-20
    easy, hard = share_outside(0.2), share_outside(0.6)
    assert 0.02 < easy < hard


def test_rare_items_are_the_half_exposed_least():
    sample = make_clicks(n_items=31, random_state=6)
    theta = sample.complete.propensity
    assert sample.rare.sum() == 15
    assert theta[sample.rare].max() <= theta[~sample.rare].min()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_users": 0}, "n_users=0 is not allowed"),
        ({"exposure": 0.0}, "exposure=0 leaves no clicks"),
        ({"relevance": 1.5}, "relevance=1.5 is not allowed"),
        ({"difficulty": 0.8}, "difficulty=0.8 is not allowed"),
        ({"quality": -2.0}, "quality=-2.0 is not allowed"),
        ({"exposure_by": "user"}, "exposure_by='user' is unknown"),
        ({"signal": -1.0}, "signal=-1.0 is not allowed"),
    ],
)
def test_options_of_the_generator_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        make_clicks(**options)


# ---------------------------------------------------------------------------------- ideal values


def sorted_dcg(gamma, scores, k):
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    gains = np.take_along_axis(gamma, order, axis=1)
    return np.mean(gains @ (1 / np.log2(np.arange(2, gains.shape[1] + 2))))


def test_ideal_gain_is_that_of_a_sort_with_ties_and_short_lists():
    gamma = RNG.random((20, 9))
    truth = KnownRelevance(gamma)
    scores = RNG.integers(0, 4, size=gamma.shape).astype(float)  # many ties
    for k in (1, 5, 9, 50):
        assert truth.dcg(scores, k) == pytest.approx(sorted_dcg(gamma, scores, k), rel=1e-12)
    some = np.array([1, 4, 7])
    expected = sorted_dcg(gamma[:, some], scores[:, some], 2)
    assert truth.dcg(scores, 2, items=some) == pytest.approx(expected, rel=1e-12)


def test_excluded_pairs_neither_rank_nor_gain():
    gamma = np.array([[0.9, 0.5, 0.1], [0.3, 0.2, 0.6]])
    excluded = np.array([[1, 0, 0], [1, 1, 1]])
    found = KnownRelevance(gamma).dcg(np.array([[3.0, 2, 1], [3, 2, 1]]), 3, exclude=excluded)
    assert found == pytest.approx((0.5 + 0.1 / np.log2(3)) / 2)


def test_ideal_loss_is_least_at_the_relevance():
    sample = make_clicks(n_users=30, n_items=20, random_state=7)
    gamma = sample.complete.relevance
    assert sample.ideal.loss(gamma) == pytest.approx(sample.truth["least_loss"], rel=1e-12)
    shift = RNG.normal(size=gamma.shape)
    expected = sample.truth["least_loss"] + np.mean(shift**2)
    assert sample.ideal.loss(gamma + shift) == pytest.approx(expected, rel=1e-12)
    entropy = -np.mean(gamma * np.log(gamma) + (1 - gamma) * np.log1p(-gamma))
    assert sample.ideal.loss(logit(gamma), "cross_entropy") == pytest.approx(entropy, rel=1e-10)


def test_ideal_values_need_a_score_for_every_pair():
    truth = KnownRelevance(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"shape \(3, 2\); give one for every user and item"):
        truth.loss(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="missing"):
        truth.dcg(np.full((2, 3), np.nan))


# -------------------------------------------------------------------------------- make_saito2020


@pytest.fixture(scope="module")
def ratings():
    """Ratings of 60 users and 40 items that depend on one factor, the liked rated more often."""
    rng = np.random.default_rng(8)
    taste = np.outer(rng.normal(size=60), rng.normal(size=40))
    rated = rng.random(taste.shape) < expit(taste - 0.5)
    users, items = np.nonzero(rated)
    values = np.clip(np.round(3 + taste[rated]), 1, 5)
    return pd.DataFrame({"user": users, "item": items, "rating": values})


def test_epsilon_and_power_act_on_the_same_factor_models(ratings):
    base = make_saito2020(ratings, epsilon=5.0, power=1.0, random_state=9)
    other = make_saito2020(ratings, epsilon=4.0, power=2.0, random_state=9)
    np.testing.assert_allclose(
        logit(other.complete.relevance), logit(base.complete.relevance) + 1.0, rtol=1e-9
    )
    np.testing.assert_allclose(other.complete.exposure, base.complete.exposure**2, rtol=1e-12)
    assert logit(base.complete.relevance).min() >= 1 - 5 - 1e-9
    assert logit(base.complete.relevance).max() <= 5 - 5 + 1e-9


def test_factor_models_follow_the_ratings(ratings):
    sample = make_saito2020(ratings, n_iterations=1500, random_state=9)
    predicted = logit(sample.complete.relevance)[ratings["user"], ratings["item"]]
    assert np.corrcoef(predicted, ratings["rating"])[0, 1] > 0.8
    rated = np.zeros((60, 40))
    rated[ratings["user"], ratings["item"]] = 1
    theta = sample.complete.exposure
    assert theta[rated == 1].mean() > theta[rated == 0].mean() + 0.2
    within(theta.mean(), rated.mean(), 0.02)


def test_factors_reach_what_has_low_rank():
    users, items = (codes.ravel() for codes in np.indices((12, 9)))
    shared = {"n_factors": 3, "batch_size": 108, "learning_rate": 0.02, "n_iterations": 3000}
    target = np.outer(np.linspace(1, 2, 12), np.linspace(-1, 1, 9))
    found = fit_factors(
        users,
        items,
        target.ravel(),
        (12, 9),
        link="identity",
        rng=np.random.default_rng(0),
        **shared,
    )
    np.testing.assert_allclose(found, target, atol=0.02)
    share = np.full(108, 0.3)
    found = fit_factors(
        users, items, share, (12, 9), link="logistic", rng=np.random.default_rng(0), **shared
    )
    np.testing.assert_allclose(expit(found), 0.3, atol=0.01)


def test_files_are_read_in_every_form(ratings, tmp_path):
    expected = make_saito2020(ratings, random_state=1).observed["X"]
    ratings.to_csv(tmp_path / "r.csv", index=False)
    ratings.to_parquet(tmp_path / "r.parquet")
    names = {"user": "user_id:token", "item": "item_id:token", "rating": "rating:float"}
    ratings.rename(columns=names).to_csv(tmp_path / "r.inter", sep="\t", index=False)
    timed = ratings.assign(time=0)
    timed.to_csv(tmp_path / "r.data", sep="\t", index=False, header=False)
    for name in ("r.csv", "r.parquet", "r.inter", "r.data"):
        found = make_saito2020(tmp_path / name, random_state=1).observed["X"]
        assert (found != expected).nnz == 0, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.drop(columns="rating"), "no column is named 'rating'"),
        (lambda r: r.assign(rating="good"), "does not hold numbers"),
        (lambda r: r.assign(rating=np.nan), "rows have missing values"),
        (lambda r: r.head(0), "there are no rows"),
        (lambda r: pd.concat([r, r.head(2)]), "2 of .* rows rate a pair again"),
        (lambda r: "nowhere.csv", "nowhere.csv is no file"),
    ],
)
def test_ratings_that_cannot_be_used(ratings, change, message):
    with pytest.raises(ValueError, match=message):
        make_saito2020(change(ratings))


def test_unknown_files(tmp_path):
    (tmp_path / "r.xlsx").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match="r.xlsx has an unknown form"):
        make_saito2020(tmp_path / "r.xlsx")
