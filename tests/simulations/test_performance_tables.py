"""Tables of performance: what is shown, how it is grouped and rounded."""

import re

import numpy as np
import pandas as pd
import pytest

from trueness.simulations.performance import compare_methods, performance

NAN = float("nan")


def study(methods=("ols", "huber"), terms=("x",), n_failed=0, scale=1.0, **grid):
    """Return 100 replicates of every cell, method and term."""
    rng = np.random.default_rng(0)
    cells = pd.DataFrame(grid or {"_": [0]})
    parts = []
    for cell in cells.to_dict("records"):
        for method in methods:
            for term in terms:
                error = scale * rng.standard_normal(100)
                part = pd.DataFrame({"replicate": range(100), "estimate": 1 + error})
                part = part.assign(method=method, term=term, estimand=1.0, std_error=scale)
                part["conf_low"] = part["estimate"] - 1.96 * scale
                part["conf_high"] = part["estimate"] + 1.96 * scale
                part.loc[: n_failed - 1, ["estimate", "estimand"]] = NAN
                part.loc[: n_failed - 1, "term"] = ""
                parts.append(part.assign(**cell))
    return pd.concat(parts).drop(columns="_", errors="ignore").drop_duplicates(ignore_index=True)


def labels(text):
    """Return the labels of the rows of a text table, rules as '-'."""
    body = text.split("\n")
    start = next(i for i, line in enumerate(body) if "Bias" in line)
    lines = ["-" if set(line) <= {"-", "="} else line[:22].strip() for line in body[start:]]
    return [line for line in lines if line and "(" not in line]


def test_methods_of_a_cell_stand_together_under_its_name():
    text = performance(study(n=[10, 20], terms=("x", "z"))).summary(["bias"])
    names = [name for name in labels(text) if not re.match(r"Monte|Method", name)]
    rows = [name.split()[0] if name[0] in "oh" else name for name in names]
    blocks = ["n = 10, x", "n = 10, z", "n = 20, x", "n = 20, z"]
    assert rows == [item for block in blocks for item in ("-", block, "ols", "huber")] + ["-"]


def test_what_all_rows_share_stands_above():
    text = performance(study(n=[10], kind=["normal"], methods=["ols"])).summary(["bias"])
    for fact in (r"n +10", r"kind +normal", r"Term +x", r"Replicates +100", r"\nols +"):
        assert re.search(fact, text), fact


def test_one_method_has_a_row_per_cell():
    text = performance(study(n=[10, 20], methods=["ols"])).summary(["bias", "rmse"])
    assert re.search(r"^Cell +Bias +RMSE$", text, re.M)
    assert re.search(r"^n = 10 +-?\d", text, re.M)


def test_values_carry_their_monte_carlo_errors_to_two_digits():
    result = performance(study(methods=["ols"], scale=0.01))
    row = result.select("mean_estimate").iloc[0]
    decimals = 1 - int(np.floor(np.log10(row["mcse"])))
    value, error = re.findall(r"\(?-?\d+\.\d+\)?", result.summary(["mean_estimate"]))
    assert value == f"{row['value']:.{decimals}f}"
    assert error == f"({row['mcse']:.{decimals}f})"
    assert len(error.strip("(0.)")) == 2


def test_default_columns_are_those_with_something_to_tell():
    text = performance(study()).summary()
    assert re.search(r"Method +Bias +Emp. SE +SE ratio +RMSE +Coverage$", text, re.M)
    assert "Nominal coverage 95%." in text
    failed = performance(study(n_failed=3)).summary()
    assert re.search(r"Coverage +Failures$", failed, re.M)
    no_se = study().drop(columns=["std_error", "conf_low", "conf_high"])
    assert re.search(r"Bias +Emp. SE +RMSE$", performance(no_se).summary(), re.M)


def test_columns_are_chosen_by_name():
    result = performance(study())
    assert re.search(r"Method +RMSE +Bias$", result.summary(["rmse", "bias"]), re.M)
    assert re.search(r"Method +RMSE$", result.summary("rmse"), re.M)
    for words in ("MAD SE", "Bias-elim.", "Not converged"):
        assert words in result.summary("all")
    with pytest.raises(ValueError, match="no measure 'biass'. Did you mean 'bias'"):
        result.summary("biass")
    with pytest.raises(ValueError, match="style='rtf' is unknown"):
        result.render("rtf")


def test_missing_values_are_n_a_without_error():
    frame = study()
    frame.loc[frame["method"] == "huber", ["conf_low", "conf_high"]] = NAN
    text = performance(frame).summary(["coverage", "bias"])
    assert len(re.findall("n/a", text)) == 1


def test_comparisons_say_what_they_compare():
    text = compare_methods(study(), "ols").summary()
    assert text.startswith("Comparison with ols on the same data\n")
    assert "Differences are method minus ols" in text
    assert re.search(r"^huber ", text, re.M)


def test_unequal_numbers_of_replicates_are_a_range():
    frame = study(n=[10, 20])
    frame = frame[(frame["n"] == 10) | (frame["replicate"] < 40)]
    assert "40 to 100" in performance(frame).summary(["bias"])


@pytest.mark.parametrize(
    ("style", "number"),
    [
        ("html", r'<td class="right number">([−\d.]+)'),
        ("latex", r"\$(-?[\d.]+)\$"),
        ("markdown", r"\| (-?[\d.]+) \|"),
    ],
)
def test_other_formats_hold_the_same_numbers(style, number):
    result = performance(study(n=[10, 20]))
    written = [text.replace("−", "-") for text in re.findall(number, result.render(style, "bias"))]
    in_text = re.findall(r"^(?:ols|huber) +(-?[\d.]+)$", result.summary("bias"), re.M)
    assert written == in_text
    assert len(written) == 4


def test_the_table_is_at_most_88_wide_and_shows_itself():
    result = performance(study(n=[10, 20], contamination=[0.1, 0.2], methods=["m" * 40, "b"]))
    assert max(map(len, result.summary("all").split("\n"))) <= 88
    assert repr(result) == str(result) == result.summary()
    assert result._repr_html_() == result.to_html()
    assert result.to_latex().startswith(r"\begin{table}")
    assert result.to_markdown().startswith("**Performance")
