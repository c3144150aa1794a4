"""Matrices of formulas against plain numpy, for every kind of column."""

import pickle

import numpy as np
import pandas as pd
import pytest
from formulas import FRAME, ONE, N, T, X, Y, Z, design, designer, dummies
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import BSpline

from trueness.formula import parse

# Far from the rows learned on in mean, spread and order, so that nothing learned anew can agree.
NEW = FRAME.iloc[::-7].assign(x=lambda f: f["x"] / 2 + 0.9)


def splines(x, lower, upper, inner=()):
    knots = np.r_[[lower] * 4, inner, [upper] * 4]
    return list(BSpline.design_matrix(x, knots, 3).toarray().T[1:])


def orthogonal(x, degree):
    """Orthonormal polynomials by QR, with the sign of the leading coefficient."""
    q, r = np.linalg.qr(np.vander(x, degree + 1, increasing=True))
    return list((q * np.sign(np.diag(r))).T[1:])


A, B, C = dummies("g", "a", "b", "c")
NO, YES = dummies("h", "no", "yes")
S = X.std(ddof=1)
WORDS = FRAME["two words"].to_numpy()
MATRICES = {
    "x": [ONE, X],
    "x - 1": [X],
    "0 + x * z": [X, Z, X * Z],
    "x:z + t": [ONE, T, X * Z],
    "(x + z + t)**2": [ONE, X, Z, T, X * Z, X * T, Z * T],
    "I(x**2) + x": [ONE, X**2, X],
    "I(2 * x - z / 4)": [ONE, 2 * X - Z / 4],
    "{x**2}": [ONE, X**2],
    "log(x) * sqrt(x)": [ONE, np.log(X), np.sqrt(X), np.log(X) * np.sqrt(X)],
    "np.maximum(z, 0)": [ONE, np.maximum(Z, 0)],
    "np.where(z > 0, x, 0)": [ONE, np.where(Z > 0, X, 0)],
    "np.clip(z, -1, 1)": [ONE, np.clip(Z, -1, 1)],
    "I((x > 1) & (z > 0))": [ONE, (X > 1) & (Z > 0)],
    "I(g == 'b')": [ONE, B],
    "np.isin(g, ['a', 'c'])": [ONE, A + C],
    "I(abs(z) >= exp(x))": [ONE, abs(Z) >= np.exp(X)],
    "flag": [ONE, FRAME["flag"]],
    "g": [ONE, B, C],
    "C(g) - 1": [A, B, C],
    "C(g, Treatment('b'))": [ONE, A, C],
    "C(g, Sum)": [ONE, A - C, B - C],
    "C(g, contr.sum)": [ONE, A - C, B - C],
    "C(year, Treatment(2003))": [ONE, *dummies("year", 2001, 2002, 2004)],
    "C(year) + year": [ONE, *dummies("year", 2002, 2003, 2004), FRAME["year"]],
    "C(flag)": [ONE, FRAME["flag"]],
    "C(g) * C(h)": [ONE, B, C, YES, B * YES, C * YES],
    "C(g):x": [ONE, A * X, B * X, C * X],
    "C(g):C(h)": [ONE, YES, B * NO, C * NO, B * YES, C * YES],
    "center(x)": [ONE, X - X.mean()],
    "scale(x)": [ONE, (X - X.mean()) / S],
    "standardize(x)": [ONE, (X - X.mean()) / X.std()],
    "center(log(x)) * z": [ONE, *(c := [np.log(X) - np.log(X).mean(), Z]), c[0] * c[1]],
    "I(center(x)**2)": [ONE, (X - X.mean()) ** 2],
    "poly(x, 3)": [ONE, *orthogonal(X, 3)],
    "poly(x, 2, raw=True)": [ONE, X, X**2],
    "bs(x, df=5)": [ONE, *splines(X, X.min(), X.max(), np.quantile(X, [1 / 3, 2 / 3]))],
    "bs(x, knots=[1, 2], lower_bound=0, upper_bound=4)": [ONE, *splines(X, 0, 4, [1, 2])],
    "`two words` + center(`two words` * `two words`)": [
        ONE,
        WORDS,
        WORDS**2 - np.mean(WORDS**2),
    ],
}


@pytest.mark.parametrize("formula", MATRICES)
def test_matrices_by_hand(formula):
    matrix = design(f"y ~ {formula}")
    assert_allclose(matrix, np.column_stack(MATRICES[formula]).astype(float), atol=1e-9)
    assert matrix.dtype == float and matrix.flags.c_contiguous


@pytest.mark.parametrize("formula", MATRICES)
def test_a_row_gives_the_same_whatever_is_evaluated_with_it(formula):
    """Levels, means, knots and norms stay those of the rows learned on."""
    built = designer(f"y ~ {formula}")
    rows = [5, 17, 3, 40]
    whole = built.evaluate(FRAME).design
    assert_array_equal(built.evaluate(FRAME.iloc[rows]).design, whole[rows])
    assert_array_equal(built.evaluate(FRAME.iloc[[7]], outcome=False).design, whole[[7]])
    stored = pickle.loads(pickle.dumps(built))
    assert_array_equal(stored.evaluate(FRAME.iloc[rows]).design, whole[rows])


def test_new_values_go_through_what_was_learned():
    new = NEW["x"].to_numpy()
    assert_allclose(design("y ~ center(x) - 1", new=NEW)[:, 0], new - X.mean())
    assert_allclose(design("y ~ scale(x) - 1", new=NEW)[:, 0], (new - X.mean()) / S)
    basis = np.column_stack([ONE, X, X**2])
    change = np.linalg.solve(basis.T @ basis, basis.T @ np.column_stack(orthogonal(X, 2)))
    expected = np.column_stack([new**0, new, new**2]) @ change
    assert_allclose(design("y ~ poly(x, 2) - 1", new=NEW), expected, atol=1e-10)


def test_natural_splines_are_linear_beyond_their_bounds():
    far = FRAME.iloc[:3].assign(x=[10.0, 11.0, 12.0])
    matrix = design("y ~ cr(x, df=4) - 1", new=far)
    assert_allclose(matrix[2] - matrix[1], matrix[1] - matrix[0], rtol=1e-9)


def test_names_are_those_of_coefficient_tables():
    built = designer("y ~ x * C(g) + h + poly(z, 2) + log(`two words` + 9) + C(year)")
    assert built.terms == (
        "intercept",
        "x",
        "C(g)[T.b]",
        "C(g)[T.c]",
        "h[T.yes]",
        "poly(z, 2)[1]",
        "poly(z, 2)[2]",
        "log(two words + 9)",
        "C(year)[T.2002]",
        "C(year)[T.2003]",
        "C(year)[T.2004]",
        "x:C(g)[T.b]",
        "x:C(g)[T.c]",
    )
    assert built.levels["g"] == ("a", "b", "c") and built.levels["year"] == (2001, 2002, 2003, 2004)


def test_instruments_and_endogenous_columns():
    built = designer("y ~ z * C(g) | t + x ~ log(x):z + h")
    result = built.evaluate(FRAME)
    own = [ONE, Z, B, C, Z * B, Z * C]
    assert_allclose(result.design, np.column_stack([*own, T, X]))
    assert_allclose(result.instruments, np.column_stack([*own, YES, np.log(X) * Z]))
    assert built.n_exogenous == 6 and built.has_intercept
    assert built.terms[6:] == ("t", "x") and built.instrument_terms[6:] == ("h[T.yes]", "log(x):z")
    assert built.evaluate(FRAME.drop(columns="h"), instruments=False).instruments is None
    assert designer("y ~ x").evaluate(FRAME).instruments is None
    assert designer("y ~ x").instrument_terms == ()


@pytest.mark.parametrize("removed", ["", " - 1"])
def test_fixed_effects_stand_for_the_intercept(removed):
    built = designer(f"y ~ x + C(g){removed} | year | t ~ z")
    assert not built.has_intercept
    assert built.terms == ("x", "C(g)[T.b]", "C(g)[T.c]", "t")
    result = built.evaluate(FRAME)
    assert_allclose(result.design, np.column_stack([X, B, C, T]))
    assert_allclose(result.instruments, np.column_stack([X, B, C, Z]))
    assert designer("y ~ 1 | year").evaluate(FRAME).design.shape == (N, 0)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("y", Y),
        ("y**2", Y**2),
        ("y - 2 * z", Y - 2 * Z),
        ("log(x)", np.log(X)),
        ("flag", FRAME["flag"]),
        ("I(g == 'c')", C),
        ("`two words`", WORDS),
        ("scale(x)", (X - X.mean()) / S),
    ],
)
def test_outcomes_are_arithmetic(outcome, expected):
    result = designer(f"{outcome} ~ t").evaluate(FRAME)
    assert_allclose(result.outcome, np.asarray(expected, float))
    assert result.outcome.shape == (N,)
    assert designer(f"{outcome} ~ t").evaluate(FRAME[["t"]], outcome=False).outcome is None


def test_dots_belong_to_names():
    frame = FRAME.assign(**{"log.y": Y, "log.x": X})
    result = designer("log.y ~ log.x + exp(`log.x`) - 1", frame).evaluate(frame)
    assert_array_equal(result.outcome, Y)
    assert_allclose(result.design, np.column_stack([X, np.exp(X)]))


@pytest.mark.parametrize("outcome", ["g", "h", "poly(y, 2)"])
def test_outcomes_that_are_no_column_of_numbers(outcome):
    with pytest.raises(ValueError, match="must be one column of numbers"):
        designer(f"{outcome} ~ x")
    assert designer(f"{outcome} ~ x", outcome=False).evaluate(FRAME).outcome is None


# ---------------------------------------------------------------------- kinds of columns


def as_dtype(values, dtype):
    return pd.Series(list(values), index=FRAME.index).astype(dtype)


@pytest.mark.parametrize(
    "dtype", ["object", "string", "string[pyarrow]", "str", "category", "string[python]"]
)
def test_texts_of_every_dtype(dtype):
    frame = FRAME.assign(g=as_dtype(FRAME["g"], dtype))
    for formula in ("y ~ g * x", "y ~ C(g) * x", "y ~ I(g == 'b') - 1", "y ~ C(g, Sum)"):
        built = designer(formula, frame)
        plain = designer(formula)
        assert built.terms == plain.terms
        assert_array_equal(built.evaluate(frame).design, plain.evaluate(FRAME).design)
        assert_array_equal(built.evaluate(FRAME).design, plain.evaluate(FRAME).design)
    assert parse("y ~ g").is_categorical("g", frame)


@pytest.mark.parametrize(
    "dtype", ["int8", "Int64", "Float64", "int64[pyarrow]", "double[pyarrow]", "object", "float32"]
)
def test_numbers_of_every_dtype(dtype):
    years = FRAME["year"] - 2000
    frame = FRAME.assign(year=as_dtype(years, dtype))
    assert_array_equal(design("y ~ I(year**9) - 1", frame)[:, 0], years.to_numpy(float) ** 9)
    built = designer("y ~ C(year)", frame)
    assert built.terms[1:] == tuple(f"C(year)[T.{k}]" for k in (2, 3, 4))
    assert_allclose(built.evaluate(frame).design[:, 3], years == 4)
    formula = parse("y ~ x + C(year)")
    assert formula.is_categorical("year", frame) and not formula.is_categorical("x", frame)


@pytest.mark.parametrize("dtype", ["bool", "boolean", "bool[pyarrow]", "object", "float64"])
def test_truth_values_of_every_dtype(dtype):
    built = designer("y ~ flag * x")
    frame = FRAME.assign(flag=as_dtype(FRAME["flag"], dtype))
    assert_array_equal(built.evaluate(frame).design, built.evaluate(FRAME).design)
    assert_array_equal(design("y ~ C(flag)", frame)[:, 1], FRAME["flag"])
    assert parse("y ~ flag").is_categorical("flag", frame) == (dtype != "float64")


def test_levels_follow_a_categorical_or_the_caller():
    order = pd.Categorical(FRAME["g"], categories=["c", "unused", "a", "b"])
    assert designer("y ~ g", FRAME.assign(g=order)).levels["g"] == ("c", "a", "b")
    built = designer("y ~ C(g)", levels={"g": np.array(["b", "d", "a", "c"])})
    assert repr(built.levels["g"]) == "('b', 'd', 'a', 'c')"
    assert built.terms == ("intercept", "C(g)[T.d]", "C(g)[T.a]", "C(g)[T.c]")
    assert_array_equal(built.evaluate(FRAME).design, np.column_stack([ONE, 0 * A, A, C]))


def test_labels_of_rows_may_repeat():
    frame = FRAME.set_axis(np.zeros(N, int))
    formula = "y ~ bs(x, df=4) * C(g) + center(log(x))"
    assert_array_equal(design(formula, frame), design(formula))
