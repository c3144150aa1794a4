"""Formulas: reading them, the rows behind them, and when formulaic is loaded."""

import subprocess
import sys

import numpy as np
import pytest
from formulas import FRAME, N, designer, with_value
from numpy.testing import assert_array_equal

from trueness.formula import complete_rows, fixed_effect_codes, parse


def test_parts():
    formula = parse("log(y) ~ x * z + C(g) - 1 | firm + year^h | t ~ z1 + log(`z 2`)")
    assert formula.outcome == "log(y)"
    assert formula.regressors == "x * z + C(g) - 1"
    assert formula.fixed_effects == (("firm",), ("year", "h"))
    assert (formula.endogenous, formula.instruments) == ("t", "log(`z 2`)".join(["z1 + ", ""]))
    assert not formula.has_intercept
    assert formula.outcome_column is None
    assert formula.outcome_columns == ("y",)
    assert formula.design_columns == ("x", "z", "g", "t")
    assert formula.instrument_columns == ("z1", "z 2")
    assert formula.fixed_effect_columns == ("firm", "year", "h")
    assert formula.factor_columns == {"g"}


def test_optional_parts():
    assert parse("y ~ x").fixed_effects == ()
    assert parse("y ~ x | t ~ z").fixed_effects == ()
    assert parse("y ~ x | t ~ z").instruments == "z"
    assert parse("y ~ x | `a | b`:f").fixed_effects == (("a | b", "f"),)
    assert parse("y ~ I((x > 1) | (z > 1))").design_columns == ("x", "z")
    assert parse("`my y` ~ x").outcome_column == "my y"
    assert parse("gdp.pc ~ x").outcome_column == "gdp.pc"
    assert parse("y - x ~ x + z").outcome_columns == ("y", "x")
    assert parse("y ~ x").has_intercept and not parse("y ~ 0 + x").has_intercept


def test_columns_are_looked_up():
    formula = parse("y ~ incme + log(`two words`) | firm | t ~ z")
    with pytest.raises(ValueError, match=r"no column 'incme'. Did you mean 'income'\?"):
        formula.columns(["y", "income", "two words", "firm", "t", "z"])
    columns = formula.columns(["y", "incme", "two words", "firm", "t", "z", "more"])
    assert columns.design == ("incme", "two words", "t")
    assert columns.all == ("y", "incme", "two words", "t", "z", "firm")


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y x", "'y x' has no '~'"),
        ("y ~ x ~ z", "2 times '~'"),
        ("~ x", "nothing stands left of '~'"),
        ("y ~ | f", "nothing stands right of '~'"),
        ("y ~ x | t ~ z | f", "fixed effects and then instruments"),
        ("y ~ x | f | g", "fixed effects and then instruments"),
        ("y ~ x | f | t ~ z | t ~ z", "fixed effects and then instruments"),
        ("y ~ x | log(f)", r"'log\(f\)' is no fixed effect. Possible are columns"),
        ("y ~ x | f + ", "'' is no fixed effect"),
        ("y ~ x | f:g + g:f", "'g:f' repeats"),
        ("y ~ x | ~ z", "'~ z' must be endogenous ~ instruments"),
        ("y ~ x | t ~ z ~ w", "must be endogenous ~ instruments"),
        ("y ~ x | t ~ z - 1", "intercept is not set in 'z - 1'"),
        ("y ~ x | x ~ z", "'x' is both a regressor and endogenous"),
        ("y ~ x:g | t ~ z + g:x", "is both a regressor and an excluded instrument"),
        ("y ~ x | t ~ t", "'t' is both endogenous and an excluded"),
        ("log(y) ~ x + y", r"outcome 'log\(y\)' stands on the right"),
        ("y ~ x | y", "outcome 'y' stands on the right"),
        ("y - x ~ x + y", "stands on the right"),
        ("y ~ .", "'.' is not supported"),
        (". ~ x", "'.' is not supported"),
        ("C(y) ~ x", r"outcome 'C\(y\)' is named without C\(\)"),
        ("y ~ 0", "no term is left"),
        ("y ~ x + offset(z)", r"an offset\(\) is not supported"),
        ("y ~ x z", "'x z' cannot be read .Missing operator"),
        ("y ~ log(x", r"'log\(x' cannot be read"),
        ("y ~ x + $z", r"'x \+ \$z' cannot be read"),
        ("y ~ log(x z)", r"'log\(x z\)' cannot be read"),
        ("y ~ x**2", r"write I\(x\*\*2\)"),
        ("y ~ log(x)^2", r"write I\(log\(x\)\*\*2\)"),
        ("y ~ I(x^2)", r"a power is written \*\*"),
        ("y ~ 2:x", r"write products as in I\(2 \* x\)"),
        ("y ~ lgo(x)", "no function is named 'lgo'. Did you mean 'log'"),
        ("y ~ np.mean(x)", "row by row"),
        ("y ~ np.lgo(x)", "no function is named 'np.lgo'"),
        ("y ~ np.isnan(x)", "row by row"),
        ("y ~ np.fmax(log(x), 0)", "hide what is undefined"),
        ("y ~ I(log(x) > 0)", r"'log\(x\)' may be undefined on some rows"),
        ("y ~ np.where(x / z, 1, 0)", "'x / z' may be undefined"),
        ("y ~ lag(x)", "no function is named 'lag'"),
        ("y ~ I(3)", r"'I\(3\)' holds no column"),
        ("y ~ center(x, z)", "takes one expression of columns first"),
        ("y ~ bs(x, knots=center(3))", "takes one expression of columns first"),
        ("y ~ C(log(x))", "takes the name of a column"),
        ("y ~ C(g, levels=['a'])", "takes the name of a column and a contrast"),
        ("y ~ log(C(g))", "cannot stand inside another expression"),
        ("y ~ C(g, Treetment('b'))", "no contrast is named 'Treetment'. Did you mean 'Treatment'"),
        ("y ~ log(gdp.pc)", "goes into backticks: `gdp.pc`"),
        ("y ~ log(x) + log", "'log' is a column and a function at once"),
    ],
)
def test_what_cannot_be_said(formula, words):
    with pytest.raises(ValueError, match=words) as error:
        parse(formula)
    assert repr(formula) in str(error.value)


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').getcwd()",
        "open('x')",
        "x.__class__",
        "x.mean()",
        "x[::-1]",
        "np.load('x')",
        "np.log(x, x)",
        "log(x, out=x)",
        "np.add.reduce(x)",
        "np.clip(x, 0, 1, x)",
        "center(x, _state=3)",
        "center(x, **3)",
        "I([v for v in x])",
        "I((lambda: x)())",
        "I(x if z else t)",
        "I(x @ z)",
        "I(0 < x < 1)",
        "I(not x)",
        "Q('x')",
        "I(FRAME)",
    ],
)
def test_only_columns_and_row_wise_functions_are_reached(code):
    with pytest.raises(ValueError, match="Formula"):
        designer(f"y ~ {code}")


def test_a_formula_is_a_text():
    with pytest.raises(TypeError, match="A formula is a text"):
        parse(5)


# ---------------------------------------------------------------------- rows


def test_fixed_effects_are_numbered():
    formula = parse("y ~ x | g + year + g:year")
    codes, names, counts = fixed_effect_codes(formula, FRAME)
    assert names == ("g", "year", "g:year") and counts[:2] == (3, 4)
    assert counts[2] == FRAME[["g", "year"]].drop_duplicates().shape[0]
    labels = [FRAME["g"], FRAME["year"], FRAME["g"] + FRAME["year"].astype(str)]
    for code, label, count in zip(codes.T, labels, counts, strict=True):
        assert sorted(set(code)) == list(range(count))
        assert_array_equal(code[:, None] == code, label.to_numpy()[:, None] == label.to_numpy())
    assert fixed_effect_codes(parse("y ~ x"), FRAME).codes.shape == (N, 0)


def test_fixed_effects_with_gaps():
    with pytest.raises(ValueError, match=r"'g' is missing on 2 of 60 rows .rows 3, 8."):
        fixed_effect_codes(parse("y ~ x | year:g"), with_value("g", None, 3, 8))
    with pytest.raises(ValueError, match="no column is named 'firm'|no column 'firm'"):
        fixed_effect_codes(parse("y ~ x | firm"), FRAME)


def test_rows_with_missing_values_are_counted():
    frame = with_value("x", np.nan, 1, 2)
    frame.loc[[2, 3, 4], "g"] = None
    mask, lost, n_lost = complete_rows(frame, ["y", "x", "g", "x"])
    assert_array_equal(np.flatnonzero(~mask), [1, 2, 3, 4])
    assert lost == {"x": 2, "g": 3} and n_lost == 4
    assert complete_rows(frame, ["y"]).lost == {}
    with pytest.raises(ValueError, match="no column is named 'w'"):
        complete_rows(frame, ["w"])


def test_formulaic_is_loaded_when_a_formula_is_read():
    code = (
        "import sys, trueness.formula as f; assert 'formulaic' not in sys.modules;"
        "f.parse('y ~ x'); assert 'formulaic' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
