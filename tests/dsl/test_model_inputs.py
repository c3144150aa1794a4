"""Predicted columns, instruments, fixed effects and weights: bad ones are refused in words."""

import numpy as np
import pandas as pd
import pytest

from trueness.covariance import CovarianceWarning
from trueness.dsl import (
    DesignWarning,
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
)

N = 400


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    truth = pd.DataFrame({"a": rng.normal(size=N), "b": rng.normal(size=N)})
    tone = truth["a"] + truth["b"] + rng.normal(size=N)
    drawn = rng.random(N) < 0.4
    return {
        "truth": truth,
        "X": truth.assign(b=truth["b"].where(drawn)),
        "tone": tone,
        "y": tone.where(drawn).rename("tone"),
        "surrogates": pd.DataFrame({"llm": tone + rng.normal(size=N)}).assign(
            b_llm=truth["b"] + rng.normal(size=N)
        ),
        "z": (truth["b"] + rng.normal(size=N)).rename("z"),
        "panel": pd.DataFrame({"unit": np.arange(N) // 10, "year": np.arange(N) % 10}),
        "drawn": drawn,
    }


PREDICTED = {
    "not declared": (
        (),
        lambda d: d["X"],
        r"column 'b' is NaN on \d+ .*declared by predicted_features",
    ),
    "complete": (
        "b",
        lambda d: d["truth"],
        "'b' has no missing value.*pass these as surrogates and put NaN where there is no gold",
    ),
    "never known": ("b", lambda d: d["X"].assign(b=np.nan), "'b' has no gold value at all"),
    "unknown name": ("bb", lambda d: d["X"], "X has no column 'bb'. Did you mean 'b'"),
    "unknown position": ([7], lambda d: d["X"], "X has no column 7. There are: 'a', 'b'"),
    "twice": (["b", 1], lambda d: d["X"], "a column is named twice"),
    "another column with gaps": (
        "b",
        lambda d: d["X"].assign(a=d["X"]["a"].mask(d["X"].index == 5)),
        r"column 'a' is NaN on 1 \(row 5\)",
    ),
    "infinite": (
        "b",
        lambda d: d["X"].assign(b=d["X"]["b"].mask(d["X"]["b"] > 1.5, np.inf)),
        r"column 'b' is infinite \(inf\) on \d+",
    ),
    "constant among the labelled": (
        "b",
        lambda d: d["X"].assign(b=d["X"]["b"] * 0 + 1),
        "'b' is constant among the labelled rows. The gold labels say nothing",
    ),
}


@pytest.mark.parametrize("case", PREDICTED)
def test_predicted_features_that_are_refused(data, case):
    declared, make, message = PREDICTED[case]
    model = DSLLinearRegression(learner=None, predicted_features=declared)
    with pytest.raises(ValueError, match=message):
        model.fit(make(data), data["y"], surrogates=data["surrogates"])


def test_declared_and_known_everywhere_without_surrogates(data):
    """Nothing is predicted, so the declaration is idle."""
    idle = DSLLinearRegression(predicted_features="b").fit(data["truth"], data["tone"])
    plain = DSLLinearRegression().fit(data["truth"], data["tone"])
    np.testing.assert_array_equal(idle.results_.cov, plain.results_.cov)


def test_as_many_surrogates_as_predicted_variables(data):
    model = DSLLinearRegression(learner=None, predicted_features="b")
    one = "needs one for each of 'tone', 'b', in order, got 1 \\('llm'\\)"
    with pytest.raises(ValueError, match=one):
        model.fit(data["X"], data["y"], surrogates=data["surrogates"][["llm"]])
    three = data["surrogates"].assign(more=0.0)
    with pytest.raises(ValueError, match="got 3 \\('llm', 'b_llm', 'more'\\)"):
        model.fit(data["X"], data["y"], surrogates=three)
    with pytest.raises(ValueError, match="tone, b have no gold label on .* to predict them from"):
        model.fit(data["X"], data["y"])
    with pytest.raises(ValueError, match="'b_llm' holds text.*'b' is numeric"):
        model.fit(data["X"], data["y"], surrogates=data["surrogates"].assign(b_llm="high"))


def test_rows_that_are_labelled_in_part(data):
    """A label of y without one of b is counted, named, and not used."""
    model = DSLLinearRegression(learner=None, predicted_features="b")
    y = data["y"].mask(data["y"].index < 50)
    lost = int(data["drawn"][:50].sum())
    with pytest.warns(DesignWarning, match=f"^{lost} rows have a gold value of some predicted"):
        model.fit(data["X"], y, surrogates=data["surrogates"])
    unused = data["X"].assign(b=data["X"]["b"].mask(data["X"].index < 50))
    without = DSLLinearRegression(learner=None, predicted_features="b").fit(
        unused, y, surrogates=data["surrogates"]
    )
    np.testing.assert_array_equal(model.results_.cov, without.results_.cov)
    nowhere = data["tone"].mask(data["drawn"])
    with pytest.raises(ValueError, match="No row has a gold value of every predicted variable"):
        model.fit(data["X"], nowhere, surrogates=data["surrogates"])


INSTRUMENTS = {
    "none": (lambda d: None, "cannot identify 3 coefficients.*Add instruments"),
    "collinear with the exogenous": (
        lambda d: 2 * d["truth"]["a"] + 1,
        "a combination of the others and of the exogenous",
    ),
    "collinear with each other": (
        lambda d: np.column_stack([d["z"], -d["z"]]),
        "a combination of the others and of the exogenous",
    ),
    "constant": (lambda d: np.ones(N), "instruments:.* (combination|constant)"),
    "irrelevant": (
        lambda d: residual(d["z"], d["truth"]),
        "explain nothing of some endogenous column beyond the exogenous",
    ),
    "too short": (lambda d: d["z"][:50], "instruments has 50, X has 400"),
    "infinite": (
        lambda d: d["z"].mask(d["z"] > 2, np.inf),
        r"instruments: of 400 rows, column 'z' is infinite",
    ),
    "missing": (
        lambda d: d["z"].mask(d["z"].index < 3),
        r"instruments: missing values \(NaN\) in column 'z' on 3 \(rows 0, 1, 2\)",
    ),
}


def residual(column, frame):
    design = np.column_stack([np.ones(N), frame])
    return column - design @ np.linalg.lstsq(design, column, rcond=None)[0]


@pytest.mark.parametrize("case", INSTRUMENTS)
def test_instruments_that_are_refused(data, case):
    make, message = INSTRUMENTS[case]
    model = DSLTwoStageLeastSquares(endogenous="b")
    with pytest.raises(ValueError, match=message) as caught:
        model.fit(data["truth"], data["tone"], instruments=make(data))
    assert "surrogate" not in str(caught.value)


def test_instruments_among_the_labelled_rows(data):
    """Identification by gold labels: an instrument that varies elsewhere only is refused."""
    z = data["z"].where(~data["drawn"], 1.0)
    model = DSLTwoStageLeastSquares(endogenous="b", learner=None)
    with pytest.raises(ValueError, match="among the labelled rows"):
        model.fit(data["truth"], data["y"], instruments=z, surrogates=data["surrogates"][["llm"]])


def test_endogenous_columns_are_named(data):
    with pytest.raises(ValueError, match="endogenous: X has no column 'c'"):
        DSLTwoStageLeastSquares(endogenous="c").fit(
            data["truth"], data["tone"], instruments=data["z"]
        )
    by_name, by_position = (
        DSLTwoStageLeastSquares(endogenous=which).fit(
            data["truth"], data["tone"], instruments=data["z"]
        )
        for which in ("b", -1)
    )
    np.testing.assert_array_equal(by_name.results_.cov, by_position.results_.cov)
    assert by_name.results_.header["Instruments"] == "z"


def test_text_instruments_become_indicators(data):
    """A category with three levels gives two instruments beside the intercept."""
    place = pd.cut(data["z"], [-9, -0.5, 0.5, 9], labels=["low", "mid", "top"]).astype(str)
    ours = DSLTwoStageLeastSquares(endogenous="b").fit(
        data["truth"], data["tone"], instruments=place
    )
    by_hand = pd.get_dummies(place, drop_first=True, dtype=float)
    theirs = DSLTwoStageLeastSquares(endogenous="b").fit(
        data["truth"], data["tone"], instruments=by_hand
    )
    np.testing.assert_allclose(ours.results_.params, theirs.results_.params, rtol=1e-8)


EFFECTS = {
    "constant within units": (
        lambda d: d["truth"].assign(size=d["panel"]["unit"] % 7),
        "'size' does not vary within the levels of 'unit'.*Leave out the column or that effect",
    ),
    "constant within years": (
        lambda d: d["truth"].assign(growth=d["panel"]["year"] ** 2),
        "'growth' does not vary within the levels of 'year'",
    ),
    "combination of both": (
        lambda d: d["truth"].assign(age=d["panel"]["unit"] + d["panel"]["year"] ** 2),
        "'age' is a combination of the fixed effects 'unit' \\+ 'year'",
    ),
    "collinear once the effects are out": (
        lambda d: d["truth"].assign(c=d["truth"]["a"] + d["panel"]["unit"]),
        "'c' is a linear combination of 'a'",
    ),
}


@pytest.mark.parametrize("case", EFFECTS)
@pytest.mark.parametrize("labels", ["all rows", "outcome in part", "covariate in part"])
def test_columns_that_fixed_effects_explain(data, case, labels):
    make, message = EFFECTS[case]
    model = DSLLinearRegression(learner=None)
    X, y, arguments = make(data), data["tone"], {"fixed_effects": data["panel"]}
    if labels != "all rows":
        y, arguments["surrogates"] = data["y"], data["surrogates"][["llm"]]
    if labels == "covariate in part":
        model.set_params(predicted_features="b")
        X = X.assign(b=data["X"]["b"])
        arguments["surrogates"] = data["surrogates"]
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, **arguments)


def test_fixed_effects_that_are_refused(data):
    X, y = data["truth"], data["tone"]
    gaps = data["panel"].astype(float).mask(data["panel"]["year"] == 3)
    with pytest.raises(ValueError, match="'unit' is missing on 40 of 400 rows"):
        DSLLinearRegression().fit(X, y, fixed_effects=gaps)
    with pytest.raises(ValueError, match="fixed_effects has 7, X has 400"):
        DSLLinearRegression().fit(X, y, fixed_effects=data["panel"][:7])
    with pytest.raises(ValueError, match="'a' does not vary within the levels of 'effect'"):
        DSLLinearRegression().fit(X, y, fixed_effects=np.arange(N))
    fitted = DSLLinearRegression().fit(X, y, fixed_effects=data["panel"])
    with pytest.raises(ValueError, match="'unit', 'year' were absorbed"):
        fitted.predict(X)


LEVERAGE = {
    "effects, HC3": (DSLLinearRegression, "HC3", "absorbed fixed effects do not give"),
    "effects, CR2": (DSLLinearRegression, "CR2", "absorbed fixed effects do not give"),
    "two-stage, HC2": (DSLTwoStageLeastSquares, "HC2", "defined for linear, logistic"),
    "multinomial, HC3": (DSLLogisticRegression, "HC3", "logistic \\(binary\\) and Poisson"),
    "multinomial, CR2": (DSLLogisticRegression, "CR2", "use HC0, HC1, CR0 or CR1 here"),
}


@pytest.mark.parametrize("case", LEVERAGE)
def test_leverage_where_there_is_none(data, case):
    estimator, kind, message = LEVERAGE[case]
    arguments = {"clusters": data["panel"]["unit"]} if kind == "CR2" else {}
    y = data["tone"]
    if case.startswith("effects"):
        arguments["fixed_effects"] = data["panel"]
    if case.startswith("multinomial"):
        y = np.digitize(y, [-1, 1])
    with pytest.raises(ValueError, match=message):
        estimator(covariance=kind).fit(data["truth"], y, **arguments)


WEIGHTS = {
    "negative": (lambda w: np.where(np.arange(N) < 3, -1.0, w), r"negative on 3 of 400 rows"),
    "missing": (lambda w: np.where(np.arange(N) < 3, np.nan, w), r"missing on 3 .*rows 0, 1, 2"),
    "infinite": (lambda w: np.where(np.arange(N) < 3, np.inf, w), "infinite on 3"),
    "all zero": (lambda w: 0 * w, "zero on every row"),
    "text": (lambda w: ["heavy"] * N, "must be numbers.*found 'heavy'"),
    "too short": (lambda w: w[:9], "sample_weight has 9, X has 400"),
    "a matrix": (lambda w: np.column_stack([w, w]), "should be a 1d array"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_that_are_refused(data, case):
    make, message = WEIGHTS[case]
    with pytest.raises(ValueError, match=message):
        DSLLinearRegression().fit(data["truth"], data["tone"], sample_weight=make(np.ones(N)))


def test_messages_count_rows_as_the_user_does(data):
    """Rows of weight zero are left out first; positions are still those of the input."""
    weight = np.where(np.arange(N) < 5, 0.0, 1.0)
    gap = data["surrogates"][["llm"]].mask(np.arange(N)[:, None] == [10])
    with pytest.raises(ValueError, match=r"column 'llm' on 1 \(row 10\)"):
        DSLLinearRegression(learner=None).fit(
            data["truth"], data["y"], surrogates=gap, sample_weight=weight
        )


def test_poisson_outcomes(data):
    counts = np.random.default_rng(1).poisson(1.0, N).astype(float)
    counts[[4, 7]] = -1
    with pytest.raises(ValueError, match=r"negative on 2 rows \(rows 4, 7\).*not negative"):
        DSLPoissonRegressor().fit(data["truth"], counts)
    # A machine's numbers may be anything: they are corrected, not believed.
    counts = np.where(data["drawn"], np.abs(counts), np.nan)
    model = DSLPoissonRegressor(learner=None).fit(
        data["truth"], counts, surrogates=data["surrogates"]["llm"]
    )
    assert model.diagnostics_.converged


def test_classes_as_surrogates_of_a_multinomial(data):
    classes = pd.Series(np.array(["left", "mid", "right"])[np.digitize(data["tone"], [-1, 1])])
    y = classes.where(data["drawn"])
    model = DSLLogisticRegression(learner=None)
    with pytest.raises(ValueError, match=r"not classes of y \('left', 'mid', 'right'\) on 9 rows"):
        model.fit(data["truth"], y, surrogates=classes.mask(classes.index < 9, "far left"))
    with pytest.raises(ValueError, match="not classes of y") as caught:
        model.fit(data["truth"], y, surrogates=data["surrogates"]["llm"])
    assert "np.float64" not in str(caught.value)


def test_warnings_are_about_the_reported_covariance(data):
    """The gain compares with gold labels alone, whose own faults nobody asked for."""
    rng = np.random.default_rng(3)
    both = np.column_stack([np.arange(N) % 40, rng.integers(0, 8, N)])
    machine = data["tone"] + 0.1 * rng.normal(size=N)
    model = DSLLinearRegression(learner=None).fit(
        data["truth"], data["y"], surrogates=machine, clusters=both
    )
    with pytest.warns(CovarianceWarning, match="not positive semi-definite"):
        model.compare_labels()


def test_probabilities_play_no_part_when_all_is_labelled(data):
    """Nothing was left to chance: no weights, no warning, and N - k degrees of freedom."""
    stated = np.linspace(0.1, 0.9, N)
    ours, plain = (
        DSLLinearRegression(covariance="HC1")
        .fit(data["truth"], data["tone"], sampling_probability=probability)
        .results_
        for probability in (stated, None)
    )
    np.testing.assert_array_equal(ours.cov, plain.cov)
    assert ours.df == plain.df == N - 3
