"""What every design of DSL promises to the caller: form, streams, sampling, clusters, checks."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from shared import named

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
)
from trueness.simulations import (
    make_counts,
    make_instrument,
    make_multiclass,
    make_panel,
    make_predicted_covariate,
)

# Name, design and what is predicted.
DESIGNS = {
    "covariate, linear": (make_predicted_covariate, ["t"]),
    "covariate, logistic": (partial(make_predicted_covariate, model="logistic"), ["t"]),
    "covariate, continuous": (partial(make_predicted_covariate, covariate="continuous"), ["t"]),
    "interaction": (partial(make_predicted_covariate, interaction=True), ["t"]),
    "classes as outcome": (make_multiclass, ["y"]),
    "classes as covariate": (partial(make_multiclass, role="covariate", n_classes=4), ["topic"]),
    "instrument": (make_instrument, ["t"]),
    "instruments": (partial(make_instrument, n_instruments=3, predicted="both"), ["t", "y"]),
    "counts": (make_counts, ["y"]),
    "panel": (make_panel, ["y"]),
    "panel, covariate": (partial(make_panel, predicted="covariate"), ["t"]),
}
CLUSTERED = {name: DESIGNS[name] for name in DESIGNS if not name.startswith("panel")}
over_designs = pytest.mark.parametrize(("make", "predicted"), DESIGNS.values(), ids=DESIGNS)


def columns_of(sample):
    """Return everything observed, by name, in one frame."""
    observed = sample.observed
    frames = [observed[name] for name in observed if isinstance(observed[name], pd.DataFrame)]
    arrays = {name: observed[name] for name in observed if isinstance(observed[name], np.ndarray)}
    return pd.concat(frames, axis=1).assign(**arrays)


# ----------------------------------------------------------------------------------------- form


@over_designs
def test_observed_hides_what_is_predicted_and_nothing_else(make, predicted):
    sample = make(random_state=1)
    observed, complete = sample.observed, sample.complete
    assert {len(value) for value in observed.values()} == {len(complete.labelled)}
    assert {"X", "y", "surrogates", "sampling_probability"} <= set(observed)
    columns = observed["X"].assign(y=observed["y"])
    hidden = {name for name in columns if columns[name].isna().any()}
    assert hidden - {"y"} == set(sample.predicted_features)
    assert ("y" in hidden) == ("y" in predicted)
    for name in hidden:
        np.testing.assert_array_equal(columns[name].notna(), complete.labelled)
    for name in {"y", "t"} & set(columns) & set(complete):
        shown = columns[name].notna().to_numpy()
        np.testing.assert_array_equal(columns[name][shown], complete[name][shown])
    assert not observed["surrogates"].isna().any(axis=None)


@over_designs
def test_terms_of_the_truth_are_the_columns_of_the_model(make, predicted):
    sample = make(random_state=1)
    terms = [term.split(": ")[-1] for term in sample.truth]
    intercept = [] if "fixed_effects" in sample.observed else ["intercept"]
    assert list(dict.fromkeys(terms)) == intercept + list(sample.observed["X"])
    assert sample.truth_error == dict.fromkeys(sample.truth, 0.0)
    assert "random_state" not in sample.params
    assert sample.params["n_labels"] == 500
    assert "Parameters" in sample.DESCR


@over_designs
def test_the_formula_names_the_same_data(make, predicted):
    sample = make(random_state=1)
    arguments, observed = sample.by_formula, columns_of(sample)
    data = arguments["data"].rename(columns={"probability": "sampling_probability"})
    assert not data.columns.has_duplicates
    for name in set(data) & set(observed):
        pd.testing.assert_series_equal(data[name], observed[name], check_names=False)
    assert set(observed) - set(data) <= {"t:x1", "clusters", *sample.predicted_features}
    assert list(arguments["surrogates"]) == predicted
    for target, surrogates in arguments["surrogates"].items():
        assert data[target].isna().equals(pd.Series(~sample.complete.labelled))
        assert set(surrogates) <= set(sample.observed["surrogates"])
    assert arguments["formula"].startswith("y ~ ")


def test_the_formula_names_clusters_instruments_and_effects():
    sample = make_instrument(n_instruments=2, n_clusters=50, random_state=1)
    assert sample.by_formula["formula"] == "y ~ x1 | t ~ z1 + z2"
    assert sample.by_formula["clusters"] == "cluster"
    data = sample.by_formula["data"]
    np.testing.assert_array_equal(data["cluster"], sample.observed["clusters"])
    pd.testing.assert_frame_equal(data[["z1", "z2"]], sample.observed["instruments"])
    panel = make_panel(random_state=1)
    assert panel.by_formula["clusters"] == "unit"
    assert panel.by_formula["formula"].endswith("| unit + period")
    assert panel.by_formula["data"][["unit", "period"]].equals(panel.observed["fixed_effects"])


@over_designs
def test_both_forms_fit_and_give_the_terms_of_the_truth(make, predicted):
    sample = make(random_state=1)
    model = estimator_of(sample).set_params(learner="linear", n_repeats=1, random_state=1)
    arguments = dict(sample.by_formula)
    formula, data = arguments.pop("formula"), arguments.pop("data")
    by_formula = model.fit_formula(formula, data, **arguments).results_
    assert set(by_formula.names) == set(sample.truth)
    model.set_params(predicted_features=sample.predicted_features)
    if isinstance(model, DSLTwoStageLeastSquares):
        model.set_params(endogenous="t")
    in_arrays = model.fit(**sample.observed).results_
    assert list(in_arrays.names) == list(sample.truth)
    # The learners may see other columns, so the estimates differ, by less than their spread.
    other = by_formula.to_frame().set_index("term").loc[list(in_arrays.names), "estimate"]
    assert (np.abs(in_arrays.params - other) / in_arrays.std_errors).max() < 1


def estimator_of(sample):
    if "instruments" in sample.observed:
        return DSLTwoStageLeastSquares()
    if sample.DESCR.startswith("Draw counts"):
        return DSLPoissonRegressor()
    is_class = len(set(sample.complete.y)) <= 4
    return DSLLogisticRegression() if is_class else DSLLinearRegression()


def test_the_factor_and_its_indicators_agree():
    sample = make_multiclass(role="covariate", n_classes=4, n_labels=2500, random_state=2)
    topic = sample.by_formula["data"]["topic"]
    for term in sample.predicted_features:
        indicator = sample.observed["X"][term]
        name = term.removeprefix("topic[T.").removesuffix("]")
        np.testing.assert_array_equal(indicator.isna(), topic.isna())
        np.testing.assert_array_equal(indicator == 1, topic == name)


def test_scores_are_probabilities_that_are_largest_at_the_label():
    sample = make_multiclass(n_classes=4, scores=True, random_state=3)
    surrogates = sample.observed["surrogates"]
    scores = surrogates.filter(like="score_")
    assert scores.shape[1] == 4
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-12)
    assert (scores > 0).all(axis=None)
    assert (scores.idxmax(axis=1).str.removeprefix("score_") == surrogates["y_machine"]).all()
    plain = make_multiclass(n_classes=4, random_state=3).observed["surrogates"]
    assert plain["y_machine"].equals(surrogates["y_machine"])


@over_designs
def test_a_census_has_nothing_to_predict(make, predicted):
    n_labels = len(make(random_state=4).complete.labelled)
    sample = make(n_labels=n_labels, probabilities="unequal", random_state=4)
    assert sample.complete.labelled.all()
    assert (sample.observed["sampling_probability"] == 1).all()
    assert sample.predicted_features == ()


# -------------------------------------------------------------------------------------- streams


@over_designs
@pytest.mark.parametrize(
    "state",
    [lambda: 7, lambda: np.random.SeedSequence(7), lambda: np.random.default_rng(7)],
    ids=["int", "SeedSequence", "Generator"],
)
def test_the_same_state_gives_the_same_data(make, predicted, state):
    first, second = (make(random_state=state()) for _ in range(2))
    pd.testing.assert_frame_equal(columns_of(first), columns_of(second))


@over_designs
def test_another_state_gives_other_data(make, predicted):
    rng = np.random.default_rng(7)
    first, second = (make(random_state=rng).observed["X"]["x1"] for _ in range(2))
    assert not first.equals(second)


@over_designs
@pytest.mark.parametrize(
    "change",
    [{"accuracy": 0.6}, {"differential_error": -0.5}, {"probabilities": "unequal"}],
    ids=named,
)
def test_a_change_of_machine_or_sampling_leaves_the_rest(make, predicted, change):
    base, changed = (make(random_state=8, **options) for options in ({}, change))
    np.testing.assert_array_equal(base.complete.y, changed.complete.y)
    pd.testing.assert_series_equal(base.observed["X"]["x1"], changed.observed["X"]["x1"])
    same = base.observed["surrogates"].equals(changed.observed["surrogates"])
    no_reading_of_t = make is make_panel and "accuracy" in change  # as only y is predicted
    assert same == ("probabilities" in change or no_reading_of_t)


# ------------------------------------------------------------------------------------- sampling


@over_designs
def test_unequal_sampling_follows_its_stated_probabilities(make, predicted):
    is_panel = getattr(make, "func", make) is make_panel
    size = {"n_units": 4000} if is_panel else {"n_rows": 100_000}
    sample = make(**size, n_labels=10_000, probabilities="unequal", random_state=9)
    complete, pi = sample.complete, sample.observed["sampling_probability"]
    assert pi.sum() == pytest.approx(10_000, rel=1e-9)
    assert 5 < pi.max() / pi.min() < 10
    x1 = sample.observed["X"]["x1"].to_numpy()
    reading = sample.observed["surrogates"].iloc[:, 0]
    is_number = pd.api.types.is_numeric_dtype(reading)
    high = reading > reading.mean() if is_number else reading != "economy"
    truths = [complete[name] for name in ("t", "y") if name in complete]
    truths = [value for value in truths if value.dtype != object]
    # E[R | everything] = pi: no function of the row, the true labels included, predicts R - pi.
    for f in [np.ones_like(pi), x1, high.to_numpy() * 1.0, *truths, *(t * x1 for t in truths)]:
        z = np.sum((complete.labelled - pi) * f) / np.sqrt(np.sum(pi * (1 - pi) * f**2))
        assert abs(z) < 4.5


@over_designs
def test_unequal_probabilities_rise_with_surrogate_and_x1(make, predicted):
    sample = make(probabilities="unequal", random_state=10)
    pi = sample.observed["sampling_probability"]
    rest = np.log(pi / (1 - pi)) - np.log(10) / 4 * np.tanh(sample.observed["X"]["x1"])
    levels = np.unique(rest.round(9))
    assert np.diff(levels) == pytest.approx([np.log(10) / 2])  # two: surrogate low, high
    assert np.ptp(make(random_state=10).observed["sampling_probability"]) == 0


# ------------------------------------------------------------------------------------- clusters


def intraclass_correlation(values, clusters):
    """One-way analysis-of-variance estimator, for sizes that are nearly equal."""
    groups = pd.Series(values).groupby(clusters)
    size, mean = len(values) / groups.ngroups, groups.mean()
    between = size * mean.var(ddof=1)
    within = groups.var(ddof=1).mean()
    return (between - within) / (between + (size - 1) * within)


@pytest.mark.parametrize(("make", "predicted"), CLUSTERED.values(), ids=CLUSTERED)
def test_clusters_are_all_present_and_rows_correlate_in_them(make, predicted):
    sample = make(n_rows=20_000, n_clusters=500, random_state=11)
    clusters = sample.observed["clusters"]
    assert set(clusters) == set(range(500))
    x1 = sample.observed["X"]["x1"]
    y = pd.Series(sample.complete.y)
    y = y if pd.api.types.is_numeric_dtype(y) else (y == y.iloc[0]) * 1.0
    residual = y - np.polyval(np.polyfit(x1, y, 1), x1)
    assert 0.25 < intraclass_correlation(x1, clusters) < 0.36
    assert 0.08 < intraclass_correlation(residual, clusters) < 0.40
    shuffled = np.random.default_rng(0).permutation(clusters)
    assert abs(intraclass_correlation(residual, shuffled)) < 0.02
    independent = make(n_rows=20_000, n_clusters=500, icc=0.0, random_state=11)
    assert abs(intraclass_correlation(independent.observed["X"]["x1"], clusters)) < 0.02


# --------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (make_predicted_covariate, {"n_rows": 400}, r"n_labels=500 .* from 1 to 400 \(n_rows\)"),
        (make_predicted_covariate, {"model": "probit"}, r"model='probit' is unknown; .*'logistic'"),
        (make_predicted_covariate, {"covariate": "class"}, r"covariate='class' is unknown"),
        (make_predicted_covariate, {"interaction": 1}, r"interaction=1 .* True or False"),
        (make_predicted_covariate, {"accuracy": 1.2}, r"accuracy=1.2 .* from 0.0 to 1.0"),
        (make_predicted_covariate, {"differential_error": 6.0}, r"=6.0 .* from -5.0 to 5.0"),
        (make_multiclass, {"n_classes": 5}, r"n_classes=5 is unknown; choose one of \(3, 4\)"),
        (make_multiclass, {"accuracy": 1.0}, r"accuracy=1.0 .* from 0.01 to 0.99"),
        (make_multiclass, {"role": "both"}, r"role='both' is unknown"),
        (make_multiclass, {"n_clusters": 1}, r"n_clusters=1 .* from 2 to 5000"),
        (make_instrument, {"n_instruments": 0}, r"n_instruments=0 .* at least 1"),
        (make_instrument, {"first_stage_r2": 0.0}, r"first_stage_r2=0.0 .* from 0.0001 to 0.9"),
        (make_instrument, {"endogeneity": -1.5}, r"endogeneity=-1.5 .* from -1.0 to 1.0"),
        (make_instrument, {"heteroskedastic": "yes"}, r"heteroskedastic='yes' .* True or False"),
        (make_instrument, {"predicted": "all"}, r"predicted='all' is unknown"),
        (make_counts, {"dispersion": -0.1}, r"dispersion=-0.1 .* at least 0.0"),
        (make_counts, {"probabilities": "some"}, r"probabilities='some' is unknown"),
        (make_counts, {"icc": 2.0}, r"icc=2.0 "),
        (make_panel, {"n_units": 1}, r"n_units=1 .* at least 2"),
        (make_panel, {"n_periods": 2.5}, r"n_periods=2.5 .* an integer"),
        (make_panel, {"presence": 0.0}, r"presence=0.0 .* from 0.01 to 1.0"),
        (make_panel, {"autocorrelation": 1.0}, r"autocorrelation=1.0 .* from -0.99 to 0.99"),
        (make_panel, {"n_units": 5, "random_state": 0}, r"n_labels=500 .* \(rows drawn\)"),
    ],
    ids=named,
)
def test_errors_say_what_is_wrong(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)
