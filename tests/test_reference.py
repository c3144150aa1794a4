"""Estimates whose parameters have degrees of freedom of their own."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from trueness.covariance import describe_covariance
from trueness.inference import Estimates
from trueness.reference import described, read_df, spread_of

DF = np.array([4.0, 30.0, 1250.4])


def make(df=DF, seed=1):
    rng = np.random.default_rng(seed)
    influence = rng.normal(size=(60, 3))
    cov = influence.T @ influence / 60**2
    names = ("a", "b", "c")
    return Estimates([0.3, -0.2, 0.1], cov, names, n_obs=60, influence=influence, df=df)


def test_each_parameter_has_its_own_reference():
    ours = make()
    for j, df in enumerate(DF):
        one = make(df=float(df))
        assert ours.p_values[j] == pytest.approx(one.p_values[j], rel=1e-12)
        assert_allclose(ours.conf_int(0.9).iloc[j], one.conf_int(0.9).iloc[j], rtol=1e-12)
    assert_allclose(ours.critical_value(0.9), stats.t.ppf(0.95, DF), rtol=1e-12)
    assert_array_equal(ours.to_frame()["df"], DF)
    assert isinstance(make(df=4).critical_value(), float)


def test_joint_hypotheses_take_the_smallest_of_those_they_name():
    ours = make()
    assert ours.wald_test("b = 0, c = 0").df_denominator == 30.0
    assert ours.wald_test("a = c").df_denominator == 4.0
    both = ours.wald_test("b = 0")
    assert both.p_value == pytest.approx(ours.p_values[1], rel=1e-10)


def test_functions_take_the_smallest_of_what_enters():
    ours = make()
    assert_array_equal(ours.linear_combination(["b - c", "c", "a + c"]).df, [30.0, 1250.4, 4.0])
    found = ours.delta_method(lambda b: [b[2] ** 2], ["square"], lambda b: [[0.0, 0.0, 2 * b[2]]])
    assert_array_equal(found.df, [1250.4])


def test_differences_take_the_smaller_of_both():
    ours, other = make(), make(df=[50.0, 20.0, 7.0], seed=2)
    assert_array_equal((ours - other).df, [4.0, 20.0, 7.0])
    assert_array_equal((ours - make(df=10.0, seed=2)).df, [4.0, 10.0, 10.0])
    assert_array_equal((ours - make(df=None, seed=2)).df, DF)
    assert (make(df=9.0) - make(df=10.0, seed=2)).df == 9.0


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_they_are_saved(tmp_path, suffix):
    path = tmp_path / f"fit{suffix}"
    make().save(path)
    again = Estimates.load(path)
    assert_array_equal(again.df, DF)
    assert_allclose(again.conf_int(), make().conf_int(), rtol=1e-12)


def test_other_clusters_bring_their_own():
    clusters = np.arange(60) % 12
    assert make().recluster(clusters).df == 11
    assert make().recluster().df is None


def test_they_cannot_be_changed_from_outside():
    df = DF.copy()
    ours = make(df=df)
    df[0] = 1.0
    assert_array_equal(ours.df, DF)
    with pytest.raises(ValueError, match="read-only"):
        ours.df[0] = 1.0


def test_their_number_is_checked():
    with pytest.raises(ValueError, match=r"df has shape \(2,\); .* or have shape \(3,\)"):
        make(df=[1.0, 2.0])
    assert read_df(7, 3) == 7.0


def test_tables_say_their_range():
    assert described(DF) == "t(4 to 1,250) reference"
    assert described(56.28) == "t(56.3) reference"
    assert described(np.array([7.0, 7.0])) == "t(7) reference"
    assert described(None) == "normal reference"
    assert spread_of(12345.678) == "12,346"
    assert describe_covariance("HC0", None, DF) == "HC0, t(4 to 1,250) reference"
    summary = make().summary()
    assert "t distribution with 4 to 1,250 degrees of freedom" in " ".join(summary.split())
    assert "1 degree of freedom" in " ".join(make(df=1).summary().split())
