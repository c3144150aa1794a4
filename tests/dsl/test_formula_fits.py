"""fit_formula equals the equation written out by hand, whatever is done to predicted variables."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import root
from scipy.special import expit

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLMean,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
)

N = 900
RTOL = 1e-8


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(30)
    frame = pd.DataFrame({"x": rng.normal(size=N), "z": rng.normal(size=N)})
    frame["g"] = rng.choice(["a", "b", "c"], N)
    frame["unit"] = rng.integers(0, 30, N)
    frame["year"] = rng.integers(0, 6, N)
    t = np.exp(0.3 * frame.x + 0.4 * rng.normal(size=N))
    topic = rng.choice(["law", "war", "work"], N, p=[0.5, 0.3, 0.2])
    frame["y"] = 1 + t * frame.x + np.log(t) + (topic == "war") + rng.normal(size=N)
    frame["binary"] = (rng.random(N) < expit(t - 1 + 0.5 * frame.x)).astype(float)
    frame["count"] = rng.poisson(np.exp(0.3 * np.log(t) + 0.2 * frame.x)).astype(float)
    frame["pi"] = np.clip(0.25 + 0.1 * frame.x, 0.1, 0.6)
    labelled = rng.random(N) < frame.pi
    frame["t"] = np.where(labelled, t, np.nan)
    frame["topic"] = pd.Series(topic).where(labelled)
    frame["machine"] = t * np.exp(0.2 * rng.normal(size=N) + 0.05 * frame.y)
    frame["machine_topic"] = np.where(rng.random(N) < 0.8, topic, "law")
    frame["weight"] = rng.uniform(0.5, 2, N)
    return frame


def both(data, build, outcome):
    """Return the two versions of design and outcome, and the weights of the labelled rows."""
    labelled = data.t.notna().to_numpy()
    filled = data.assign(t=data.machine, topic=data.machine_topic)
    gold = build(data[labelled])
    return build(filled), gold, data[outcome].to_numpy(), labelled


def by_hand(data, build, outcome, mean, clusters=None, normalised=True, sample_weight=None):
    """Root and sandwich of the corrected moments, all written out."""
    predicted, gold, y, labelled = both(data, build, outcome)
    pi = data.pi.to_numpy() * (labelled.sum() / data.pi.sum() if normalised else 1.0)
    w = labelled / pi
    a = np.ones(len(data)) if sample_weight is None else sample_weight / sample_weight.mean()

    def rows(beta):
        m = a[:, None] * (1 - w)[:, None] * predicted * (y - mean(predicted @ beta))[:, None]
        m[labelled] += (a * w)[labelled, None] * gold * (y[labelled] - mean(gold @ beta))[:, None]
        return m

    start = np.linalg.lstsq(gold, y[labelled], rcond=None)[0] if mean is identity else 0.0
    start = np.zeros(predicted.shape[1]) + start
    beta = root(lambda b: rows(b).mean(axis=0), start, tol=1e-14).x
    step = 1e-5
    jacobian = -np.column_stack(
        [
            (
                8 * (rows(beta + step * e) - rows(beta - step * e))
                - (rows(beta + 2 * step * e) - rows(beta - 2 * step * e))
            ).mean(axis=0)
            / (12 * step)
            for e in np.eye(len(beta))
        ]
    )
    scores = rows(beta)
    if clusters is not None:
        scores = pd.DataFrame(scores).groupby(np.asarray(clusters)).sum().to_numpy()
    inverse = np.linalg.inv(jacobian)
    return beta, inverse @ scores.T @ scores @ inverse.T / len(data) ** 2


def identity(eta):
    return eta


def columns(*parts):
    return np.column_stack(parts)


def one(frame):
    return np.ones(len(frame))


CASES = {
    "interaction": ("t * x", lambda f: columns(one(f), f.t, f.x, f.t * f.x)),
    "polynomial": ("t + I(t**2) + x", lambda f: columns(one(f), f.t, f.t**2, f.x)),
    "log": ("log(t) + x", lambda f: columns(one(f), np.log(f.t), f.x)),
    "no intercept": ("0 + t + x", lambda f: columns(f.t, f.x)),
    "category": (
        "topic + x",
        lambda f: columns(one(f), f.topic == "war", f.topic == "work", f.x),
    ),
    "category interaction": (
        "topic * x + C(g)",
        lambda f: columns(
            one(f),
            f.topic == "war",
            f.topic == "work",
            f.g == "b",
            f.g == "c",
            f.x,
            (f.topic == "war") * f.x,
            (f.topic == "work") * f.x,
        ),
    ),
    "both": ("topic:t + x", lambda f: columns(one(f), f.x, *(f.t * (f.topic == k) for k in KINDS))),
}
KINDS = ("law", "war", "work")
SURROGATES = {"t": ["machine"], "topic": ["machine_topic"]}


def surrogates_of(formula):
    return {
        name: column for name, column in SURROGATES.items() if re.search(rf"\b{name}\b", formula)
    }


def fit(model, formula, data, **options):
    return model.fit_formula(
        formula, data, surrogates=surrogates_of(formula), sampling_probability="pi", **options
    ).results_


@pytest.mark.parametrize("clusters", [None, "unit"])
@pytest.mark.parametrize("case", CASES)
def test_linear(data, case, clusters):
    terms, build = CASES[case]
    ours = fit(
        DSLLinearRegression(tuning=None, learner=None), f"y ~ {terms}", data, clusters=clusters
    )
    order = np.argsort(ours.params)
    beta, cov = by_hand(data, build, "y", identity, clusters and data[clusters])
    expected = np.argsort(beta)
    assert_allclose(ours.params[order], beta[expected], rtol=RTOL)
    assert_allclose(ours.cov[np.ix_(order, order)], cov[np.ix_(expected, expected)], rtol=1e-7)


@pytest.mark.parametrize("case", ["interaction", "log", "polynomial", "category"])
@pytest.mark.parametrize(
    ("model", "outcome", "mean"),
    [(DSLLogisticRegression, "binary", expit), (DSLPoissonRegressor, "count", np.exp)],
)
def test_other_models(data, case, model, outcome, mean):
    terms, build = CASES[case]
    plain = model(tuning=None, learner=None)
    ours = fit(plain, f"{outcome} ~ {terms}", data, sample_weight="weight")
    weight = data.weight.to_numpy()
    beta, cov = by_hand(data, build, outcome, mean, sample_weight=weight)
    assert_allclose(ours.params, beta, rtol=RTOL)
    assert_allclose(ours.cov, cov, rtol=1e-6, atol=1e-12)


def test_a_formula_and_a_matrix_are_one_model(data):
    options = dict(learner="linear", n_repeats=2, random_state=4)
    formula = fit(DSLLinearRegression(tuning=None, **options), "y ~ t + x + z", data)
    matrix = DSLLinearRegression(tuning=None, predicted_features="t", **options)
    matrix.fit(
        data[["t", "x", "z"]],
        data.y,
        surrogates=data[["machine"]],
        sampling_probability=data.pi,
    )
    assert formula.names == matrix.results_.names
    assert_allclose(formula.params, matrix.results_.params, rtol=1e-10)
    assert_allclose(formula.cov, matrix.results_.cov, rtol=1e-8)


def test_a_predicted_outcome_may_be_transformed(data):
    known = data.assign(income=np.exp(data.y), guess=np.exp(data.y + 0.3 * data.x - 0.1))
    known["income"] = known.income.where(data.t.notna())
    ours = DSLLinearRegression(tuning=None, learner=None).fit_formula(
        "log(income) ~ x", known, surrogates={"income": "guess"}, sampling_probability="pi"
    )
    plain = known.assign(income=np.log(known.income), guess=np.log(known.guess))
    theirs = DSLLinearRegression(tuning=None, learner=None).fit(
        plain[["x"]], plain.income, surrogates=plain.guess, sampling_probability=plain.pi
    )
    assert_allclose(ours.results_.params, theirs.results_.params, rtol=1e-12)
    assert_allclose(ours.results_.cov, theirs.results_.cov, rtol=1e-12)


def effects_and_dummies(formula, data, *effects, **options):
    """Return a fit with effects absorbed, and the same slopes of a fit with their dummies."""
    model = lambda: DSLLinearRegression(tuning=None, learner=None)  # noqa: E731
    options["sampling_probability"] = "pi"
    absorbed = model().fit_formula(f"{formula} | {' + '.join(effects)}", data, **options).results_
    terms = " + ".join(f"C({effect})" for effect in effects)
    dummies = model().fit_formula(f"{formula} + {terms}", data, **options).results_
    positions = [dummies.names.index(name) for name in absorbed.names]
    return absorbed, dummies.params[positions], dummies.cov[np.ix_(positions, positions)]


def test_fixed_effects_equal_dummies_in_the_formula(data):
    """Exactly so where only the outcome is predicted."""
    machine = data.y - 0.3 * data.x + np.random.default_rng(1).normal(size=N)
    known = data.assign(y=data.y.where(data.t.notna()), machine_y=machine)
    effects, params, cov = effects_and_dummies(
        "y ~ z * x", known, "unit", "year", surrogates={"y": "machine_y"}, clusters="unit"
    )
    assert_allclose(effects.params, params, rtol=RTOL)
    assert_allclose(effects.cov, cov, rtol=RTOL)
    assert effects.header["Fixed effects"] == "unit (30), year (6)"


def test_predicted_covariates_make_effects_differ_from_dummies_in_small_groups(data):
    """Dummies are parameters among others; effects have the own products of gaps taken out."""
    halves = data.assign(half=data.unit % 2)
    surrogates = {"t": "machine"}
    few, params, cov = effects_and_dummies("y ~ t + x", halves, "half", surrogates=surrogates)
    gaps = np.abs(few.params - params) / few.std_errors
    assert 1e-5 < gaps.max() < 0.05
    assert_allclose(few.std_errors, np.sqrt(np.diag(cov)), rtol=0.03)
    many, params, _ = effects_and_dummies("y ~ t + x", halves, "unit", surrogates=surrogates)
    assert (np.abs(many.params - params) / many.std_errors).max() > 4 * gaps.max()


def test_instruments(data):
    ours = fit(DSLTwoStageLeastSquares(tuning=None, learner=None), "y ~ x | t ~ z + C(g)", data)
    matrix = DSLTwoStageLeastSquares(
        tuning=None, learner=None, endogenous="t", predicted_features="t"
    )
    excluded = pd.DataFrame({"z": data.z, "b": data.g == "b", "c": data.g == "c"}).astype(float)
    matrix.fit(
        data[["x", "t"]],
        data.y,
        surrogates=data.machine,
        instruments=excluded,
        sampling_probability=data.pi,
    )
    assert_allclose(ours.params, matrix.results_.params, rtol=RTOL)
    assert_allclose(ours.cov, matrix.results_.cov, rtol=RTOL)


def test_splines_and_centring_are_learned_once(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = DSLLinearRegression(tuning=None, learner="linear", n_repeats=3, random_state=1)
        fit(model, "y ~ bs(t, df=4) + center(x)", data)
    labelled = data.t.notna()
    two = model.predict(data[labelled][:5])
    ten = model.predict(data[labelled][:10])
    assert_allclose(two, ten[:5], rtol=1e-12)


def test_rows_with_missing_covariates_are_counted_and_named(data):
    gaps = data.copy()
    gaps.loc[:9, "x"] = np.nan
    gaps.loc[5:14, "g"] = None
    model = DSLLinearRegression(tuning=None, learner=None)
    ours = fit(model, "y ~ t + x + C(g)", gaps)
    assert model.diagnostics_.rows_lost == {"missing x": 10, "missing g": 10}
    assert ours.header["Rows"] == "885 (left out: 10 missing x, 10 missing g)"
    kept = fit(DSLLinearRegression(tuning=None, learner=None), "y ~ t + x + C(g)", data[15:])
    assert_allclose(ours.params, kept.params, rtol=1e-12)
    assert_allclose(ours.cov, kept.cov, rtol=1e-12)


def test_polars_frames(data):
    polars = pytest.importorskip("polars")
    ours = fit(DSLLinearRegression(tuning=None, learner=None), "y ~ t * x", data)
    theirs = fit(
        DSLLinearRegression(tuning=None, learner=None), "y ~ t * x", polars.from_pandas(data)
    )
    assert_allclose(ours.params, theirs.params, rtol=1e-12)


MISTAKES = {
    "undeclared": ("y ~ t + x", {}, "'t' is missing on .* declare it: surrogates="),
    "not in the formula": ("y ~ x", {"t": ["machine"]}, "'t' is not in the formula"),
    "complete": ("y ~ x + z", {"x": ["machine"]}, "'x' has no missing value"),
    "no such surrogate": ("y ~ t", {"t": ["machin"]}, "Did you mean 'machine'"),
    "no such variable": ("y ~ t + xx", {"t": ["machine"]}, "no column 'xx'"),
    "its own": ("y ~ t", {"t": ["t"]}, "cannot be its own surrogate"),
    "unseen level": ("y ~ topic", {"topic": ["g"]}, "not classes of topic"),
    "not finite": ("y ~ log(x) + t", {"t": ["machine"]}, r"'log\(x\)' is not finite on .* rows"),
    "not finite when predicted": ("y ~ log(t - 1)", {"t": ["machine"]}, "log.* not finite"),
    "effect": ("y ~ t | topic", {"t": ["machine"], "topic": ["g"]}, "only for a fixed effect"),
    "explained": ("y ~ t + C(year) | year", {"t": ["machine"]}, "'year'.*leave nothing of it"),
    "instruments": ("y ~ x | t ~ z", {"t": ["machine"]}, "use DSLTwoStageLeastSquares"),
    "offset": ("y ~ t + offset(x)", {"t": ["machine"]}, "offset"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(data, case):
    formula, surrogates, message = MISTAKES[case]
    with pytest.raises(ValueError, match=message):
        DSLLinearRegression(tuning=None, learner=None).fit_formula(
            formula, data, surrogates=surrogates or None, sampling_probability="pi"
        )


def test_an_outcome_without_surrogates(data):
    with pytest.raises(ValueError, match=r"pass surrogates=\{'t'"):
        DSLLinearRegression(tuning=None).fit_formula("t ~ x", data)
    with pytest.raises(ValueError, match="needs a part '| endogenous ~ instruments'"):
        DSLTwoStageLeastSquares(tuning=None).fit_formula("y ~ x", data)
    with pytest.raises(ValueError, match="cannot absorb fixed effects"):
        DSLPoissonRegressor(tuning=None).fit_formula("count ~ x | unit", data)
    with pytest.raises(ValueError, match="predicted_features belongs to fit"):
        DSLLinearRegression(tuning=None, predicted_features="t").fit_formula(
            "y ~ t", data, surrogates="machine"
        )
    assert not hasattr(DSLMean(tuning=None), "fit_formula")
