"""What a formula refuses to compute, and expectations over categories."""

import numpy as np
import pandas as pd
import pytest
from formulas import FRAME, ONE, RNG, N, T, X, Y, design, designer, with_value
from numpy.testing import assert_allclose, assert_array_equal


@pytest.mark.parametrize(
    ("formula", "column", "value", "words"),
    [
        (
            "log(x)",
            "x",
            0.0,
            r"'log\(x\)' is not finite on 2 of 60 rows .rows 4, 9.: it is -inf where x = 0",
        ),
        ("I(1 / x):z", "x", 0.0, r"'I\(1 / x\):z' is not finite on 2 of 60 rows"),
        ("x", "x", np.nan, r"Column 'x' is missing on 2 of 60 rows .rows 4, 9."),
        ("x", "x", np.inf, r"Column 'x' is infinite on 2 of 60 rows .rows 4, 9."),
        ("g", "g", None, r"Column 'g' is missing on 2 of 60 rows .rows 4, 9."),
        (
            "C(g)",
            "g",
            "d",
            r"'g' has the level 'd' on 2 of 60 rows .rows 4, 9.*known levels 'a', 'b'",
        ),
        ("C(year)", "year", 1999, r"'year' has the level 1999 on 2 of 60 rows"),
        (
            "bs(x, df=4)",
            "x",
            9.0,
            r"'bs\(x, df=4\)' fails.*outside the range .*2 of 60 rows .rows 4, 9",
        ),
        ("cc(x, df=4, extrapolation='raise')", "x", 9.0, "outside the range .*rows 4, 9"),
        (
            "center(log(x))",
            "x",
            -1.0,
            r"the argument of center\(\) is not finite on 2 of 60 rows .rows 4",
        ),
        ("log(`two words` + 50)", "two words", -50.0, "-inf where two words = -50"),
    ],
)
def test_values_that_cannot_be_used(formula, column, value, words):
    built = designer(f"y ~ {formula}")
    bad = with_value(column, value, 4, 9)
    with pytest.raises(ValueError, match=words):
        built.evaluate(bad)
    # Rows keep their labels when others are dropped.
    with pytest.raises(ValueError, match="rows 4, 9"):
        built.evaluate(bad.iloc[3:])


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ log(z)", "nan where z = -"),
        ("y ~ center(log(z))", r"'center\(log\(z\)\)' fails: the argument of center"),
        ("y ~ I(g * 2)", r"'I\(g \* 2\)' cannot be computed .TypeError"),
        (
            "y ~ bs(x, df=2)",
            r"'bs\(x, df=2\)' cannot be computed .ValueError: Invalid value for `df`",
        ),
        ("y ~ bs(x, df=4, upper_bound=1)", r"outside the range \[0.*, 1\] of the spline"),
        ("y ~ scale(one)", r"'scale\(one\)' is not finite on 60 of 60 rows"),
        ("y ~ C(g, Treatment('d'))", "'d' is not among the levels 'a', 'b', 'c'"),
        ("y ~ C(one)", r"'one' has only one level .1.0."),
        (
            "y ~ text",
            "'text' has 600 levels, too many .*absorb|Absorb it as a fixed effect: 'y ~ x . text'",
        ),
        ("y ~ when", "'when' holds datetime64"),
        ("y ~ twice", "2 columns are named 'twice'"),
        ("y ~ xx", "no column 'xx'. Did you mean 'x'"),
    ],
)
def test_what_cannot_be_learned_or_computed(formula, words):
    frame = pd.concat([FRAME] * 10, ignore_index=True).assign(
        one=1.0, text=[f"t{i}" for i in range(600)], when=pd.Timestamp("2020-01-01"), twice=1.0
    )
    frame = frame.rename(columns={"t": "twice"})
    rows = frame if "text" in formula else frame[:N]
    with pytest.raises(ValueError, match=words):
        designer(formula, rows).evaluate(rows)


def test_learning_needs_rows_and_levels_that_fit():
    with pytest.raises(ValueError, match="no rows to learn from"):
        designer("y ~ x", FRAME[:0])
    with pytest.raises(ValueError, match="'c' on 20 of 60 rows"):
        designer("y ~ g", levels={"g": ["a", "b"]})
    with pytest.raises(ValueError, match="two levels are written the same"):
        designer("y ~ g", levels={"g": ["a", "b", "c", "a"]})
    with pytest.raises(ValueError, match="'year' holds numbers, but its levels are '2001'"):
        designer("y ~ C(year)", levels={"year": ["2001", "2002"]})
    with pytest.raises(ValueError, match="written the same in 1, '1', 'a'"):
        designer("y ~ g", FRAME.assign(g=[1, "1", "a"] * 20))
    with pytest.raises(ValueError, match="held numbers or truth values"):
        designer("y ~ x").evaluate(FRAME.assign(x="much"))


def test_one_missing_row_does_not_spoil_the_others():
    """It would turn the mean of all rows into NaN, or a factor into its reference level."""
    bad = with_value("x", np.nan, 5)
    with pytest.raises(ValueError, match=r"'x' is missing on 1 of 60 rows .row 5."):
        designer("y ~ center(x)", bad)
    with pytest.raises(ValueError, match=r"'g' is missing on 1 of 60 rows .row 5."):
        designer("y ~ g").evaluate(with_value("g", None, 5))
    rest = bad.drop(index=5)
    assert_allclose(
        design("y ~ center(x) - 1", rest)[:, 0], np.delete(X, 5) - np.delete(X, 5).mean()
    )


def test_absent_levels_keep_their_columns():
    built = designer("y ~ C(g) * x")
    only = FRAME[FRAME["g"] == "b"]
    x = only["x"].to_numpy()
    expected = np.column_stack([x**0, x**0, 0 * x, x, x, 0 * x])
    assert_array_equal(built.evaluate(only).design, expected)


def test_the_data_are_left_alone():
    before = FRAME.copy(deep=True)
    designer("log(y**2) ~ z * g + C(year) + I(t + 1) + poly(x, 2)").evaluate(FRAME)
    pd.testing.assert_frame_equal(FRAME, before)


# ---------------------------------------------------------------------- expectations


def probabilities(n_levels):
    return RNG.dirichlet(np.ones(n_levels), size=N)


SHARES = {"g": probabilities(3), "h": probabilities(2), "flag": probabilities(2)}


def expectation(built, shares):
    """Sum over all combinations of levels of whole matrices, term structure or not."""
    total = 0.0
    for choice in np.ndindex(*(p.shape[1] for p in shares.values())):
        names = zip(shares, choice, strict=True)
        levels = {name: [built.levels[name][k]] * N for name, k in names}
        weight = np.prod([p[:, k] for p, k in zip(shares.values(), choice, strict=True)], axis=0)
        total = total + weight[:, None] * built.evaluate(FRAME.assign(**levels)).design
    return total


@pytest.mark.parametrize(
    "formula",
    [
        "C(g)",
        "g * x - 1",
        "C(g, Sum) * C(h) + z",
        "g:h:flag + bs(x, df=4):g",
        "I(g == 'b') * flag + I(flag * x) + C(flag)",
    ],
)
def test_expectations_over_categories(formula):
    built = designer(f"y ~ {formula}")
    shares = {name: SHARES[name] for name in SHARES if name in built.levels}
    unknown = FRAME.drop(columns=list(shares))  # their values are not looked at
    found = built.evaluate_expected(unknown, shares)
    assert_allclose(found.design, expectation(built, shares), atol=1e-12)
    assert_array_equal(found.outcome, Y)


def test_expectations_by_hand():
    shares = SHARES["g"]
    built = designer("z ~ C(g) * x | t ~ I(g == 'a')")
    found = built.evaluate_expected(FRAME, {"g": shares})
    b, c = shares[:, 1], shares[:, 2]
    assert_allclose(found.design, np.column_stack([ONE, b, c, X, b * X, c * X, T]))
    assert_allclose(found.instruments[:, 6], shares[:, 0])


def test_certain_categories_give_the_plain_matrix_exactly():
    """Also where a category that is impossible on a row would give no number there."""
    frame = FRAME.assign(other=1.0 - FRAME["flag"])
    built = designer("I(y + flag) ~ g * x * flag + I(1 / (flag - other)) + C(h):z", frame)
    certain = {
        name: np.column_stack([FRAME[name] == level for level in levels])
        for name, levels in built.levels.items()
    }
    plain, found = built.evaluate(frame), built.evaluate_expected(frame, certain)
    assert_array_equal(found.design, plain.design)
    assert_array_equal(found.outcome, plain.outcome)


def test_numbers_with_levels_have_expectations():
    frame = FRAME.assign(score=FRAME["year"] - 2000.0)
    shares = probabilities(4)
    built = designer("y ~ score + I(score**2) + C(score)", frame, {"score": (1, 2, 3, 4)})
    found = built.evaluate_expected(FRAME, {"score": shares}).design
    scores = np.arange(1.0, 5.0)
    expected = [ONE, shares @ scores, shares @ scores**2, *shares.T[1:]]
    assert_allclose(found, np.column_stack(expected))


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"g": np.ones((N, 2))}, r"have shape \(60, 2\).*3 levels .*need \(60, 3\)"),
        ({"g": np.full((N, 3), np.nan)}, "missing or infinite"),
        ({"x": np.ones((N, 1))}, "'x', which is no column with levels"),
        ({"unknown": np.ones((N, 1))}, "'unknown', which is no column with levels"),
    ],
)
def test_probabilities_that_do_not_fit(shares, words):
    with pytest.raises(ValueError, match=words):
        designer("y ~ g + x").evaluate_expected(FRAME, shares)


def test_impossible_cells_with_positive_probability_are_refused():
    with pytest.raises(ValueError, match="inf where flag = False"):
        designer("y ~ np.where(flag, 1, 1 / flag)").evaluate_expected(
            FRAME, {"flag": SHARES["flag"]}
        )
