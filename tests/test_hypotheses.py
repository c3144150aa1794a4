"""Linear hypotheses: reading them and testing them, against statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy import stats

from trueness.inference import Estimates

NAMES = ("const", "x1", "x2", "x3")


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(11)
    x = np.column_stack(
        [np.ones(80), rng.normal(size=(80, 3)) @ [[1, 0.4, 0], [0, 1, 0], [0, 0, 1]]]
    )
    frame = pd.DataFrame(x, columns=list(NAMES))
    y = x @ [0.5, 0.2, 0.2, 0.0] + rng.normal(size=80)
    return sm.OLS(y, frame).fit()


def estimates(fit, df):
    return Estimates(fit.params, fit.cov_params(), NAMES, n_obs=80, df=df)


HYPOTHESES = [
    ("x1 = x2", [[0, 1, -1, 0]], [0]),
    ("x1", [[0, 1, 0, 0]], [0]),
    ("x1 = 0, x2 = 0, x3 = 0", [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], [0, 0, 0]),
    (["x1 = 0.5", "x2 + x3 = 1"], [[0, 1, 0, 0], [0, 0, 1, 1]], [0.5, 1]),
    ("2 * x1 - x2 / 4 = 3", [[0, 2, -0.25, 0]], [3]),
    ("x1 + 1 = x2", [[0, 1, -1, 0]], [-1]),
]


@pytest.mark.parametrize("df", [None, 76])
@pytest.mark.parametrize(("hypothesis", "matrix", "value"), HYPOTHESES)
def test_text_and_matrix_match_statsmodels(fit, df, hypothesis, matrix, value):
    reference = fit.wald_test((np.array(matrix, float), value), use_f=df is not None, scalar=True)
    for test in (
        estimates(fit, df).wald_test(hypothesis),
        estimates(fit, df).wald_test(matrix, value),
        estimates(fit, df).wald_test(np.array(matrix, float), np.array(value)),
    ):
        assert test.statistic == pytest.approx(float(reference.statistic), rel=1e-9)
        assert test.p_value == pytest.approx(float(reference.pvalue), rel=1e-9)
        assert test.df == len(matrix)
        assert test.df_denominator == (np.inf if df is None else 76)
        assert ("F(" in str(test)) == (df is not None)


def test_zero_is_the_default_value_of_a_matrix(fit):
    row = [0.0, 1.0, 0.0, -1.0]
    result = estimates(fit, None)
    assert result.wald_test(row).statistic == result.wald_test("x1 = x3").statistic


def test_one_restriction_is_the_square_of_the_t_statistic(fit):
    result = estimates(fit, 76)
    test = result.wald_test("x2 = 0")
    assert test.statistic == pytest.approx(result.statistics[2] ** 2, rel=1e-12)
    assert test.p_value == pytest.approx(result.p_values[2], rel=1e-9)


def test_clustered_f_test_matches_statsmodels(fit):
    x, n = fit.model.exog, 80
    clusters = np.arange(80) % 11
    influence = n * (x * fit.resid.to_numpy()[:, None]) @ np.linalg.inv(x.T @ x)
    result = Estimates(fit.params, np.eye(4), NAMES, n, influence).recluster(clusters)
    reference = fit.get_robustcov_results("cluster", groups=clusters, use_t=True).wald_test(
        np.eye(4)[1:3], use_f=True, scalar=True
    )
    test = result.wald_test("x1 = 0, x2 = 0")
    assert test.statistic == pytest.approx(float(reference.statistic), rel=1e-8)
    assert test.df_denominator == 10
    assert test.p_value == pytest.approx(stats.f.sf(test.statistic, 2, 10), rel=1e-10)


def named(*names):
    return Estimates([1.0, 3.0], [[1.0, 0.5], [0.5, 2.0]], names, n_obs=9)


GAP = (1.0 - 3.0) ** 2 / (1.0 + 2.0 - 2 * 0.5)


@pytest.mark.parametrize(
    "awkward",
    [
        "log income",
        "x1:x2",
        "C(region)[T.north]",
        "I(x1 ** 2)",
        "C(region, Treatment('a'))[T.b]",
        "region=north",
        "C(region, Treatment(reference='a'))[T.b]",
    ],
)
def test_names_in_backticks(awkward):
    result = named(awkward, "b")
    assert result.wald_test(f"`{awkward}` = b").statistic == pytest.approx(GAP)
    assert result.wald_test(f"`{awkward}`").statistic == pytest.approx(1.0)
    assert result.wald_test(f"`{awkward}` = 0, b = 0").df == 2
    assert result.linear_combination(f"b - `{awkward}`").params == pytest.approx(2.0)


def test_unknown_names_are_named_with_a_suggestion():
    with pytest.raises(ValueError, match=r"no term is named 'incme'. Did you mean 'income'\?"):
        named("income", "age").wald_test("incme = age")
    with pytest.raises(ValueError, match=r"no term is named 'zzzzz'\. Terms: \['income', 'age'\]"):
        named("income", "age").wald_test("zzzzz = 0")


@pytest.mark.parametrize("text", ["a = b = 0", "a = 0, a = b = 1", ["b = 0", "a = b = 0"]])
def test_chained_equations_are_refused(text):
    with pytest.raises(ValueError, match="chains several equations"):
        named("a", "b").wald_test(text)


@pytest.mark.parametrize("text", ["a * b = 0", "a ** = 0", "(a = 0", "a b = 0"])
def test_unreadable_hypotheses(text):
    with pytest.raises(ValueError, match="not a linear hypothesis"):
        named("a", "b").wald_test(text)


@pytest.mark.parametrize(
    "redundant",
    [
        "a = 0, b = 0, a = b",
        ["a = 0", "a = 0"],
        [[1.0, 1.0], [2.0, 2.0]],
        [[0.0, 0.0]],
        [[1 / 3, 0.1], [0.1, 1 / 3], [1 / 3 + 0.1, 1 / 3 + 0.1]],
    ],
)
def test_redundant_restrictions_are_refused(redundant):
    with pytest.raises(ValueError, match="linearly dependent"):
        named("a", "b").wald_test(redundant)


@pytest.mark.parametrize("scale", [1e-10, 1e-5, 1e5, 1e10])
def test_joint_tests_do_not_depend_on_the_units_of_a_covariate(scale):
    """Dividing a covariate by s multiplies coefficient and standard error by s: same test."""
    units = np.diag([1.0, scale])
    cov = np.array([[1.0, 0.5], [0.5, 2.0]])
    plain = Estimates([1.0, 3.0], cov, ["a", "b"], n_obs=9)
    scaled = Estimates(units @ [1.0, 3.0], units @ cov @ units, ["a", "b"], n_obs=9)
    expected = plain.wald_test("a = 0, b = 0")
    test = scaled.wald_test("a = 0, b = 0")
    assert test.statistic == pytest.approx(expected.statistic, rel=1e-8)


@pytest.mark.parametrize(
    ("matrix", "value", "words"),
    [
        ([[1.0, 2.0, 3.0]], None, r"shape \(1, 3\).*2 columns"),
        (np.zeros((1, 1, 2)), None, "shape"),
        ([[1.0, 0.0]], [1.0, 2.0], "1 restrictions need as many values"),
        (np.eye(2), 1.0, "2 restrictions need as many values"),
    ],
)
def test_matrices_of_the_wrong_shape(matrix, value, words):
    with pytest.raises(ValueError, match=words):
        named("a", "b").wald_test(matrix, value)


def test_a_frame_of_weights_is_a_matrix_not_its_column_names():
    weights = pd.DataFrame([[1.0, -1.0]], columns=["a", "b"])
    result = named("a", "b")
    assert result.wald_test(weights).statistic == pytest.approx(GAP)
    assert_allclose(result.linear_combination(weights).params, [-2.0])


@pytest.mark.parametrize("hypothesis", ["a", ["a"]])
def test_a_value_next_to_a_text_is_not_ignored(hypothesis):
    """`wald_test("a", 1)` must test a = 1 or be refused, never test a = 0."""
    try:
        test = named("a", "b").wald_test(hypothesis, [1.0])
    except ValueError:
        return
    assert test.statistic == pytest.approx(0.0)


@pytest.mark.parametrize("nothing", ["", [], "  "])
def test_an_empty_hypothesis_is_refused_in_words(nothing):
    with pytest.raises(ValueError, match=r"(?i)hypothes|restriction|combination"):
        named("a", "b").wald_test(nothing)


@pytest.mark.parametrize("equation", ["a = b", ["a = b"], ["a", "b = 0"]])
def test_an_equation_is_not_a_linear_combination(equation):
    with pytest.raises(ValueError, match="="):
        named("a", "b").linear_combination(equation)


def test_infinite_estimates_make_no_stray_warnings():
    """Separated terms: infinite, without standard errors."""
    nothing = np.full((2, 2), np.nan)
    result = Estimates([np.inf, 3.0], nothing, ["a", "b"], n_obs=9)
    assert np.isnan(result.linear_combination("a - b").std_errors).all()
    assert np.isnan(result.linear_combination("b").std_errors).all()
    assert np.isnan(result.wald_test("b = 0").p_value)
