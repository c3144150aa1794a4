"""The regressor: methods, horizon, identities, and the plain learner where nothing is censored."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, PoissonRegressor, QuantileRegressor, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from trueness.censoring import (
    CensoredRegressor,
    CoxCensoring,
    KaplanMeierCensoring,
    LearnerWarning,
    PositivityWarning,
    censoring_weights,
    survival_target,
)
from trueness.simulations.censoring import make_censored_durations


@pytest.fixture(scope="module")
def sample():
    return make_censored_durations(design="exp_pos", n_rows=400, level=0.3, random_state=3)


@pytest.fixture(scope="module")
def ties():
    return make_censored_durations(
        design="wei_ind", n_rows=300, level=0.3, time_unit=0.25, random_state=4
    )


def restricted_mean(y, horizon):
    """Area under the Kaplan-Meier curve of the event."""
    model = KaplanMeierCensoring(of="event").fit(None, y["time"], y["event"])
    return model.curve().integral(horizon)


# ------------------------------------------------------------------------------ methods


@pytest.mark.parametrize(
    "method", ["weights", "doubly_robust", "buckley_james", "leurgans", "ksv", "pseudo"]
)
def test_with_marginal_models_and_no_floor_the_mean_is_the_restricted_mean(ties, method):
    y = ties.observed["y"]
    model = CensoredRegressor(
        DummyRegressor(),
        method=method,
        censoring="km",
        outcome="km",
        horizon=3.0,
        floor=0.0,
    ).fit(ties.observed["X"], y)
    expected = restricted_mean(y, 3.0)
    assert model.predict(ties.observed["X"][:1])[0] == pytest.approx(expected, rel=1e-12)
    assert model.method_ == method
    assert model.horizon_ == 3.0
    assert (model.outcome_model_ is None) == (method not in ("doubly_robust", "buckley_james"))


@pytest.mark.parametrize("method", ["weights", "doubly_robust", "pseudo"])
def test_case_weights_count_rows(ties, method):
    X, y = ties.observed["X"], ties.observed["y"]
    times = np.random.default_rng(0).integers(0, 3, len(y))
    options = dict(method=method, censoring="km", outcome="km", horizon=3.0, floor=0.0)
    weighted = CensoredRegressor(LinearRegression(), **options).fit(X, y, sample_weight=times)
    repeated = CensoredRegressor(LinearRegression(), **options).fit(
        X.loc[X.index.repeat(times)], np.repeat(y, times)
    )
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9)


def test_weights_are_those_of_the_function(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    model = CensoredRegressor(Ridge(), method="weights", censoring="cox", horizon=2.0).fit(X, y)
    found = censoring_weights(y["time"], y["event"], X, model="cox", horizon=2.0, normalize="mean1")
    kept = found.known
    expected = Ridge().fit(X[kept], found.target[kept], sample_weight=found.weights[kept])
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-12)
    assert model.diagnostics_.model == found.diagnostics.model
    assert model.diagnostics_.n_known == kept.sum() < len(y)


def test_auto_depends_on_the_loss_of_the_learner(sample):
    fit = sample.observed
    options = dict(censoring="km", outcome="km", horizon=2.0)
    for learner, method in [
        (Ridge(), "doubly_robust"),
        (HistGradientBoostingRegressor(max_iter=5), "doubly_robust"),
        (QuantileRegressor(alpha=0.0), "weights"),
        (PoissonRegressor(), "weights"),
        (HistGradientBoostingRegressor(loss="gamma", max_iter=5), "weights"),
        (TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1), "weights"),
    ]:
        model = CensoredRegressor(learner, **options).fit(**fit)
        assert model.method_ == method
        assert np.isfinite(model.predict(fit["X"])).all()
    for method in ("doubly_robust", "buckley_james", "leurgans", "ksv", "pseudo"):
        with pytest.raises(ValueError, match=f"method='{method}' makes outcomes .* Quantile"):
            CensoredRegressor(QuantileRegressor(), method=method, **options).fit(**fit)


def test_a_weighted_median_is_the_median_of_the_curve(ties):
    y = ties.observed["y"]
    model = CensoredRegressor(
        DummyRegressor(strategy="median"), method="weights", censoring="km", horizon=3.0, floor=0.0
    ).fit(ties.observed["X"], y)
    curve = KaplanMeierCensoring(of="event").fit(None, y["time"], y["event"]).curve()
    naive = np.median(np.minimum(y["time"], 3.0))
    assert model.predict(ties.observed["X"][:1])[0] == curve.quantile(0.5) != naive


def test_models_of_every_kind_are_taken(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    by_name = CensoredRegressor(Ridge(), method="weights", censoring="cox", horizon=2.0).fit(X, y)
    given = CensoredRegressor(Ridge(), method="weights", censoring=CoxCensoring(), horizon=2.0).fit(
        X, y
    )
    np.testing.assert_array_equal(by_name.predict(X), given.predict(X))
    oracle = CensoredRegressor(
        Ridge(),
        method="doubly_robust",
        censoring=sample.censoring_model,
        outcome=sample.outcome_model,
        horizon=2.0,
        random_state=0,
    ).fit(X, y)
    truth = sample.law.regression(X, horizon=2.0)
    best = Ridge().fit(X, np.minimum(sample.complete.durations, 2.0)).predict(X)
    error, least = (np.mean((f - truth) ** 2) for f in (oracle.predict(X), best))
    naive = Ridge().fit(X, np.minimum(y["time"], 2.0)).predict(X)
    assert error < least + 0.2 * np.mean((naive - truth) ** 2)
    assert not hasattr(sample.censoring_model, "_X")  # clones are fitted


def test_fits_repeat_with_their_seed(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    options = dict(censoring="cox", outcome="cox", horizon=2.0)
    first, again, other = (
        CensoredRegressor(Ridge(), random_state=seed, **options).fit(X, y).predict(X)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    # The folds of the models that leave no row out differ.
    assert np.abs(first - other).max() > 1e-6


def test_clusters_stay_together_in_folds(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    options = dict(censoring="km", outcome="cox", horizon=2.0, random_state=0)
    # Every row twice: with clusters a row's twin is never in the folds it is predicted from.
    doubled = pd.concat([X, X], ignore_index=True)
    twice = np.concatenate([y, y])
    clusters = np.tile(np.arange(len(y)), 2)
    kept = CensoredRegressor(Ridge(), **options).fit(doubled, twice, clusters=clusters)
    apart = CensoredRegressor(Ridge(), **options).fit(doubled, twice)
    assert np.abs(kept.predict(X) - apart.predict(X)).max() > 1e-6


# ------------------------------------------------------------------------------ nothing censored


@pytest.mark.parametrize(
    "learner",
    [
        "linear",
        Ridge(),
        QuantileRegressor(alpha=0.0),
        KNeighborsRegressor(),
        make_pipeline(StandardScaler(), Ridge()),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["auto", "weights"])
def test_without_censoring_the_learner_is_fitted_as_it_is(sample, learner, method):
    X, durations = sample.observed["X"], sample.complete.durations
    complete = survival_target(durations, np.ones(len(durations)))
    model = CensoredRegressor(learner, method=method, horizon=1.0).fit(X, complete)
    plain = CensoredRegressor(learner, method=method).fit(X, durations)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    if not isinstance(learner, str):
        np.testing.assert_array_equal(model.predict(X), clone(learner).fit(X, durations).predict(X))
        assert model.score(X, complete) == pytest.approx(
            clone(learner).fit(X, durations).score(X, durations), rel=1e-12
        )
    assert model.horizon_ is plain.horizon_ is None
    assert model.method_ == "complete"
    assert (model.diagnostics_.n_censored, model.diagnostics_.event_given) == (0, True)
    assert (plain.diagnostics_.n_censored, plain.diagnostics_.event_given) == (0, False)


def test_without_censoring_weights_are_handed_on(sample):
    X, durations = sample.observed["X"], sample.complete.durations
    weight = np.random.default_rng(0).exponential(size=len(X))
    model = CensoredRegressor(Ridge()).fit(X, durations, sample_weight=weight)
    plain = Ridge().fit(X, durations, sample_weight=weight)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    expected = plain.score(X, durations, sample_weight=weight)
    assert model.score(X, durations, sample_weight=weight) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("method", ["weights", "doubly_robust", "buckley_james", "leurgans"])
def test_censoring_at_one_time_for_all_needs_no_correction(method):
    sample = make_censored_durations(
        design="exp_ind", n_rows=300, level=None, administrative=2.0, random_state=1
    )
    X, y = sample.observed["X"], sample.observed["y"]
    model = CensoredRegressor(Ridge(), method=method, random_state=0).fit(X, y)
    assert model.horizon_ == 2.0
    assert not y["event"].all()
    plain = Ridge().fit(X, np.minimum(sample.complete.durations, 2.0))
    np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-9)
    assert model.diagnostics_.weight_sum == pytest.approx(1.0, rel=1e-12)
    assert model.diagnostics_.alarms == ()


# ------------------------------------------------------------------------------ horizon


def test_rows_still_observed_at_the_horizon_are_known_though_censored_later(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    model = CensoredRegressor(Ridge(), method="weights", censoring="km", horizon=1.0).fit(X, y)
    assert model.diagnostics_.n_known == np.sum((y["time"] >= 1.0) | y["event"])
    later = y.copy()
    later["event"] |= y["time"] >= 1.0
    again = CensoredRegressor(Ridge(), method="weights", censoring="km", horizon=1.0).fit(X, later)
    np.testing.assert_allclose(again.predict(X), model.predict(X), rtol=1e-12)


def test_the_automatic_horizon_is_stored_and_cuts_predictions(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    model = CensoredRegressor("forest", method="weights", censoring="km").fit(X, y)
    assert 0.5 < model.horizon_ < y["time"].max()
    assert float(f"{model.horizon_:.2g}") == model.horizon_
    assert model.predict(X).max() <= model.horizon_
    assert model.diagnostics_.horizon == model.horizon_


def test_without_a_horizon_only_events_are_known(sample):
    X, y = sample.observed["X"], sample.observed["y"].copy()
    y["event"] &= y["time"] < 2.0
    y["time"] = np.minimum(y["time"], 2.0)
    model = CensoredRegressor(Ridge(), method="weights", censoring="km", horizon=None, floor=0.0)
    with pytest.warns(PositivityWarning, match="no mean is identified: set a horizon"):
        model.fit(X, y)
    assert model.horizon_ is None
    assert model.diagnostics_.n_known == y["event"].sum()


# ------------------------------------------------------------------------------ learners and input


def test_learners_without_weights_are_resampled_and_named(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    options = dict(method="weights", censoring="cox", horizon=2.0, random_state=0)
    learner = make_pipeline(StandardScaler(), KNeighborsRegressor(15))
    model = CensoredRegressor(learner, n_resamples=7, **options)
    with pytest.warns(LearnerWarning, match="KNeighborsRegressor does not take .*; 7 fits"):
        model.fit(X, y)
    assert len(model.learner_.estimators_) == 7
    truth = sample.law.regression(X, horizon=2.0)
    naive = learner.fit(X, np.minimum(y["time"], 2.0)).predict(X)
    assert np.mean((model.predict(X) - truth) ** 2) < np.mean((naive - truth) ** 2)
    with pytest.raises(ValueError, match="KNeighborsRegressor does not take sample_weight"):
        CensoredRegressor(learner, n_resamples=0, **options).fit(X, y)
    # Outcomes need no weights, so nothing is resampled.
    robust = CensoredRegressor(learner, censoring="km", outcome="km", horizon=2.0).fit(X, y)
    assert robust.method_ == "doubly_robust"
    assert not hasattr(robust.learner_, "n_resamples")


def test_every_form_of_the_target_gives_the_same_fit(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    options = dict(censoring="km", outcome="km", horizon=2.0)
    expected = CensoredRegressor(Ridge(), **options).fit(X, y).predict(X)
    words = np.where(y["event"], "dead", "alive")
    frame = pd.DataFrame({"event": y["event"].astype(int), "time": y["time"]})
    for target, more in [
        (y["time"], {"event": y["event"]}),
        (y["time"].tolist(), {"event": y["event"].astype(int).tolist()}),
        (frame, {}),
        (pl.DataFrame({"time": y["time"], "event": y["event"]}), {}),
        (pd.Series(y["time"]), {"event": pd.Series(y["event"])}),
    ]:
        found = CensoredRegressor(Ridge(), **options).fit(X, target, **more).predict(X)
        np.testing.assert_array_equal(found, expected)
    named = CensoredRegressor(Ridge(), event_level="dead", **options)
    named.fit(X, y["time"], event=words)
    np.testing.assert_array_equal(named.predict(X), expected)
    assert named.score(X, y["time"], event=words) == CensoredRegressor(Ridge(), **options).fit(
        X, y
    ).score(X, y)


def test_frames_with_categories_and_gaps_reach_learner_and_model(sample):
    y = sample.observed["y"]
    rng = np.random.default_rng(0)
    X = sample.observed["X"].copy()
    X["site"] = pd.Categorical(np.where(X["x1"] > 0, "north", "south"))
    learner = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["site"]), remainder="passthrough"),
        HistGradientBoostingRegressor(max_iter=5),
    )
    gaps = X.copy()
    gaps.loc[rng.random(len(X)) < 0.2, "x2"] = np.nan
    for frame in (X, gaps, pl.from_pandas(X)):
        model = CensoredRegressor(learner, censoring="cox", outcome="cox", horizon=2.0)
        model.fit(frame, y)
        assert np.isfinite(model.predict(frame)).all()
        assert np.isfinite(model.score(frame, y))
        assert list(model.feature_names_in_) == list(X.columns)
    gaps_model = CensoredRegressor(learner, censoring="cox", outcome="cox", horizon=2.0)
    gaps_model.fit(gaps, y)
    # The indicator of the gap is one more column; new rows may have gaps elsewhere.
    assert gaps_model.censoring_model_.n_features_in_ == 6
    gaps.loc[3, "x1"] = np.nan
    assert np.isfinite(gaps_model.score(gaps, y))


def test_late_entries_are_weighted_and_refused_by_outcomes(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    entry = np.random.default_rng(0).uniform(0, 1.0, len(y))
    seen = y["time"] > entry
    X, y, entry = X[seen], y[seen], entry[seen]
    options = dict(censoring="km", horizon=2.0, floor=0.0, positivity="ignore")
    model = CensoredRegressor(DummyRegressor(), **options).fit(X, y, entry=entry)
    assert model.method_ == "weights"
    weights = censoring_weights(
        y["time"],
        y["event"],
        horizon=2.0,
        floor=0.0,
        entry=entry,
        normalize="hajek",
        positivity="ignore",
    )
    expected = weights.weights @ weights.target
    assert model.predict(X[:1])[0] == pytest.approx(expected, rel=1e-12)
    inside = survival_target(y["time"], y["event"], entry)
    again = CensoredRegressor(DummyRegressor(), **options).fit(X, inside)
    np.testing.assert_array_equal(again.predict(X[:1]), model.predict(X[:1]))
    for method in ("doubly_robust", "buckley_james", "leurgans", "ksv"):
        with pytest.raises(ValueError, match="not made for entry times"):
            CensoredRegressor(Ridge(), method=method, **options).fit(X, y, entry=entry)
    pseudo = CensoredRegressor(DummyRegressor(), method="pseudo", **options)
    pseudo.fit(X, y, entry=entry)
    curve = KaplanMeierCensoring(of="event").fit(None, y["time"], y["event"], entry=entry).curve()
    assert pseudo.predict(X[:1])[0] == pytest.approx(curve.integral(2.0), rel=1e-12)


# ------------------------------------------------------------------------------ bad input


def test_options_that_do_not_exist_are_named(sample):
    fit = sample.observed
    for options, message in [
        (dict(method="ipcw"), "method='ipcw' is not one of 'auto', 'weights'"),
        (dict(learner="tree"), "learner='tree' is not one of 'linear', 'boosting', 'forest'"),
        (dict(normalize="sum"), "normalize='sum'"),
        (dict(positivity="stop"), "positivity='stop'"),
        (dict(horizon="long"), "horizon='long'"),
        (dict(horizon=-1.0), "horizon=-1.0 must be a positive"),
        (dict(floor=2.0, censoring="km"), "floor=2.0"),
        (dict(n_folds=1), "n_folds=1 must be at least 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            CensoredRegressor(**options).fit(**fit)
    with pytest.raises(TypeError, match=r"pass an instance, Ridge\(\)"):
        CensoredRegressor(Ridge).fit(**fit)


def test_targets_that_cannot_be_are_refused(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    time, event = y["time"], y["event"]
    gone = time.copy()
    gone[[4, 7]] = np.nan
    for target, more, message in [
        (-time, {"event": event}, "negative on 400 of 400 rows"),
        (gone, {"event": event}, r"missing \(NaN\) on 2 of 400 rows \(rows 4, 7\)"),
        (time, {"event": event + 1}, "event must be 0 .* or 1"),
        (time, {"event": event[:-1]}, "event has 399"),
        (np.column_stack([time, event]), {}, "two columns without names"),
        (time, {"event": np.zeros(400)}, "No row has its event: all 400 are censored"),
        (y, {"event": event}, "event is given twice"),
        (np.where(event, time, -time), {}, "if the sign marks censored rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            CensoredRegressor(Ridge(), censoring="km").fit(X, target, **more)


def test_a_horizon_that_nobody_is_known_at_is_refused(sample):
    X, y = sample.observed["X"], sample.observed["y"]
    last = y["time"].max()
    with pytest.raises(ValueError, match=rf"The largest allowed is {last:.10g}"):
        CensoredRegressor(Ridge(), horizon=2 * last).fit(X, y)
    early = y[:50].copy()
    early["time"], early["event"] = np.linspace(0.1, 0.9, 50), False
    # The only event belongs to a row that counts nothing.
    early["event"][0], early["time"][-1] = True, 2.0
    weight = np.arange(50) % 49 != 0
    with pytest.raises(ValueError, match="All 50 rows are censored before the horizon 1.5"):
        CensoredRegressor(Ridge(), horizon=1.5, censoring="km").fit(
            X[:50], early, sample_weight=weight
        )


def test_constant_covariates_are_named(sample):
    X = sample.observed["X"].assign(x5=1.0)
    with pytest.warns(UserWarning, match="constant covariates .* 'x5'"):
        CensoredRegressor(Ridge(), method="weights", censoring="cox", horizon=2.0).fit(
            X, sample.observed["y"]
        )


def test_positivity_can_be_insisted_on():
    # All of the second group are censored early: nobody there is known to last.
    rng = np.random.default_rng(0)
    group = np.repeat([0.0, 1.0], 100)
    duration = rng.exponential(2.0, 200)
    censoring = np.where(group == 1.0, 0.3, 5.0)
    y = survival_target(np.minimum(duration, censoring), duration <= censoring)
    options = dict(method="weights", censoring="beran", horizon=3.0, random_state=0)
    with pytest.warns(PositivityWarning, match="weights sum to"):
        model = CensoredRegressor(Ridge(), **options).fit(group[:, None], y)
    assert model.diagnostics_.weight_sum < 0.9
    quiet = CensoredRegressor(Ridge(), positivity="ignore", **options).fit(group[:, None], y)
    assert quiet.diagnostics_.alarms == model.diagnostics_.alarms
