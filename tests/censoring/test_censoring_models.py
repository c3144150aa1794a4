"""Cox, chosen and users' models; bandwidths; covariates; the protocol all of them share."""

import pickle

import numpy as np
import pandas as pd
import pytest
from censoring_reference import delayed, durations
from lifelines import CoxPHFitter
from sklearn.base import clone

from trueness.censoring import (
    AutoCensoring,
    BeranCensoring,
    CensoringModel,
    CensoringWarning,
    CoxCensoring,
    CrossFittedCensoring,
    ForestCensoring,
    KaplanMeierCensoring,
    NeighborsCensoring,
    censoring_weights,
)
from trueness.censoring.models import resolve_model
from trueness.censoring.models.forest import martingale_residuals
from trueness.censoring.numerics.bandwidth import normal_reference, prepare_brier
from trueness.censoring.targets import read_rows

X, TIME, EVENT = durations(300, ties=False)
MODELS = [
    KaplanMeierCensoring(),
    KaplanMeierCensoring(leave_one_out=True),
    BeranCensoring(bandwidth=0.8),
    BeranCensoring(random_state=0),
    NeighborsCensoring(n_neighbors=30),
    NeighborsCensoring(random_state=0),
    ForestCensoring(n_estimators=20, random_state=0),
    CoxCensoring(),
    AutoCensoring(random_state=0),
    CrossFittedCensoring(CoxCensoring(), random_state=0),
]


def make(n, shape, seed, d=4):
    """Durations with censoring that is independent, log-linear or not monotone in x."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (n, d))
    duration = np.exp(0.5 * x[:, -1]) * rng.exponential(size=n)
    index = {"independent": 0.0, "linear": 1.5 * x[:, 0], "cosine": 1.5 * np.cos(np.pi * x[:, 0])}
    censored = 1.5 * np.exp(index[shape]) * rng.exponential(size=n)
    return x, np.minimum(duration, censored), duration <= censored


# ------------------------------------------------------------------------------- protocol


@pytest.mark.parametrize("of", ["censoring", "event"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: repr(model)[:40])
def test_every_model_keeps_the_protocol(model, of):
    model = clone(model).set_params(of=of).fit(X, TIME, EVENT)
    at = np.column_stack([TIME, np.full(300, 0.3)])
    new = X[:300]
    for side in ("left", "right"):
        found = model.survival(new, at, side)
        assert found.shape == (300, 2)
        assert ((found >= 0.0) & (found <= 1.0)).all()
        assert model.survival(new, TIME, side) == pytest.approx(found[:, 0], abs=1e-14)
        grid = model.survival_grid(new, [0.1, 0.3, 0.8], side)
        assert grid.shape == (300, 3)
        assert grid[:, 1] == pytest.approx(found[:, 1], abs=1e-14)
        assert (np.diff(grid, axis=1) <= 0.0).all()
        training = model.training_grid([0.1, 0.3], side)
        assert training.shape == (300, 2)
        assert training[:, 1] == pytest.approx(
            model.training_survival(np.full(300, 0.3), side), abs=1e-14
        )
        assert model.training_survival(at, side)[:, 1] == pytest.approx(training[:, 1], abs=1e-14)
    # Jumps are at the times of the kind that the model is of, and only there.
    fell = EVENT if of == "event" else ~EVENT
    assert np.array_equal(model.jump_times_, np.unique(TIME[fell]))
    curve = model.curve(X[3])
    assert curve([0.1, 0.3, 0.8]) == pytest.approx(grid_of(model, X[3:4]), abs=1e-14)
    assert model.last_time_ == TIME.max()
    assert model.marginal(np.array([0.3])) == KaplanMeierCensoring(of=of).fit(
        None, TIME, EVENT
    ).survival(None, [0.3])
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.survival(new, TIME), model.survival(new, TIME))
    assert isinstance(model.name, str)
    again = clone(model).fit(X, TIME, EVENT)
    assert np.array_equal(again.training_survival(TIME), model.training_survival(TIME))


def grid_of(model, x):
    return model.survival_grid(x, [0.1, 0.3, 0.8])[0]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: repr(model)[:40])
def test_times_past_the_last_one_are_said(model):
    model = clone(model).fit(X, TIME, EVENT)
    last = model.survival(X, np.full(300, TIME.max()))
    with pytest.warns(CensoringWarning, match="past the last time in the data"):
        later = model.survival(X, np.full(300, 1e6))
    assert np.array_equal(last, later)
    # Just after the last time is not past it: scores of survivors ask there.
    model.survival(X, np.full(300, np.nextafter(TIME.max(), np.inf)), "left")


def test_models_refuse_what_they_cannot_use():
    for model in MODELS[2:-1]:
        with pytest.raises(ValueError, match="needs covariates X"):
            clone(model).fit(None, TIME, EVENT)
    with pytest.raises(ValueError, match="of='both' must be"):
        KaplanMeierCensoring(of="both").fit(None, TIME, EVENT)
    model = BeranCensoring(bandwidth=1.0).fit(X, TIME, EVENT)
    with pytest.raises(ValueError, match="X has 1 features.*expecting 2"):
        model.survival(X[:, :1], TIME)
    with pytest.raises(ValueError, match="times has 300, X has 299|numbers of rows"):
        model.survival(X[:299], TIME)
    with pytest.raises(ValueError, match="depends on covariates"):
        model.curve()
    with pytest.raises(ValueError, match=r"times: 1 are missing"):
        model.survival(X[:2], [1.0, np.nan])
    with pytest.raises(ValueError, match="one or two dimensions"):
        model.survival(X[:2], np.ones((2, 2, 2)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (BeranCensoring(bandwidth=-1.0), "must be positive"),
        (BeranCensoring(bandwidth=[1.0, 2.0, 3.0]), r"shape \(3,\)"),
        (BeranCensoring(bandwidth="best"), "bandwidth='best' must be one of"),
        (BeranCensoring(kernel="cosine"), "kernel='cosine' must be one of"),
        (BeranCensoring(form="sum"), "form='sum' must be one of"),
        (BeranCensoring(mismatch=2.0), "mismatch=2.0 must lie between 0 and 1"),
        (BeranCensoring(categorical=["place"]), "no column 'place'"),
        (NeighborsCensoring(n_neighbors=0), "n_neighbors=0 must lie between 1 and"),
        (NeighborsCensoring(n_neighbors=301), "n_neighbors=301 must lie"),
        (NeighborsCensoring(n_neighbors="few"), "n_neighbors='few' must be"),
        (NeighborsCensoring(kernel="cosine"), "kernel='cosine' must be one of"),
    ],
)
def test_options_that_are_none(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, TIME, EVENT)


# ------------------------------------------------------------------------------------- Cox


def test_cox_without_ties_is_lifelines_with_a_flipped_indicator():
    model = CoxCensoring().fit(X, TIME, EVENT)
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(time=TIME, censored=~EVENT)
    peer = CoxPHFitter().fit(frame, "time", "censored")
    scales = X.std(axis=0)
    assert model.coef_ / scales == pytest.approx(peer.params_.to_numpy(), abs=1e-6)
    # At jumps: between them the peer interpolates.
    at = model.jump_times_[[10, 50, 90]]
    theirs = peer.predict_survival_function(frame.iloc[:5], times=at).to_numpy().T
    assert model.survival_grid(X[:5], at) == pytest.approx(theirs, abs=1e-5)
    test = peer.log_likelihood_ratio_test()
    assert model.likelihood_ratio_ == pytest.approx(test.test_statistic, abs=1e-6)
    assert model.dependence(X).p_value == pytest.approx(test.p_value, abs=1e-6)


@pytest.mark.parametrize("of", ["censoring", "event"])
@pytest.mark.parametrize("delay", [False, True])
def test_cox_lets_events_happen_before_censorings(of, delay):
    x, time, event = durations(300)
    entry = delayed(time) if delay else None
    model = CoxCensoring(of=of).fit(x, time, event, entry=entry)
    # Censorings a little later are no longer tied with events, and are at risk of them.
    later = np.where(event, time, time + 0.25)
    then = entry + 0.25 if delay else None
    shifted = CoxCensoring(of=of).fit(x, later, event, entry=then)
    assert model.coef_ == pytest.approx(shifted.coef_, abs=1e-6)
    grid = np.array([1.0, 2.0, 4.0])
    shifted = shifted.survival_grid(x[:5], grid + 0.25)
    assert model.survival_grid(x[:5], grid) == pytest.approx(shifted, abs=1e-6)
    if of == "censoring" and not delay:
        frame = pd.DataFrame(x, columns=["a", "b"]).assign(time=time, censored=~event)
        flipped = CoxPHFitter().fit(frame, "time", "censored").params_.to_numpy()
        assert np.abs(model.coef_ / x.std(axis=0) - flipped).max() > 1e-3


def test_cox_baseline_is_the_ratio_of_rows_and_risks():
    x, time, event = durations(80)
    case = np.random.default_rng(1).uniform(0.5, 2.0, 80)
    entry = delayed(time)
    model = CoxCensoring().fit(x, time, event, sample_weight=case, entry=entry)
    risk = case * np.exp(model.linear_predictor(x))
    for v, jump in zip(model.jump_times_, model.baseline_hazard_, strict=True):
        at_risk = (entry < v) & ((time > v) | ((time == v) & ~event))
        expected = case[(time == v) & ~event].sum() / risk[at_risk].sum()
        assert jump == pytest.approx(expected, rel=1e-12)


def test_whole_case_weights_are_repeated_rows_of_a_cox_model():
    times = np.random.default_rng(2).integers(0, 3, 300)
    # Efron's ties differ between weights and repetitions: hardly, with few of them.
    weighted = CoxCensoring().fit(X, TIME, EVENT, sample_weight=times)
    again = np.repeat(np.arange(300), times)
    repeated = CoxCensoring().fit(X[again], TIME[again], EVENT[again])
    assert weighted.coef_ == pytest.approx(repeated.coef_, abs=0.05)


def test_a_cox_model_that_has_no_maximum_says_so():
    frame = pd.DataFrame({"a": X[:, 0], "twice": 2.0 * X[:, 0]})
    with pytest.raises(ValueError, match=r"no maximum for 2 columns.*penalizer=0\.1"):
        CoxCensoring().fit(frame, TIME, EVENT)
    assert np.isfinite(CoxCensoring(penalizer=0.1).fit(frame, TIME, EVENT).coef_).all()
    assert KaplanMeierCensoring().fit(None, TIME, EVENT).dependence(frame) is None


def test_a_cox_model_without_censorings_is_one():
    model = CoxCensoring().fit(X, TIME, np.ones(300))
    assert (model.survival(X, TIME) == 1.0).all()
    assert model.dependence(X) is None


# ------------------------------------------------------------------------------ bandwidths


def test_the_wanted_number_of_neighbours_is_reached():
    for target in (20.0, 75.0):
        model = BeranCensoring(bandwidth="effective", n_effective=target).fit(X, TIME, EVENT)
        support = model.training_curves(TIME, "left").support
        assert np.median(support) == pytest.approx(target, rel=0.02)
        assert model.n_effective_ == pytest.approx(target, rel=0.02)
    default = BeranCensoring(bandwidth="effective").fit(X, TIME, EVENT)
    assert default.n_effective_ == pytest.approx(300 ** (2 / 3), rel=0.02)
    # More than there are: all rows alike.
    every = BeranCensoring(bandwidth="effective", n_effective=299.0).fit(X, TIME, EVENT)
    assert every.bandwidth_ == np.inf
    assert np.array_equal(
        every.training_survival(TIME),
        KaplanMeierCensoring().fit(None, TIME, EVENT).training_survival(TIME),
    )


def test_the_rules():
    model = BeranCensoring(bandwidth="rule").fit(X, TIME, EVENT)
    assert model.bandwidth_ == pytest.approx((4 / 4) ** (1 / 6) * 300 ** (-1 / 6))
    assert normal_reference(1000, 1) == pytest.approx((4 / 3) ** 0.2 * 1000**-0.2)
    assert NeighborsCensoring(n_neighbors="rule").fit(X, TIME, EVENT).n_neighbors_ == 44


@pytest.mark.parametrize("of", ["censoring", "event"])
@pytest.mark.parametrize("delay", [False, True])
def test_the_brier_score_by_hand(of, delay):
    _, time, event = durations(60)
    entry = delayed(time) if delay else None
    rng = np.random.default_rng(0)
    score = prepare_brier(time, event, 6.0, rng, of=of, entry=entry)
    grid = np.unique(np.quantile(time[time <= 6.0], np.arange(1, 6) / 6))
    assert score.times[0, : len(grid)].tolist() == grid.tolist()
    predicted = np.sort(rng.random((60, len(grid) + delay)), axis=1)[:, ::-1]
    if delay:  # the last one is at the entry, where most are left
        predicted[:, -1] = 0.99
    other = "event" if of == "censoring" else "censoring"
    seen = KaplanMeierCensoring(of=other).fit(None, time, event, entry=entry)
    total = weight = 0.0
    for i in range(60):
        for m, u in enumerate(grid):
            start = 0.0 if entry is None else entry[i]
            if delay and start >= u:
                continue
            before = 1.0 if entry is None else seen.survival(None, [start])[0]
            if time[i] > u:
                omega, outcome = before / seen.survival(None, [u])[0], 1.0
            elif event[i] == (of == "event"):
                side = "right" if of == "censoring" else "left"
                omega, outcome = before / seen.survival(None, time[i : i + 1], side)[0], 0.0
            else:
                continue
            chance = predicted[i, m] / (predicted[i, -1] if delay else 1.0)
            total += omega * (outcome - chance) ** 2
            weight += omega
    assert score(predicted) == pytest.approx(total / weight, rel=1e-10)


def test_the_true_curve_has_the_least_brier_score_on_average():
    scores = []
    for seed in range(10):
        x, time, event = make(500, "linear", seed)
        score = prepare_brier(time, event, 1.5, np.random.default_rng(0))
        rate = np.exp(-1.5 * x[:, :1]) / 1.5
        truth = np.exp(-score.times * rate)
        marginal = KaplanMeierCensoring().fit(None, time, event).survival_grid(None, score.times[0])
        scores.append([score(truth), score(np.exp(-score.times * rate**0.5)), score(marginal)])
    truth, shrunk, marginal = np.mean(scores, axis=0)
    assert truth < shrunk < marginal


def test_a_thousand_rows_are_scored_at_most():
    _, time, event = make(2500, "linear", 0)
    score = prepare_brier(time, event, 1.0, np.random.default_rng(0))
    assert len(score.rows) == 1000
    assert score.omega.shape == (1000, 5)


# -------------------------------------------------------------------------------- choosing


@pytest.mark.parametrize("make_model", [BeranCensoring, NeighborsCensoring, AutoCensoring])
def test_independent_censoring_gets_the_curve_without_covariates(make_model):
    chosen = []
    for seed in range(5):
        x, time, event = make(300, "independent", seed)
        table = make_model(random_state=seed).fit(x, time, event).selection_
        assert table["chosen"].sum() == 1
        # The simplest comes first and wins ties.
        assert table["candidate"][0] == "Kaplan-Meier"
        assert table["brier"][table["chosen"]].item() <= table["brier"].min() + 1e-12
        chosen.append(bool(table["chosen"][0]))
    assert sum(chosen) >= 4


def test_the_right_kind_of_dependence_is_found():
    linear, cosine = [], []
    for seed in range(3):
        linear.append(AutoCensoring(random_state=seed).fit(*make(400, "linear", seed)).model_)
        cosine.append(AutoCensoring(random_state=seed).fit(*make(400, "cosine", seed)).model_)
    assert sum(isinstance(model, CoxCensoring) for model in linear) >= 2
    assert sum(isinstance(m, ForestCensoring | BeranCensoring) for m in cosine) == 3
    x, time, event = make(400, "cosine", 0, d=1)
    alone = AutoCensoring(random_state=0).fit(x, time, event)
    assert isinstance(alone.model_, BeranCensoring)
    assert "Forest" not in set(alone.selection_["candidate"])


def test_candidates_of_the_automatic_choice():
    table = AutoCensoring(random_state=0).fit(*make(320, "linear", 0)).selection_
    names = table["candidate"].tolist()
    assert names[:2] == ["Kaplan-Meier", "Cox"]
    assert names[2:-1] == [f"Beran, {k} effective neighbours" for k in (240, 120, 60, 30, 15)]
    assert names[-1] == "Forest"
    fewer = AutoCensoring(random_state=0).fit(*make(299, "linear", 0)).selection_
    assert "Forest" not in fewer["candidate"].tolist()


def test_many_rows_choose_among_neighbours(monkeypatch):
    monkeypatch.setattr("trueness.censoring.models.auto.LARGEST_SCORED", 400)
    x, time, event = make(600, "cosine", 0)
    model = AutoCensoring(random_state=0).fit(x, time, event)
    names = model.selection_["candidate"].tolist()
    assert names[2:7] == [f"{k} neighbours" for k in (240, 120, 60, 30, 15)]
    assert len(model.model_.rows_) == 600


def test_the_chosen_model_is_the_one_that_would_be_fitted_alone():
    x, time, event = make(310, "linear", 1)
    auto = AutoCensoring(random_state=0).fit(x, time, event)
    alone = CoxCensoring().fit(x, time, event)
    assert np.array_equal(auto.training_survival(time), alone.training_survival(time))
    assert auto.name == "Cox (chosen automatically)"


@pytest.mark.parametrize(
    ("horizon", "n_censored", "reason"),
    [
        (None, 12, "only 12 censored"),
        (0.5, 80, "before the horizon"),
        (None, 0, "no rows censored"),
    ],
)
def test_few_censorings_are_kaplan_meier(horizon, n_censored, reason):
    rng = np.random.default_rng(0)
    x, time = rng.normal(size=(200, 2)), rng.exponential(size=200)
    order = np.argsort(time)
    event = np.ones(200)
    event[order[100 : 100 + n_censored]] = 0
    assert time[order[100]] > 0.5
    model = AutoCensoring(horizon=horizon).fit(x, time, event)
    assert isinstance(model.model_, KaplanMeierCensoring)
    assert reason in model.selection_["note"][0]


def test_a_candidate_that_cannot_be_fitted_is_recorded():
    x, time, event = make(200, "linear", 0)
    table = AutoCensoring(random_state=0).fit(np.column_stack([x, x[:, 0]]), time, event).selection_
    cox = table[table["candidate"] == "Cox"].iloc[0]
    assert np.isnan(cox["brier"])
    assert "no maximum" in cox["note"]
    assert table["chosen"].sum() == 1


def test_the_table_is_in_the_diagnostics():
    x, time, event = make(300, "linear", 0)
    found = censoring_weights(
        time, event, x, model="auto", horizon=1.0, positivity="ignore", random_state=0
    )
    pd.testing.assert_frame_equal(found.diagnostics.selection, found.model.selection_)


def test_whole_clusters_are_left_out_together():
    # Ten copies of each row: without clusters a row's copies tell its own time.
    x, time, event = make(60, "independent", 3)
    x, time, event = np.repeat(x, 10, axis=0), np.repeat(time, 10), np.repeat(event, 10)
    clusters = np.repeat(np.arange(60), 10)
    blind = NeighborsCensoring(random_state=0).fit(x, time, event)
    aware = NeighborsCensoring(random_state=0).fit(x, time, event, clusters=clusters)
    assert blind.n_neighbors_ == 15
    assert aware.n_neighbors_ > 60
    auto = AutoCensoring(random_state=0).fit(x, time, event, clusters=clusters)
    assert auto.selection_["chosen"][0] or auto.selection_["brier"].min() > 0.1


# ------------------------------------------------------------------------------ covariates


def test_constant_covariates_are_left_out_and_said():
    frame = pd.DataFrame({"a": X[:, 0], "same": 1.0, "word": "x"})
    for model in (BeranCensoring(bandwidth=0.5), CoxCensoring(), NeighborsCensoring(n_neighbors=9)):
        with pytest.warns(CensoringWarning, match="constant covariates.*'same', 'word'"):
            model.fit(frame, TIME, EVENT)
        alone = clone(model).fit(frame[["a"]], TIME, EVENT)
        assert np.array_equal(model.survival(frame, TIME), alone.survival(frame[["a"]], TIME))


def test_covariates_that_are_missing_are_said():
    for value, word in ((np.nan, "NaN"), (np.inf, "infinite")):
        wrong = X.copy()
        wrong[4, 1] = value
        with pytest.raises(ValueError, match=rf"{word}.*row 4"):
            CoxCensoring().fit(wrong, TIME, EVENT)
        with pytest.raises(ValueError, match=r"row 4"):
            CoxCensoring().fit(pd.DataFrame(wrong, columns=["a", "b"]), TIME, EVENT)
    with pytest.raises(ValueError, match="Expected 2D array"):
        CoxCensoring().fit(X[:, 0], TIME, EVENT)


def test_scales_are_those_of_weighted_rows():
    case = np.random.default_rng(0).integers(0, 3, 300)
    again = np.repeat(np.arange(300), case)
    weighted = BeranCensoring(bandwidth=0.5, leave_one_out=False).fit(
        X, TIME, EVENT, sample_weight=case
    )
    repeated = BeranCensoring(bandwidth=0.5, leave_one_out=False).fit(
        X[again], TIME[again], EVENT[again]
    )
    found = weighted.survival(X, TIME, "left")
    assert found == pytest.approx(repeated.survival(X, TIME, "left"), abs=1e-12)


def test_martingale_residuals_sum_to_zero():
    _, time, event = durations(80)
    for entry in (None, delayed(time)):
        for of in ("censoring", "event"):
            rows = read_rows(time, event, entry=entry)
            assert martingale_residuals(rows, of).sum() == pytest.approx(0.0, abs=1e-10)


# ------------------------------------------------------------------------------ users' own


class Exponential:
    """Constant hazard, without sides, parameters or anything else."""

    def fit(self, X, time, event):
        assert set(np.unique(event)) <= {0, 1}
        self.rate = (1 - event).sum() / time.sum()
        self.n = len(time)
        return self

    def survival(self, X, times):
        return np.exp(-self.rate * times)


class Steps(Exponential):
    """Different on two sides, everywhere."""

    def survival(self, X, times, side="right"):
        return np.full(len(times), 0.5 if side == "right" else 0.75)


def test_any_object_with_fit_and_survival_is_cross_fitted():
    found = censoring_weights(TIME, EVENT, X, model=Exponential(), floor=0, positivity="ignore")
    assert found.model.name == "Exponential, cross-fitted"
    rates = {
        float(-np.log(s) / t)
        for s, t in zip(found.survival[EVENT].round(12), TIME[EVENT], strict=True)
        if t > 0.05
    }
    # One rate for each fold, none of them from all rows.
    assert len({round(rate, 6) for rate in rates}) == 5
    assert found.model.model_.n == 300
    sizes = [model.n for _, model in found.model._folds]
    assert sizes == [240] * 5


def test_sides_of_a_users_model():
    at = np.full(300, 0.5)
    steps = CrossFittedCensoring(Steps(), random_state=0).fit(X, TIME, EVENT)
    assert (steps.survival(X, at) == 0.5).all()
    assert (steps.survival(X, at, "left") == 0.75).all()
    assert (steps.training_survival(at, "left") == 0.75).all()
    # Without sides the left limit is taken just before.
    steps = CrossFittedCensoring(Shifted(), random_state=0).fit(X, TIME, EVENT)
    assert (steps.survival(X, at, "left") == 1.0).all()
    assert (steps.survival(X, at) == 0.5).all()


class Shifted(Exponential):
    def survival(self, X, times):
        return np.where(times >= 0.5, 0.5, 1.0)


def test_cross_fitting_keeps_clusters_together():
    clusters = np.arange(300) // 4
    model = CrossFittedCensoring(KaplanMeierCensoring(), random_state=0)
    model.fit(None, TIME, EVENT, clusters=clusters)
    for predict, fitted in model._folds:
        assert len(fitted.rows_) == 300 - len(predict)
        assert not set(clusters[predict]) & set(np.delete(clusters, predict))
    peer = KaplanMeierCensoring().fit(
        None, np.delete(TIME, model._folds[0][0]), np.delete(EVENT, model._folds[0][0])
    )
    rows = model._folds[0][0]
    inside = TIME[rows] < peer.last_time_
    found = model.training_survival(TIME, "left")[rows]
    assert found[inside] == pytest.approx(peer.survival(None, TIME[rows][inside], "left"))


def test_a_users_model_is_held_to_its_word():
    class Wrong(Exponential):
        def survival(self, X, times):
            return self.value

    wrong = Wrong()
    wrong.value = np.full(300, 1.5)
    with pytest.raises(ValueError, match=r"Wrong.survival returned 1\.5"):
        CrossFittedCensoring(wrong).fit(X, TIME, EVENT).survival(X, TIME)
    wrong.value = np.ones((300, 2))
    with pytest.raises(ValueError, match=r"array of shape \(300, 2\) for 300 rows"):
        CrossFittedCensoring(wrong).fit(X, TIME, EVENT).survival(X, TIME)
    with pytest.raises(ValueError, match="sample_weight was given, but Exponential.fit does not"):
        CrossFittedCensoring(Exponential()).fit(X, TIME, EVENT, sample_weight=np.ones(300))


def test_names_and_objects_become_models():
    for name, kind in (
        ("km", KaplanMeierCensoring),
        ("auto", AutoCensoring),
        ("beran", BeranCensoring),
        ("neighbors", NeighborsCensoring),
        ("forest", ForestCensoring),
        ("cox", CoxCensoring),
    ):
        model = resolve_model(name, has_covariates=True, horizon=3.0, random_state=1)
        assert isinstance(model, kind)
        assert isinstance(model, CensoringModel)
        assert getattr(model, "horizon", 3.0) == 3.0
    assert isinstance(resolve_model("auto", has_covariates=False), KaplanMeierCensoring)
    mine = BeranCensoring(bandwidth=0.3, horizon=2.0)
    copy = resolve_model(mine, has_covariates=True, horizon=3.0, of="event")
    assert copy is not mine
    assert (copy.bandwidth, copy.horizon, copy.of, mine.of) == (0.3, 2.0, "event", "censoring")
    with pytest.raises(ValueError, match="'kaplan' is no model of censoring; choose one of 'km'"):
        resolve_model("kaplan", has_covariates=True)
    with pytest.raises(ValueError, match="'cox' needs covariates X"):
        resolve_model("cox", has_covariates=False)
    with pytest.raises(TypeError, match=r"is a class; pass an instance, CoxCensoring\(\)"):
        resolve_model(CoxCensoring, has_covariates=True)
    with pytest.raises(TypeError, match="must be a name .* got int"):
        resolve_model(3, has_covariates=True)
