"""The numbers behind a fit equal what they are said to be, computed apart."""

import numpy as np
import pandas as pd
import pytest

from trueness.dsl import DSLLinearRegression

N = 600


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(12)
    X = pd.DataFrame({"a": rng.normal(size=N), "b": rng.normal(size=N)})
    tone = X["a"] - 0.5 * X["b"] + rng.normal(size=N)
    chance = np.clip(0.3 + 0.1 * X["a"], 0.1, 0.6).to_numpy()
    drawn = rng.random(N) < chance
    return {
        "X": X,
        "tone": tone,
        "y": tone.where(drawn),
        "machine": tone + 0.4 * rng.normal(size=N),
        "chance": chance,
        "drawn": drawn,
        "unit": rng.integers(0, 50, N),
        "weight": rng.uniform(0.5, 2.0, N),
    }


def fit(data, *, options=None, **arguments):
    model = DSLLinearRegression(
        tuning=None, **{"learner": None, "normalize": False} | (options or {})
    )
    given = {"surrogates": data["machine"], "sampling_probability": data["chance"]} | arguments
    return model.fit(data["X"], data["y"], **given)


def test_labels_and_their_weights(data):
    diagnostics = fit(data).diagnostics_
    weight = 1 / data["chance"][data["drawn"]]
    assert diagnostics.n_labelled == data["drawn"].sum()
    assert diagnostics.largest_weight_share == pytest.approx(weight.max() / weight.sum(), rel=1e-12)
    kish = weight.sum() ** 2 / (weight**2).sum()
    assert diagnostics.effective_labels == pytest.approx(kish, rel=1e-12)
    assert kish < len(weight)
    assert diagnostics.probability_factor == 1.0


@pytest.mark.parametrize("setting", ["rows", "clusters", "weights", "population"])
def test_gain_is_over_a_separate_fit_of_the_labelled_rows(data, setting):
    """Least squares weighted by 1 / probability, that knows of no other row."""
    arguments, alone, options = {}, {}, {}
    weight = 1 / data["chance"][data["drawn"]]
    if setting == "clusters":
        arguments["clusters"] = data["unit"]
        alone["clusters"] = data["unit"][data["drawn"]]
    if setting == "weights":
        arguments["sample_weight"] = data["weight"]
        weight = weight * data["weight"][data["drawn"]]
    if setting == "population":
        options["target"] = "population"
    model = fit(data, options=options, **arguments)
    X, y = data["X"][data["drawn"]], data["tone"][data["drawn"]]
    gold = DSLLinearRegression(tuning=None).fit(X, y, sample_weight=weight, **alone).results_
    variances = np.diag(gold.cov)
    if setting == "population":
        # Of e_i / pi_i with chance pi_i: 1 - pi_i times the outer products.
        design = np.column_stack([np.ones(len(X)), X])
        residual = y.to_numpy() - design @ gold.params
        bread = np.linalg.inv(design.T @ (design * weight[:, None]))
        scores = design * (residual * weight * np.sqrt(1 - 1 / weight))[:, None]
        variances = np.diag(bread @ scores.T @ scores @ bread)
    expected = variances / np.diag(model.results_.cov)
    np.testing.assert_allclose(model.diagnostics_.gain, expected, rtol=1e-9)
    assert (model.diagnostics_.gain > 1.2).all()


def test_gain_is_one_without_anything_predicted(data):
    complete = DSLLinearRegression(tuning=None).fit(data["X"], data["tone"])
    np.testing.assert_array_equal(complete.diagnostics_.gain, 1.0)


def test_rows_lost_are_counted_by_reason(data):
    assert fit(data).diagnostics_.rows_lost == {}
    weight = np.where(np.arange(N) % 7 == 0, 0.0, 1.0)
    assert fit(data, sample_weight=weight).diagnostics_.rows_lost == {
        "of weight zero": int((weight == 0).sum())
    }
    frame = data["X"].assign(y=data["y"], machine=data["machine"], chance=data["chance"])
    frame.loc[:11, "a"] = np.nan
    model = DSLLinearRegression(tuning=None, learner=None, normalize=False).fit_formula(
        "y ~ a + b", frame, surrogates={"y": "machine"}, sampling_probability="chance"
    )
    assert model.diagnostics_.rows_lost == {"missing a": 12}
    assert model.diagnostics_.n_labelled == data["drawn"][12:].sum()


def test_isolated_rows_are_those_alone_in_a_level(data):
    unit = data["unit"].copy()
    unit[[3, 77, 401]] = [900, 901, 902]
    assert np.bincount(data["unit"]).min() > 4
    assert fit(data).diagnostics_.isolated_rows == 0
    assert fit(data, fixed_effects=data["unit"]).diagnostics_.isolated_rows == 0
    assert fit(data, fixed_effects=unit).diagnostics_.isolated_rows == 3


def test_split_std_is_the_spread_over_repeats(data):
    options = {"learner": "linear", "n_repeats": 4, "random_state": 3}
    model = fit(data, options=options)
    single = [
        fit(data, surrogates=predictions[:, 0]).coef_ for predictions in model._fitted.predictions
    ]
    expected = np.std(single, axis=0, ddof=1)
    np.testing.assert_allclose(model.diagnostics_.split_std[1:], expected, rtol=1e-6)
    assert (expected > 0).all()
    assert model.diagnostics_.learner_losses.shape == (4, 1)
    squares = [
        np.mean((predictions[data["drawn"], 0] - data["tone"][data["drawn"]]) ** 2)
        for predictions in model._fitted.predictions
    ]
    np.testing.assert_allclose(model.diagnostics_.learner_losses[:, 0], squares, rtol=1e-9)
    np.testing.assert_array_equal(fit(data).diagnostics_.split_std, 0.0)
