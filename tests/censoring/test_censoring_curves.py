"""The Kaplan-Meier model: worked examples, identities with ties, leave-one-out, errors."""

from fractions import Fraction

import numpy as np
import pytest
from censoring_reference import delayed, durations, products
from lifelines import KaplanMeierFitter

from trueness.censoring import KaplanMeierCensoring, censoring_weights

TIME = np.array([1.0, 2, 2, 3, 4, 4, 5, 6])
EVENT = np.array([1, 1, 0, 0, 1, 0, 1, 0])


def weigh(time, event, **options):
    options = {"floor": 0, "positivity": "ignore"} | options
    return censoring_weights(time, event, **options)


def curve(time, event, of, **options):
    return KaplanMeierCensoring(of=of).fit(None, time, event, **options)


# ------------------------------------------------------------------- worked example with ties


def test_curves_of_the_worked_example():
    # Events: 1 of 8, 1 of 7 (6/8 left), 1 of 4 (9/16), 1 of 2 (9/32).
    event = curve(TIME, EVENT, "event").survival(None, np.arange(1.0, 7.0))
    assert event == pytest.approx([7 / 8, 3 / 4, 3 / 4, 9 / 16, 9 / 32, 9 / 32], abs=1e-15)
    # Censorings, the tied event gone: 1 of 7-1 at 2, 1 of 5 at 3, 1 of 4-1 at 4, 1 of 1 at 6.
    censoring = curve(TIME, EVENT, "censoring").survival(None, np.arange(1.0, 7.0))
    assert censoring == pytest.approx([1, 5 / 6, 2 / 3, 4 / 9, 4 / 9, 0], abs=1e-15)


def test_weights_of_the_worked_example():
    found = weigh(TIME, EVENT)
    # 1 / (8 G(t-)): G is 1, 1, 2/3 and 4/9 just before 1, 2, 4 and 5.
    assert found.weights == pytest.approx([1 / 8, 1 / 8, 0, 0, 3 / 16, 0, 9 / 32, 0], abs=1e-15)
    assert found.weights.sum() == pytest.approx(1 - 9 / 32, abs=1e-15)
    assert np.isnan(found.survival[[2, 3, 5, 7]]).all()


def test_weights_of_the_worked_example_without_each_row():
    found = weigh(TIME, EVENT, model=KaplanMeierCensoring(leave_one_out=True))
    # Without row 5: 1 of 5 at 2, 1 of 4 at 3; without row 7 also 1 of 2 at 4.
    expected = [1 / 8, 1 / 8, 0, 0, 5 / 24, 0, 5 / 12, 0]
    assert found.weights == pytest.approx(expected, abs=1e-15)


def test_weights_of_the_worked_example_with_a_horizon():
    found = weigh(TIME, EVENT, horizon=4.5)
    assert found.target.tolist() == [1, 2, 2, 3, 4, 4, 4.5, 4.5]
    assert np.flatnonzero(found.known).tolist() == [0, 1, 4, 6, 7]
    expected = [1 / 8, 1 / 8, 0, 0, 3 / 16, 0, 9 / 32, 9 / 32]
    assert found.weights == pytest.approx(expected, abs=1e-15)
    assert found.weights @ found.target == pytest.approx(
        1 + 7 / 8 + 2 * 3 / 4 + 0.5 * 9 / 16, abs=1e-14
    )


def test_weights_are_finite_where_the_last_time_has_events_and_censorings():
    time = [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4]
    event = [1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1]
    found = weigh(time, event, positivity="raise")
    # 3 of 8 censored at 2; at 3 one of 5-2 after the events, so 5/8 x 2/3 just before 4.
    by_hand = [Fraction(1, 11)] * 3 + [0] * 3 + [Fraction(8, 55)] * 2 + [0, 0, Fraction(12, 55)]
    assert found.weights == pytest.approx([float(w) for w in by_hand], abs=1e-15)
    assert not found.diagnostics.n_fallback


# ---------------------------------------------------------------------------- identities


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_weights_are_the_jumps_of_the_curve_of_the_event(ties, weighted):
    _, time, event = durations(400, ties=ties)
    case = np.random.default_rng(3).uniform(0.2, 3.0, 400) if weighted else None
    weights = weigh(time, event, sample_weight=case).weights
    survived = curve(time, event, "event", sample_weight=case)
    grid = np.unique(time)
    jumps = survived.survival(None, grid, "left") - survived.survival(None, grid)
    mass = np.array([weights[time == v].sum() for v in grid])
    assert np.abs(mass - jumps).max() < 1e-12
    assert weights.sum() == pytest.approx(1 - survived.survival(None, grid[-1:])[0], abs=1e-12)


def test_both_curves_multiply_to_the_share_that_is_left():
    _, time, event = durations(400)
    grid = np.unique(time)
    both = curve(time, event, "event").survival(None, grid) * curve(
        time, event, "censoring"
    ).survival(None, grid)
    assert np.abs(both - (time[:, None] > grid).mean(axis=0)).max() < 1e-12


@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("ties", [True, False])
def test_the_weighted_mean_is_the_restricted_mean(delay, weighted, ties):
    _, time, event = durations(300, ties=ties)
    rng = np.random.default_rng(4)
    more = {"sample_weight": rng.uniform(0.2, 3.0, 300)} if weighted else {}
    if delay:
        more["entry"] = delayed(time) if ties else time * rng.uniform(-1.0, 0.6, 300).clip(0.0)
    for horizon in np.quantile(time, [0.2, 0.5, 0.8]):
        found = weigh(time, event, horizon=horizon, **more)
        assert found.weights.sum() == pytest.approx(1.0, abs=1e-12)
        mean = curve(time, event, "event", **more).curve().integral(horizon)
        assert found.weights @ found.target == pytest.approx(mean, abs=1e-12)


def test_rows_that_enter_after_the_horizon_get_no_weight():
    _, time, event = durations(300)
    entry = delayed(time)
    found = weigh(time, event, entry=entry, horizon=2.0)
    late = entry >= np.minimum(time, 2.0)
    assert late.sum() > 5
    assert not found.weights[late].any()


def test_administrative_censoring_needs_no_correction():
    rng = np.random.default_rng(0)
    duration = rng.exponential(20.0, 200)
    time, event = np.minimum(duration, 52.0), duration <= 52.0
    found = weigh(time, event, horizon="auto", normalize="mean1")
    assert found.horizon == 52.0
    assert found.weights == pytest.approx(np.ones(200), abs=1e-14)
    assert (found.target == time).all()


# ------------------------------------------------------------------- against slow products


MODES = [(of, side) for of in ("censoring", "event") for side in ("left", "right")]


@pytest.mark.parametrize(("of", "side"), MODES)
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("delay", [True, False])
def test_the_curve_is_the_product(of, side, weighted, delay):
    _, time, event = durations()
    case = np.random.default_rng(5).uniform(0.2, 3.0, 60) if weighted else None
    entry = delayed(time) if delay else None
    model = curve(time, event, of, sample_weight=case, entry=entry)
    grid = np.arange(0.0, time.max() + 0.1, 0.5)
    local = np.ones(60) if case is None else case
    local = np.broadcast_to(local, (len(grid), 60))
    slow = products(local, time, event, grid, side=side, of=of, entry=entry)
    assert model.survival(None, grid, side) == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize(("of", "side"), MODES)
@pytest.mark.parametrize("kind", ["plain", "weighted", "equal", "delayed", "clusters", "two-way"])
def test_leaving_one_out_is_refitting_without_it(of, side, kind):
    _, time, event = durations()
    rng = np.random.default_rng(6)
    more = {}
    if kind == "weighted":
        more["sample_weight"] = rng.uniform(0.2, 3.0, 60)
    if kind == "equal":
        more["sample_weight"] = np.full(60, 0.3)
    if kind == "delayed":
        more["entry"] = delayed(time)
    clusters = np.arange(60)[:, None]
    if kind in ("clusters", "two-way"):
        clusters = rng.integers(0, 12, (60, 2 if kind == "two-way" else 1))
        more["clusters"] = clusters
    model = KaplanMeierCensoring(leave_one_out=True, of=of).fit(None, time, event, **more)
    case = more.get("sample_weight", np.ones(60))
    own = (clusters[:, None, :] != clusters[None, :, :]).all(axis=2) * case
    for at in (time, np.full(60, 3.0)):
        slow = products(own, time, event, at, side=side, of=of, entry=more.get("entry"))
        assert model.training_survival(at, side) == pytest.approx(slow, abs=1e-12)


def test_whole_case_weights_are_repeated_rows():
    _, time, event = durations()
    times = np.random.default_rng(7).integers(0, 4, 60)
    weighted = curve(time, event, "censoring", sample_weight=times).curve()
    repeated = curve(np.repeat(time, times), np.repeat(event, times), "censoring").curve()
    assert np.array_equal(weighted.times, repeated.times)
    assert weighted.values == pytest.approx(repeated.values, abs=1e-12)
    assert weighted.std_errors == pytest.approx(repeated.std_errors, abs=1e-12, nan_ok=True)


def test_times_a_whole_step_apart_stay_what_they_are():
    # 1.36 - 0.36 is 1 in floating point, but 1 + 0.36 is not 1.36.
    steps = (36 + 100 * np.arange(60)) / 100
    time = steps[np.isin(steps - 0.36, np.arange(60))][:8]
    assert not np.isin(time, np.arange(60) + 0.36).all()
    model = curve(time, 1 - EVENT, "censoring")
    assert set(model.jump_times_) <= set(time)
    ranks = np.arange(8.0)
    expected = curve(ranks, 1 - EVENT, "censoring").survival(None, ranks, "left")
    assert np.array_equal(model.survival(None, time, "left"), expected)


# ------------------------------------------------------------------------------- lifelines


@pytest.mark.parametrize("delay", [True, False])
def test_the_curve_of_the_event_and_its_errors_agree_with_lifelines(delay):
    _, time, event = durations(300)
    entry = delayed(time) if delay else None
    peer = KaplanMeierFitter().fit(time, event, entry=entry)
    ours = curve(time, event, "event", entry=entry).curve()
    theirs = peer.survival_function_at_times(ours.times).to_numpy()
    assert ours.values == pytest.approx(theirs, abs=1e-12)
    log_log = peer.confidence_interval_.loc[ours.times].to_numpy()
    found = ours.conf_int(0.95).to_numpy()
    inside = (ours.values > 0.0) & (ours.values < 1.0)
    assert found[inside] == pytest.approx(log_log[inside], abs=1e-9)


def test_greenwoods_errors_by_hand():
    # S(2) = 3/4 of 8 rows: S^2 (1/(8 7) + 1/(7 6)), the binomial 3/4 1/4 / 8.
    errors = curve(TIME, EVENT, "event").curve().std_errors
    assert errors[:2] == pytest.approx([np.sqrt(7 / 8 / 8 / 8), np.sqrt(3 / 16 / 8)], abs=1e-15)
    censoring = curve(TIME, EVENT, "censoring").curve()
    assert censoring.values[-1] == 0.0
    assert np.isnan(censoring.std_errors[-1])


def test_a_flipped_indicator_is_wrong_where_times_are_tied_and_only_there():
    for ties, low, high in ((True, 0.02, 0.5), (False, 0.0, 1e-12)):
        _, time, event = durations(500, ties=ties)
        grid = np.unique(time)[:-1]
        flipped = KaplanMeierFitter().fit(time, ~event).survival_function_at_times(grid)
        ours = curve(time, event, "censoring").survival(None, grid)
        gap = np.abs(flipped.to_numpy() - ours).max()
        assert low <= gap <= high
