"""Estimates: derived quantities, re-clustering, differences, maps of parameters.

References come from statsmodels (OLS), scipy and closed formulas, never from the package.
"""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from shared import NAMES, simple

from trueness.inference import Estimates

SCHEMA = ["term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high", "df"]


# ---------------------------------------------------------------------- construction


def test_arrays_are_float_copies_that_cannot_be_written():
    params, cov, influence = np.array([1, 3]), np.eye(2), np.ones((9, 2))
    result = simple(params=params, cov=cov, influence=influence, split_cov=np.eye(2))
    params[0], cov[0, 0], influence[0, 0] = 7, 7.0, 7.0
    assert_array_equal(result.params, [1.0, 3.0])
    assert result.cov[0, 0] == 1.0
    assert result.influence[0, 0] == 1.0
    for name in ("params", "cov", "influence", "split_cov"):
        array = getattr(result, name)
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_fields_cannot_be_replaced():
    with pytest.raises(AttributeError):
        simple().params = np.zeros(2)


@pytest.mark.parametrize(
    ("field", "value", "needed"),
    [
        ("params", [1.0, 2.0, 3.0], r"\(2,\)"),
        ("cov", np.eye(3), r"\(2, 2\)"),
        ("influence", np.zeros((8, 2)), r"\(9, 2\)"),
        ("influence", np.zeros((9, 1)), r"\(9, 2\)"),
        ("split_cov", np.eye(1), r"\(2, 2\)"),
    ],
)
def test_wrong_shapes_are_named(field, value, needed):
    with pytest.raises(ValueError, match=rf"^{field} has shape .* need {needed}"):
        simple(**{field: value})


def test_names_must_be_unique():
    with pytest.raises(ValueError, match="must be unique.*'a', 'a'"):
        simple(names=["a", "a"])


def test_header_is_a_copy():
    header = {"Rows": "9"}
    result = simple(header=header)
    header["Rows"] = "10"
    assert dict(result.header) == {"Rows": "9"}


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_copies_and_pickles_are_equal(fitted, data, twin):
    result = fitted[1].recluster(data[2])
    _ = result.p_values  # with a filled cache too
    same = twin(result)
    assert same.to_frame().equals(result.to_frame())
    assert_array_equal(same.influence, result.influence)
    assert_array_equal(same.clusters, result.clusters)
    assert same.names == result.names


# ---------------------------------------------------------------------- tests and intervals


@pytest.mark.parametrize("df", [None, 4.0, 33.5])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_standard_errors_tests_and_intervals(df, level):
    result = simple(params=[-1.2, 3.0], df=df)
    reference = stats.norm if df is None else stats.t(df)
    se = np.sqrt([1.0, 2.0])
    t = np.array([-1.2, 3.0]) / se
    assert_allclose(result.std_errors, se, rtol=1e-15)
    assert_allclose(result.statistics, t, rtol=1e-15)
    two_sided = reference.cdf(-np.abs(t)) + reference.sf(np.abs(t))
    assert_allclose(result.p_values, two_sided, rtol=1e-12)
    half = reference.ppf(1 - (1 - level) / 2) * se
    assert result.critical_value(level) == pytest.approx(half[0], rel=1e-12)
    interval = result.conf_int(level)
    assert list(interval.index) == ["a", "b"]
    assert_allclose(interval["conf_low"], [-1.2, 3.0] - half, rtol=1e-12)
    assert_allclose(interval["conf_high"], [-1.2, 3.0] + half, rtol=1e-12)


def test_p_value_and_interval_agree_on_rejection():
    z = stats.norm.ppf(0.975)
    result = simple(params=[z * 1.0001, z * 0.9999 * np.sqrt(2)])
    assert_array_equal(result.p_values < 0.05, [True, False])
    assert_array_equal(result.conf_int()["conf_low"] > 0, [True, False])


@pytest.mark.parametrize(("df", "shown"), [(None, np.inf), (7, 7.0)])
def test_frame_schema(df, shown):
    frame = simple(df=df).to_frame(0.8)
    assert list(frame.columns) == SCHEMA
    assert list(frame.index) == [0, 1]
    assert list(frame["term"]) == ["a", "b"]
    assert (frame["df"] == shown).all()
    assert frame.dtypes.iloc[1:].eq(np.float64).all()
    assert_allclose(frame["conf_low"], simple(df=df).conf_int(0.8)["conf_low"])


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.5, np.nan])
def test_levels_outside_the_unit_interval(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        simple().conf_int(level)


@pytest.mark.parametrize("df", [None, 5])
def test_missing_and_infinite_estimates_give_missing_numbers_not_errors(df):
    nan = np.nan
    result = simple(
        params=[np.inf, nan, 2.0],
        cov=[[nan, nan, nan], [nan, nan, nan], [nan, nan, 4.0]],
        names=["a", "b", "c"],
        df=df,
    )
    frame = result.to_frame().set_index("term")
    assert (
        frame.loc[["a", "b"], ["std_error", "p_value", "conf_low", "conf_high"]]
        .isna()
        .all(axis=None)
    )
    assert frame.loc["c", "statistic"] == 1.0
    test = result.wald_test("a = 0, c = 0")
    assert np.isnan(test.statistic)
    assert np.isnan(test.p_value)


def test_wald_test_of_an_infinite_estimate_with_a_finite_covariance():
    assert np.isnan(simple(params=[np.inf, 1.0]).wald_test("a = 0, b = 0").p_value)


def test_negative_variances_are_missing_standard_errors():
    assert np.isnan(simple(cov=[[-1.0, 0.0], [0.0, 1.0]]).std_errors[0])


# ---------------------------------------------------------------------- re-clustering


def test_hc0_matches_statsmodels(fitted):
    fit, result = fitted
    reference = fit.get_robustcov_results("HC0")
    again = result.recluster()
    assert_allclose(again.cov, reference.cov_params(), rtol=1e-10)
    assert again.df is None
    assert again.clusters is None


@pytest.mark.parametrize("ways", [1, 2])
@pytest.mark.parametrize("kind", ["CR0", "CR1"])
def test_clustered_covariance_matches_statsmodels(fitted, data, ways, kind):
    fit, result = fitted
    firm, year = data[2:]
    clusters = firm if ways == 1 else np.column_stack([firm, year])
    reference = fit.get_robustcov_results(
        "cluster", groups=clusters, use_correction=kind == "CR1", use_t=True
    )
    again = result.recluster(clusters, kind)
    assert_allclose(again.cov, reference.cov_params(), rtol=1e-10)
    assert_array_equal(again.params, result.params)
    if kind == "CR1":
        assert again.df == (len(set(firm)) if ways == 1 else len(set(year))) - 1
    else:
        assert again.df is None


def test_cr1_p_values_and_intervals_match_statsmodels(fitted, data):
    reference = fitted[0].get_robustcov_results("cluster", groups=data[2], use_t=True)
    again = fitted[1].recluster(data[2])
    assert_allclose(again.p_values, reference.pvalues, rtol=1e-8)
    assert_allclose(again.conf_int(0.9).to_numpy(), reference.conf_int(0.1), rtol=1e-8)


def test_clusters_are_taken_as_the_default_covariance_and_told_in_the_header(fitted, data):
    again = fitted[1].recluster(data[2])
    assert_allclose(again.cov, fitted[1].recluster(data[2], "CR1").cov, rtol=0)
    assert "CR1" in again.header["Covariance"]
    assert "30 clusters" in again.header["Covariance"]
    assert "t(29)" in again.header["Covariance"]


def test_every_row_its_own_cluster_is_hc0(fitted):
    own = fitted[1].recluster([f"row {i}" for i in range(240)], "CR0")
    assert_allclose(own.cov, fitted[1].cov, rtol=1e-12)


def test_cluster_labels_of_any_type_and_order(fitted, data):
    _, result = fitted
    firm = data[2]
    text = np.array([f"firm {chr(90 - code % 26)}{code}" for code in firm])
    assert_allclose(result.recluster(text).cov, result.recluster(firm).cov, rtol=1e-12)


def test_split_covariance_is_added_to_rebuilt_covariances(fitted, data):
    _, result = fitted
    extra = np.diag([0.1, 0.2, 0.3]) + 0.01
    split = Estimates(result.params, result.cov, NAMES, 240, result.influence, split_cov=extra)
    for clusters, kind in [(None, "HC0"), (data[2], "CR0"), (data[2], "CR1")]:
        plain = result.recluster(clusters, kind).cov
        assert_allclose(split.recluster(clusters, kind).cov - plain, extra, rtol=1e-9)


@pytest.mark.parametrize(
    ("clusters", "kind", "words"),
    [
        ([0, 1, 2], None, "clusters has 3, X has 240"),
        (np.zeros(240), None, "one cluster"),
        (np.arange(720).reshape(240, 3), None, "one or two columns"),
        (None, "HC3", "pass covariance= to the estimator"),
        (None, "CR2", "pass covariance= to the estimator"),
        ([None] * 5 + list(range(235)), None, "missing on 5 of 240 rows"),
    ],
)
def test_recluster_errors(fitted, clusters, kind, words):
    with pytest.raises(ValueError, match=words):
        fitted[1].recluster(clusters, kind)


@pytest.mark.parametrize(("with_clusters", "kind"), [(True, "HC0"), (False, "CR0"), (False, "CR1")])
def test_recluster_says_in_words_that_covariance_and_clusters_disagree(
    fitted, data, with_clusters, kind
):
    with pytest.raises(ValueError, match=kind) as error:
        fitted[1].recluster(data[2] if with_clusters else None, kind)
    assert "True" not in str(error.value)
    assert "False" not in str(error.value)


def test_recluster_without_influence():
    with pytest.raises(ValueError, match="carry no influence values"):
        simple().recluster([0, 1, 2] * 3)


def test_population_targets_refuse_clusters_but_rebuild_without(fitted, data):
    _, result = fitted
    draw = Estimates(result.params, result.cov, NAMES, 240, result.influence, reclusterable=False)
    with pytest.raises(ValueError, match='target="population"'):
        draw.recluster(data[2])
    assert_allclose(draw.recluster().cov, result.cov, rtol=1e-12)
    assert not draw.linear_combination("x1 - x2").reclusterable


# ---------------------------------------------------------------------- maps of the parameters


def test_linear_combination_matches_statsmodels(fitted):
    fit, result = fitted
    reference = fit.get_robustcov_results("HC0")
    for weights in ("x1 - 2 * x2", [0.0, 1.0, -2.0], [[0.0, 1.0, -2.0]], ["x1 - 2*x2"]):
        combined = result.linear_combination(weights)
        test = reference.t_test([0.0, 1.0, -2.0], use_t=False)
        assert_allclose(combined.params, test.effect, rtol=1e-10)
        assert_allclose(combined.std_errors, test.sd.ravel(), rtol=1e-10)


def test_linear_combination_names(fitted):
    result = fitted[1]
    assert result.linear_combination("x1 - x2").names == ("x1 - x2",)
    assert result.linear_combination(["x1 - x2", "x1"]).names == ("x1 - x2", "x1")
    assert result.linear_combination("x1", names=["gap"]).names == ("gap",)
    assert len(result.linear_combination(np.eye(3)).names) == 3


def test_linear_combination_with_a_constant_is_refused(fitted):
    with pytest.raises(ValueError, match="no constant"):
        fitted[1].linear_combination("x1 - 1")


def with_everything(result, n):
    return Estimates(
        result.params,
        result.cov,
        NAMES,
        n,
        result.influence,
        split_cov=np.diag([0.1, 0.2, 0.3]),
    )


@pytest.mark.parametrize("kind", ["HC0", "CR0", "CR1"])
def test_recluster_and_linear_combination_commute(fitted, data, kind):
    result = with_everything(fitted[1], 240)
    clusters = None if kind == "HC0" else data[2]
    weights = [[0.0, 1.0, -1.0], [1.0, 0.0, 3.0]]
    one = result.linear_combination(weights).recluster(clusters, kind)
    other = result.recluster(clusters, kind).linear_combination(weights)
    assert_allclose(one.cov, other.cov, rtol=1e-12)
    assert one.df == other.df


@pytest.mark.parametrize("kind", ["HC0", "CR0", "CR1"])
def test_recluster_and_delta_method_commute(fitted, data, kind):
    result = with_everything(fitted[1], 240)
    clusters = None if kind == "HC0" else data[2]

    def ratio(b):
        return b[1] / b[2]

    one = result.delta_method(ratio, ["ratio"]).recluster(clusters, kind)
    other = result.recluster(clusters, kind).delta_method(ratio, ["ratio"])
    # The steps of the numerical derivative follow the standard errors, which differ here.
    assert_allclose(one.cov, other.cov, rtol=1e-8)


def test_delta_method_matches_the_analytic_derivative():
    result = simple(params=[0.7, -1.3], df=11, influence=np.arange(18.0).reshape(9, 2))
    a, b = 0.7, -1.3

    def function(p):
        return [np.exp(p[0]) * p[1], p[0] / p[1], p[0] ** 2]

    gradient = np.array(
        [[np.exp(a) * b, np.exp(a)], [1 / b, -a / b**2], [2 * a, 0.0]],
    )
    expected = gradient @ np.array([[1.0, 0.5], [0.5, 2.0]]) @ gradient.T
    for options in ({}, {"jacobian": lambda _: gradient}):
        mapped = result.delta_method(function, ["f", "g", "h"], **options)
        assert_allclose(mapped.params, [np.exp(a) * b, a / b, a**2], rtol=1e-14)
        assert_allclose(mapped.cov, expected, rtol=1e-8)
        assert_allclose(mapped.influence, result.influence @ gradient.T, rtol=1e-7)
        assert mapped.df == 11
        assert mapped.names == ("f", "g", "h")


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1.0, 1e6])
def test_delta_method_does_not_depend_on_units(scale):
    """A ratio of coefficients has the same relative error whatever the units of a covariate."""
    result = simple(params=[1.0, 2.0 * scale], cov=np.diag([0.01, 0.04 * scale**2]))
    ratio = result.delta_method(lambda b: b[0] / b[1], ["ratio"])
    relative = np.sqrt(0.1**2 + 0.1**2)
    assert_allclose(ratio.std_errors / ratio.params, relative, rtol=1e-6)


def test_delta_method_near_the_edge_of_the_domain():
    result = Estimates([1e-6], [[1e-14]], ["rate"], n_obs=9)
    assert_allclose(result.delta_method(np.log, ["log rate"]).std_errors, 0.1, rtol=1e-6)


def test_delta_method_checks_the_jacobian():
    with pytest.raises(ValueError, match=r"jacobian has shape \(1, 1\).*\(1, 2\)"):
        simple().delta_method(lambda b: b[0], ["f"], jacobian=lambda b: [[1.0]])
