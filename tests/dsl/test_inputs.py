"""Bad input is refused with a message that says what, where and what to do; frames agree."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from trueness.dsl import DesignWarning, DSLLinearRegression, DSLLogisticRegression, DSLMean

N = 400


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=N), "b": rng.normal(size=N)})
    truth = pd.Series(X["a"] + rng.normal(size=N), name="tone")
    drawn = rng.random(N) < 0.3
    return {
        "X": X,
        "y": truth.where(drawn),
        "surrogates": pd.DataFrame({"llm": truth + rng.normal(size=N)}),
    }


def binary(data):
    return (data["y"] > 0).astype(float).where(data["y"].notna())


CASES = {
    "no surrogate": ({"surrogates": None}, "no gold label on 279 of 400 rows.*surrogates="),
    "surrogate missing": (
        {"surrogates": lambda d: d["surrogates"].where(np.arange(N)[:, None] >= 7)},
        r"column 'llm' on 7 \(rows 0, 1, 2, \.\.\.\) of 400 rows",
    ),
    "surrogate too short": ({"surrogates": np.zeros(50)}, "surrogates has 50, X has 400"),
    "probability missing": (
        {"sampling_probability": np.r_[np.nan, np.full(N - 1, 0.3)]},
        r"missing on 1 of 400 rows \(row 0\)",
    ),
    "probability zero": (
        {"sampling_probability": np.r_[0.0, np.full(N - 1, 0.3)]},
        r"outside \(0, 1\] on 1 of 400 rows \(row 0",
    ),
    "probability above one": ({"sampling_probability": 1.5}, r"outside \(0, 1\] on 400"),
    "certain row without label": (
        {"sampling_probability": lambda d: np.where(d["y"].isna(), 1.0, 0.3)},
        "is 1 on 279 rows that have no gold label",
    ),
    "no label": ({"y": np.full(N, np.nan)}, "No row is labelled: y is missing on all 400"),
    "few labels": (
        {"y": lambda d: d["y"].where(d["y"].notna().cumsum() <= 7)},
        "7 labelled rows are too few for n_folds=5",
    ),
    "infinite label": ({"y": lambda d: d["y"].fillna(np.inf)}, "contains infinity"),
    "text label": ({"y": ["good"] * N}, "y must be numbers.*found 'good'"),
    "collinear": (
        {"X": lambda d: d["X"].assign(c=2 * d["X"]["a"] - d["X"]["b"])},
        "column 'c' is a linear combination of 'a' \\+ 'b'",
    ),
    "constant": ({"X": lambda d: d["X"].assign(c=3.0)}, "column 'c' is constant. Leave it out"),
    "constant among labels": (
        {"X": lambda d: d["X"].assign(c=(d["y"].isna() & (d["X"].index < 9)).astype(float))},
        "column 'c' is constant among the labelled rows. The gold labels say nothing",
    ),
    "infinite covariate": (
        {"X": lambda d: d["X"].replace({"a": {d["X"]["a"][5]: np.inf}})},
        r"column 'a' is infinite \(inf\) on 1 \(row 5\)",
    ),
    "missing covariate": (
        {"X": lambda d: d["X"].where(np.arange(N)[:, None] != [5, 5])},
        r"column 'a' is NaN on 1 \(row 5\); column 'b'",
    ),
    "text covariate": ({"X": lambda d: d["X"].assign(g="x")}, "column 'g' is not numeric"),
    "cluster missing": (
        {"clusters": np.r_[np.nan, np.arange(N - 1) % 20]},
        "missing on 1 of 400 rows",
    ),
    "one cluster": ({"clusters": np.zeros(N)}, "all rows are in one cluster"),
    "few clusters": ({"clusters": np.arange(N) % 3}, "3 clusters cannot be split into n_folds=5"),
}


@pytest.mark.filterwarnings("ignore::trueness.dsl.FewLabelsWarning")
@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused(data, case):
    changes, message = CASES[case]
    values = {key: value(data) if callable(value) else value for key, value in changes.items()}
    arguments = {**data, **values}
    X, y = arguments.pop("X"), arguments.pop("y")
    with pytest.raises(ValueError, match=message):
        DSLLinearRegression().fit(X, y, **arguments)


OPTIONS = {
    "tuning": (
        {"tuning": "vector"},
        "tuning='vector' is not one of 'diagonal', 'scalar', 'matrix', None",
    ),
    "covariance": ({"covariance": "HC9"}, "covariance='HC9' is not one of"),
    "clusters needed": ({"covariance": "CR1"}, "needs clusters"),
    "design": ({"design": "systematic"}, "design='systematic' is not one of"),
    "target": ({"target": "sample"}, "target='sample' is not one of"),
    "population": (
        {"target": "population", "covariance": "HC3"},
        'does not apply with target="population"',
    ),
    "folds": ({"n_folds": 1}, "n_folds=1 must be an integer of at least 2"),
    "repeats": ({"n_repeats": 2.5}, "n_repeats=2.5 must be an integer"),
    "learner": ({"learner": "forest"}, "learner='forest' is not one of 'auto'"),
    "classifier": ({"learner": LogisticRegression()}, "is a classifier, but the target is numeric"),
    "random state": ({"random_state": "seed"}, "random_state='seed' cannot seed"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_bad_options_are_refused(data, case):
    options, message = OPTIONS[case]
    X, y = data.pop("X"), data.pop("y")
    with pytest.raises(ValueError, match=message):
        DSLLinearRegression(**options).fit(X, y, **data)


@pytest.mark.filterwarnings("ignore::trueness.dsl.FewLabelsWarning")
def test_leverage_options_refuse_what_they_ignore(data):
    X, y = data.pop("X"), data.pop("y")
    clusters = np.arange(N) % 20
    with pytest.raises(ValueError, match="would ignore the clusters"):
        DSLLinearRegression(covariance="HC3").fit(X, y, clusters=clusters, **data)
    with pytest.raises(ValueError, match="one-way clusters"):
        both = np.column_stack([clusters, np.arange(N) % 30])
        DSLLinearRegression(covariance="CR2").fit(X, y, clusters=both, **data)
    few = y.where(y.notna().cumsum() <= 3)
    with pytest.raises(ValueError, match="3.0 effective labels for 3 coefficients"):
        DSLLinearRegression(covariance="HC1", learner=None).fit(X, few, **data)


def test_simple_random_sampling_needs_equal_probabilities(data):
    X, y = data.pop("X"), data.pop("y")
    with pytest.raises(ValueError, match="ranges from 0.1 to 0.5"):
        DSLLinearRegression(design="srswor").fit(
            X, y, sampling_probability=np.linspace(0.1, 0.5, N), **data
        )
    with pytest.raises(ValueError, match="121 labels of 400 rows means a probability of 0.3025"):
        DSLLinearRegression(design="srswor", normalize=False).fit(
            X, y, sampling_probability=0.2, **data
        )


def test_probabilities_that_do_not_describe_the_labels_warn(data):
    X, y = data.pop("X"), data.pop("y")
    with pytest.warns(DesignWarning, match=r"40.0 expected labels, but 121 rows"):
        model = DSLLinearRegression(learner=None).fit(X, y, sampling_probability=0.1, **data)
    assert model.diagnostics_.probability_factor == pytest.approx(121 / 40)


def test_census_of_a_population_warns(data):
    with pytest.warns(DesignWarning, match="known exactly"):
        model = DSLMean(target="population").fit(data["X"], data["surrogates"]["llm"])
    assert model.results_.std_errors[0] == 0.0


LOGIT_CASES = {
    "continuous": (lambda d: d["y"], "Unknown label type: continuous"),
    "one class": (lambda d: binary(d).replace(0.0, np.nan), "one class only.*1.0"),
}


@pytest.mark.parametrize("case", LOGIT_CASES)
def test_logit_refuses_other_outcomes(data, case):
    make, message = LOGIT_CASES[case]
    with pytest.raises(ValueError, match=message):
        DSLLogisticRegression().fit(data["X"], make(data), surrogates=data["surrogates"])


def test_surrogate_as_it_is_must_fit_the_outcome(data):
    X, y = data["X"], binary(data).map({0.0: "no", 1.0: "yes"})
    two = data["surrogates"].assign(other=0.0)
    with pytest.raises(ValueError, match="needs exactly one, got 2 \\('llm', 'other'\\)"):
        DSLLinearRegression(learner=None).fit(X, data["y"], surrogates=two)
    with pytest.raises(ValueError, match="holds text, for example 'yes'"):
        DSLLinearRegression(learner=None).fit(X, data["y"], surrogates=["yes"] * N)
    with pytest.raises(ValueError, match="not classes of tone \\('no', 'yes'\\) on 400 rows"):
        DSLLogisticRegression(learner=None).fit(X, y, surrogates=["maybe"] * N)
    with pytest.raises(ValueError, match="sparse matrix of surrogates cannot"):
        DSLLinearRegression(learner=None).fit(
            X, data["y"], surrogates=sparse.csr_array(data["surrogates"].to_numpy())
        )


FRAMES = {
    "polars": (pl.from_pandas, lambda s: pl.Series(s.name, s.to_list())),
    "arrow": (
        lambda f: pa.Table.from_pandas(f, preserve_index=False),
        lambda s: pa.chunked_array([pa.array(s, from_pandas=True)]),
    ),
    "nullable pandas": (lambda f: f.convert_dtypes(), lambda s: s.convert_dtypes()),
    "odd index": (
        lambda f: f.set_axis(np.arange(N)[::-1], axis=0),
        lambda s: s.set_axis(np.arange(N) + 7),
    ),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_every_kind_agree_to_the_bit(data, kind):
    frame, series = FRAMES[kind]
    model = DSLLinearRegression(learner="linear", n_repeats=2, random_state=0)
    clusters = pd.Series(np.arange(N) % 20, name="doc")
    expected = model.fit(
        data["X"], data["y"], surrogates=data["surrogates"], clusters=clusters
    ).results_
    model.fit(
        frame(data["X"]),
        series(data["y"]),
        surrogates=frame(data["surrogates"]),
        clusters=series(clusters),
    )
    assert model.results_.names == ("intercept", "a", "b")
    np.testing.assert_array_equal(model.results_.params, expected.params)
    np.testing.assert_array_equal(model.results_.cov, expected.cov)
    np.testing.assert_array_equal(model.predict(frame(data["X"])), model.predict(data["X"]))


def test_sparse_matrices(data):
    model = DSLLinearRegression(learner="linear", n_repeats=1, random_state=0)
    dense = model.fit(data["X"].to_numpy(), data["y"], surrogates=data["surrogates"]).results_
    X = sparse.csr_array(data["X"].to_numpy())
    # Not to the bit: the memory order differs, and with it the order of summation.
    ours = model.fit(X, data["y"], surrogates=data["surrogates"]).results_
    np.testing.assert_allclose(ours.cov, dense.cov, rtol=1e-12)
    # Sparse surrogates stay sparse on their way to the learner; "auto" is then the linear one.
    surrogates = sparse.csr_array(data["surrogates"].to_numpy())
    model.set_params(learner="auto").fit(X, data["y"], surrogates=surrogates)
    assert model.diagnostics_.learners == ("linear",)
    np.testing.assert_allclose(model.results_.params, dense.params, atol=0.1)


def test_text_surrogates_and_classes(data):
    """A logit from words: classes sorted, the surrogate's words as indicators or as it is."""
    words = {0.0: "negative", 1.0: "positive"}
    y = binary(data)
    machine = (data["surrogates"]["llm"] > 0).astype(float)
    by_number = DSLLogisticRegression(learner=None).fit(data["X"], y, surrogates=machine)
    by_word = DSLLogisticRegression(learner=None).fit(
        data["X"], y.map(words), surrogates=machine.map(words)
    )
    assert list(by_word.classes_) == ["negative", "positive"]
    np.testing.assert_array_equal(by_word.coef_, by_number.coef_)
    assert set(by_word.predict(data["X"])) == {"negative", "positive"}
    assert by_word.score(data["X"], y.map(words)) == by_number.score(data["X"], y)
    learned = DSLLogisticRegression(learner="linear", n_repeats=1, random_state=0).fit(
        data["X"], y.map(words), surrogates=machine.map(words)
    )
    assert learned.results_.std_errors[1] < 1.1 * by_number.results_.std_errors[1]


def test_probabilities_as_surrogate_of_a_logit(data):
    machine = 1 / (1 + np.exp(-data["surrogates"]["llm"]))
    fit = DSLLogisticRegression(learner=None).fit(data["X"], binary(data), surrogates=machine)
    assert fit.diagnostics_.converged


def test_score_weights_labelled_rows(data):
    model = DSLLinearRegression(learner=None).fit(
        data["X"], data["y"], surrogates=data["surrogates"]
    )
    labelled = data["y"].notna()
    known, predicted = data["y"][labelled], model.predict(data["X"])[labelled]
    probability = np.linspace(0.2, 0.9, N)
    w = 1 / probability[labelled]
    centre = np.average(known, weights=w)
    expected = 1 - np.sum(w * (known - predicted) ** 2) / np.sum(w * (known - centre) ** 2)
    score = model.score(data["X"], data["y"], sampling_probability=probability)
    assert score == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="nothing to score"):
        model.score(data["X"], np.full(N, np.nan))
