"""Tables of estimates: what they show, and that each markup is well formed."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from trueness.inference import Estimates
from trueness.tables import compare, render
from trueness.tables.plaintext import TEXT_WIDTH
from trueness.tables.rounding import number_format

STYLES = ["text", "html", "latex", "markdown"]
LONG = "C(category, Treatment(reference='base'))[T.a level with a very long name]"


def make(params, std_errors, names=None, n_obs=1000, **options):
    names = [f"x{i}" for i in range(len(params))] if names is None else names
    cov = np.diag(np.square(np.asarray(std_errors, float)))
    return Estimates(params, cov, names, n_obs=n_obs, **options)


@pytest.fixture
def usual():
    return make(
        *([0.1234, -1.532, 12.5], [0.045, 0.21, 3.1], ["Intercept", "slope", "other"]),
        header={"Gold labels": "500", "Covariance": "HC0, normal reference"},
        title="Corrected",
    )


@pytest.fixture
def small_sample():
    return make([-0.3, 0.02], [0.2, 0.011], ["slope", "extra"], 80, df=12, title="Gold only")


def text_cells(text, first_word):
    """Return the numbers of the line that begins with a word."""
    line = next(line for line in text.splitlines() if line.startswith(first_word + " "))
    return line.split()[1:]


def without_tags(text):
    text = re.sub(r"<style>.*</style>|</?[a-z][^>]*>", " ", text, flags=re.DOTALL)
    return " ".join(text.split())


def as_number(text):
    return float(text.strip("()[],*").replace("\u2212", "-").replace("<", ""))


# -------------------------------------------------------------------------------- one result


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("df", [None, 3])
def test_text_shows_the_numbers_of_the_result(level, df):
    estimates = make([0.1234, -1.532], [0.045, 0.21], ["a", "b"], df=df)
    text = render(estimates, "text", level=level)
    interval = estimates.conf_int(level)
    for i, name in enumerate(estimates.names):
        shown = [as_number(cell) for cell in text_cells(text, name)]
        expected = [
            *(estimates.params[i], estimates.std_errors[i], estimates.statistics[i]),
            *(max(estimates.p_values[i], 0.001), *interval.loc[name]),
        ]
        np.testing.assert_allclose(shown[:2] + shown[4:], expected[:2] + expected[4:], atol=5.1e-4)
        np.testing.assert_allclose(shown[2], expected[2], atol=5.1e-3)
        np.testing.assert_allclose(shown[3], expected[3], atol=5.1e-4)
    percent = f"{100 * level:g}%"
    assert f"Lower {percent}  Upper {percent}" in text
    assert text.splitlines()[-2].startswith(f"{percent} confidence intervals")


@pytest.mark.parametrize("style", STYLES)
def test_statistic_and_foot_line_name_the_reference_distribution(style):
    normal = render(make([1.0], [0.5]), style)
    student = render(make([1.0], [0.5], df=1234.4), style)
    normal, student = (without_tags(text) for text in (normal, student))
    assert re.search(r"Std\. error\W+(\w)\b", normal)[1] == "z"
    assert re.search(r"Std\. error\W+(\w)\b", student)[1] == "t"
    assert "normal distribution" in normal and "degrees" not in normal
    assert "t distribution with 1,234 degrees of freedom" in student
    assert "normal" not in student


def test_infinite_degrees_of_freedom_are_the_normal():
    text = render(make([1.0], [0.5], df=np.inf), "text")
    assert "normal" in text
    assert text == render(make([1.0], [0.5]), "text")


@pytest.mark.parametrize("style", STYLES)
def test_title_facts_and_size_are_shown_in_order(style, usual):
    text = " ".join(re.sub(r"\\emph|[{}:*]", " ", without_tags(render(usual, style))).split())
    places = [
        text.index(part)
        for part in ("Corrected", "Gold labels 500", "Covariance HC0", "N 1,000", "Term")
    ]
    assert places == sorted(places)


def test_size_is_not_repeated_when_the_header_has_it():
    text = render(make([1.0], [0.5], header={"Rows": "1,000"}), "text")
    assert text.count("1,000") == 1


def test_decimal_points_are_aligned(usual):
    odd = make([123.4, -0.5, 1e-3], [40.0, 0.01, 3e-5], ["a", "b", "c"])
    for estimates in (usual, odd):
        lines = render(estimates, "text").splitlines()
        rows = [line for line in lines if line.split(" ")[0] in estimates.names]
        assert len(rows) == 3
        points = {
            tuple(match.start() for match in re.finditer(r"(?<=\d)\.", row[8:])) for row in rows
        }
        assert len(points) == 1 and len(points.pop()) == 6


def test_powers_of_ten_end_where_the_column_ends():
    lines = render(make([1.5e8, 0.5], [2e6, 0.1], ["big", "mid"]), "text").splitlines()
    heading, *rows = (next(x for x in lines if x.startswith(w)) for w in ("Term", "big", "mid"))
    for word, place in (("Estimate", 1), ("error", 2), ("Upper 95%", 6)):
        for row in rows:
            number = row.split()[place]
            assert ("e+0" in number) == row.startswith("big")
            assert heading.index(word) + len(word) == row.rindex(number) + len(number)


def test_text_is_never_too_wide_and_loses_nothing():
    names = [LONG, "short", "w" * 200]
    facts = {"Fact": "words " * 60, "Short": "1", "Shorter": "2"}
    many = make([-1e6, 2.5, 1e-3], [3e5, 1.0, 1e-5], names, header=facts, title="Title " * 40)
    models = {f"Model {i} " + "and its label " * i: many for i in range(6)}
    for text in (render(many, "text"), str(compare(models, statistic=["std_error", "conf_int"]))):
        assert max(map(len, text.splitlines())) <= TEXT_WIDTH
        assert text.count("w") - text.count("words") >= 200
        assert text.count("words") == 60


def test_short_facts_share_a_line():
    lines = render(
        make([1.0], [0.5], header={"Learner": "boosting", "Folds": "5"}), "text"
    ).splitlines()
    assert re.fullmatch(r"Learner +boosting +Folds +5", lines[2])
    assert lines[3].split() == ["N", "1,000"]
    lines = render(
        make([1.0], [0.5], header={"Learner": "boosting", "Covariance": "CR1, " + "words " * 7}),
        "text",
    ).splitlines()
    assert lines[2].split() == ["Learner", "boosting"]
    assert lines[3].split() == ["Covariance", "CR1,", *["words"] * 7]
    assert lines[2].index("boosting") == lines[3].index("CR1")


@pytest.mark.parametrize("style", STYLES)
def test_values_that_are_not_finite(style):
    estimates = make([np.nan, np.inf, -np.inf, 1.0], [1.0, np.nan, 1.0, np.inf])
    infinite = {"html": "\u221e", "latex": r"\infty"}.get(style, "inf")
    text = render(estimates, style)
    assert "n/a" in text and infinite in text and "nan" not in text.lower()
    assert ("\u2212" if style == "html" else "-") + infinite in text
    shown = compare([estimates], statistic=["std_error", "conf_int", "p_value"], stars=True)
    assert "n/a" in shown.to_text() and "nan" not in shown.to_text().lower()
    assert "inf*" not in shown.to_text()  # an infinite estimate is no evidence


@pytest.mark.parametrize("style", STYLES)
def test_no_parameters_at_all(style):
    empty = Estimates(np.zeros(0), np.zeros((0, 0)), [], n_obs=5)
    assert "Estimate" in render(empty, style)


@pytest.mark.parametrize("exponent", range(-14, 15))
def test_two_significant_digits_of_the_standard_error_remain(exponent):
    scale = 10.0**exponent
    for params, error in (([0.0, 1.2345], 0.0123), ([1.0, 2.0], 0.5), ([7.0, -9.0], 99.0)):
        estimates = make(np.array(params) * scale, [error * scale] * 2, ["a", "b"])
        text = render(estimates, "text")
        for name, param in zip(estimates.names, estimates.params, strict=True):
            cells = text_cells(text, name)
            assert as_number(cells[0]) == pytest.approx(param, abs=0.05 * error * scale, rel=1e-3)
            assert as_number(cells[1]) == pytest.approx(error * scale, rel=0.05)
            assert all(len(cell) <= 14 for cell in cells)


def test_number_formats_of_ordinary_sizes():
    def written(value, error):
        return number_format(np.array([value, error]), np.array([error]), 3)(value)

    assert written(0.1234567, 0.05) == "0.123"
    assert written(0.1234567, 0.005) == "0.1235"
    assert written(1234.5678, 432.1) == "1234.57"
    assert written(-0.00001, 0.05) == "0.000"  # no minus before zero
    assert written(2.5e9, 1e8) == "2.500e+09"
    assert written(0.0, 0.0) == "0.000"


def test_p_values_never_reach_zero():
    text = render(make([3.2905, 3.2906, 1e-9], [1.0, 1.0, 1.0], ["a", "b", "c"]), "text")
    assert text_cells(text, "a")[3] == "0.001"
    assert text_cells(text, "b")[3] == "<0.001"
    assert text_cells(text, "c")[3] == "1.000"


def test_bad_arguments_are_explained(usual):
    with pytest.raises(ValueError, match=r"style='word'.*'latex'"):
        render(usual, "word")
    with pytest.raises(ValueError, match="level"):
        render(usual, "text", level=95)


# -------------------------------------------------------------------------------- comparison


def test_terms_are_the_union_in_order_of_appearance(usual, small_sample):
    shown = compare([small_sample, usual])
    rows = [line.split(" ")[0] for line in shown.to_text().splitlines()[4:] if line[:1].isalpha()]
    assert rows[:4] == ["slope", "extra", "Intercept", "other"]
    assert len(text_cells(shown.to_text(), "slope")) == 2
    assert len(text_cells(shown.to_text(), "extra")) == 1  # blank where the model lacks it
    extra = next(row for row in shown.to_markdown().splitlines() if row.startswith("| extra"))
    assert extra == "| extra | 0.020 |  |"


def test_lines_below_the_estimate(usual, small_sample):
    kinds = ["std_error", "conf_int", "statistic", "p_value"]
    shown = compare({"A": small_sample}, statistic=kinds, level=0.9, terms=["slope"])
    rows = shown.to_markdown().split("| slope |")[1].splitlines()[:5]
    estimate, *below = (row.split("|")[-2].strip() for row in rows)
    low, high = small_sample.conf_int(0.9).loc["slope"]
    statistic, p_value = small_sample.statistics[0], small_sample.p_values[0]
    assert as_number(estimate) == small_sample.params[0]
    assert below == [
        *("(0.200)", f"[{low:.3f}, {high:.3f}]"),
        *(f"t = {statistic:.2f}", f"p = {p_value:.3f}"),
    ]
    assert "z = " in compare([usual], statistic="statistic").to_text()
    assert "p < 0.001" in compare([usual], statistic="p_value").to_text()
    assert "(" not in compare([usual], statistic=()).to_text().split("slope")[1].split("other")[0]


def test_stars_follow_two_sided_p_values():
    # One-sided, 1.8 would be below 0.05; with 3 degrees of freedom 2.5 is above.
    z_values = [1.8, 2.1, 2.7, 3.4]
    for sign in (1, -1):
        text = str(compare([make(sign * np.array(z_values), np.ones(4))], stars=True))
        found = [text_cells(text, f"x{i}")[0].count("*") for i in range(4)]
        assert found == [0, 1, 2, 3]
    assert text_cells(str(compare([make([2.5], [1.0], df=3)], stars=True)), "x0") == ["2.500"]
    assert "* p < 0.05, ** p < 0.01, *** p < 0.001 (two-sided)." in text
    own = str(compare([make([1.8], [1.0])], stars=[0.01, 0.1]))
    assert "1.800*\n" in own and "* p < 0.1, ** p < 0.01" in own
    huge = compare([make([-9e9], [1e9])], stars=True)
    assert "-9.000e+09***" in huge.to_text() and r"-9.000e+09\*\*\*" in huge.to_markdown()
    assert "*" not in str(compare([make([9.0], [1.0])]))


def test_header_facts_and_size_at_the_bottom(usual, small_sample):
    long_fact = "the same sentence for all"
    first = make([1.0], [0.1], n_obs=12345, header={"Method": long_fact, "Gold labels": "50"})
    second = make([1.0], [0.1], n_obs=99, header={"Method": long_fact, "Folds": "5"})
    text = compare({"A": first, "B": second}).to_text()
    lines = text.splitlines()
    assert lines[2].split() == ["Method", *long_fact.split()]  # said once, above the table
    assert text.count("sentence") == 1
    assert text_cells(text, "Gold") == ["labels", "50"]
    assert text_cells(text, "Folds") == ["5"]
    assert text_cells(text, "N") == ["12,345", "99"]
    assert lines.index(next(line for line in lines if line.startswith("N "))) == len(lines) - 3
    rows = make([1.0], [0.1], n_obs=7, header={"Rows": "7"})
    assert text_cells(compare({"A": first, "B": rows}).to_text(), "Rows") == ["12,345", "7"]


def test_reference_distributions_are_named_where_they_matter(usual, small_sample):
    models = {"A": usual, "B": small_sample}
    assert "distribution" not in compare(models).to_text()
    text = " ".join(compare(models, statistic="conf_int").to_text().split())
    assert "normal distribution (A); t distribution with 12 degrees of freedom (B)" in text
    assert "Reference: normal distribution." in compare([usual], stars=True).to_text()


def test_labels_of_models(usual):
    assert list(compare([usual, usual, usual]).models) == [
        *("Corrected", "Corrected (2)", "Corrected (3)")
    ]
    fitted = SimpleNamespace(results_=usual)
    assert compare(fitted).models["Corrected"] is usual
    assert compare({"mine": fitted}).models["mine"] is usual
    with pytest.raises(TypeError, match="Model a is a DataFrame"):
        compare({"a": pd.DataFrame()})
    with pytest.raises(ValueError, match="no model"):
        compare([])


def test_terms_select_rename_and_merge(usual, small_sample):
    shown = compare(
        {"A": usual, "B": small_sample},
        terms={"other": "Effect", "extra": "Effect", "slope": "Slope"},
    )
    frame = shown.to_frame()
    assert frame["term"].tolist() == ["Effect", "Slope", "Effect", "Slope"]
    assert frame["model"].tolist() == ["A", "A", "B", "B"]
    assert frame["estimate"].tolist() == [12.5, -1.532, 0.02, -0.3]
    assert "Intercept" not in shown.to_text()
    assert compare(usual, terms=["slope"]).to_frame()["term"].tolist() == ["slope"]
    with pytest.raises(ValueError, match=r"'wrong'.*'slope'"):
        compare([usual], terms=["slope", "wrong"])
    with pytest.raises(ValueError, match="'A' has several terms labelled"):
        compare({"A": usual}, terms={"slope": "x", "other": "x"})


def test_frame_stacks_the_frames_of_the_models(usual, small_sample):
    frame = compare({"A": usual, "B": small_sample}, level=0.8).to_frame()
    assert list(frame.columns) == ["model", *usual.to_frame().columns]
    for label, model in (("A", usual), ("B", small_sample)):
        part = frame[frame["model"] == label].drop(columns="model").reset_index(drop=True)
        pd.testing.assert_frame_equal(part, model.to_frame(0.8))


def test_options_of_compare_are_checked(usual):
    with pytest.raises(ValueError, match=r"statistic=\['t'\].*conf_int"):
        compare([usual], statistic="t")
    with pytest.raises(ValueError, match="stars"):
        compare([usual], stars=[5.0])
    with pytest.raises(ValueError, match="level"):
        compare([usual], level=1.0)


def test_comparison_shows_itself_and_plots_what_it_shows(usual, small_sample):
    shown = compare([usual, small_sample], terms={"slope": "Slope"}, level=0.5)
    assert str(shown) == repr(shown) == shown.to_text()
    assert shown._repr_html_() == shown.to_html()
    axes = shown.plot().axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["Slope"]
    assert "50%" in axes[0].get_xlabel()
