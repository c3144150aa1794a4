"""The markup of tables is well formed, escaped, and of one width throughout."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from trueness.inference import Estimates
from trueness.tables import compare, render
from trueness.tables.markup import wrap

NASTY = ["x_1", "50% & more", "a|b", "[T.x] <b>", "*c* $d$", "C:\\new^2~{e}#"]
LONG = "C(category, Treatment(reference='base'))[T.a level with a very long name]"


def make(params, std_errors, names, **options):
    cov = np.diag(np.square(np.asarray(std_errors, float)))
    return Estimates(params, cov, names, n_obs=100, **options)


class TableReader(HTMLParser):
    """Collect the cells of every row with their tags and attributes, and all tags used."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.rows, self.open, self.caption = [], [], [], ""
        self.feed(html)
        assert self.open == [], f"tags left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "caption" in self.open:
            self.caption += data
        elif {"th", "td"} & set(self.open):
            self.rows[-1][-1][2] += data


@pytest.mark.parametrize("wide", [False, True])
def test_html_is_well_formed_escaped_and_semantic(wide):
    estimates = make(np.linspace(-3, 3, 6), np.full(6, 0.5), NASTY, title="<i> & co")
    shown = compare({"a <u>": estimates, "b": estimates}, statistic=["std_error", "conf_int"])
    html = shown.to_html() if wide else render(estimates, "html")
    reader = TableReader(html)
    assert not {"b", "i", "u"} & set(reader.tags)
    assert reader.tags.count("caption") == reader.tags.count("thead") == 1
    assert wide or "<i> & co" in reader.caption
    heading, *body, foot = reader.rows
    assert all(cell[0] == "th" and cell[1]["scope"] == "col" for cell in heading)
    assert foot[0][1]["colspan"] == str(len(heading))
    labels = [cell for row in body for cell in row if cell[0] == "th"]
    assert [cell[2] for cell in labels][:6] == NASTY
    assert all(cell[1]["scope"] == "row" for cell in labels)
    # Each label spans as many rows as it has lines, so that all rows have the same width.
    covered = 0
    for row in body:
        span = next((int(cell[1].get("rowspan", 1)) for cell in row if cell[0] == "th"), None)
        covered = covered - 1 if span is None else span
        assert covered >= 1
        assert len(row) == len(heading) - (span is None)
    numbers = "".join(cell[2] for row in body for cell in row if cell[0] == "td")
    assert "\u2212" in numbers and "-" not in numbers


def test_html_pads_shorter_decimals_in_a_right_aligned_column():
    estimates = make([123456.0, 0.5], [4e4, 0.0001], ["a", "b"])
    rows = TableReader(render(estimates, "html")).rows
    first, second = rows[1][1][2], rows[2][1][2]
    assert first == "123456" + "\u2008" + "\u2007" * (len(second) - len("0."))
    assert re.fullmatch(r"0\.50+", second)


def latex_rows(latex):
    """Return the cells of each row of the main tabular, nested tabulars taken out."""
    body = re.search(r"\\toprule\n(.*)\\bottomrule", latex, re.DOTALL)[1]
    body = re.sub(r"\\(midrule|addlinespace)\n", "", body)
    body = re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "stack", body)
    rows = [row.removesuffix(r" \\") for row in body.strip().split("\n")]
    return [re.split(r"(?<!\\)&", row) for row in rows]


@pytest.mark.parametrize("stacked", [False, True])
def test_latex_has_equal_rows_and_escapes_names(stacked):
    names = [*NASTY, "beta β", LONG]
    estimates = make([-1.0, 2.5e-9, np.nan, 1e9, 3.0, 0.0, 1.0, 2.0], [0.5] * 8, names)
    shown = compare({"a_b": estimates, LONG: estimates}, statistic="conf_int", stars=True)
    latex = shown.to_latex() if stacked else render(estimates, "latex")
    columns = re.search(r"\\begin\{tabular\}\{(l[cr]+)\}", latex)[1]
    rows = latex_rows(latex)
    assert {len(row) for row in rows} == {len(columns)}
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    text = "\n".join(row[0] for row in rows)
    for part in (r"x\_1", r"50\% \& more", r"\textbar{}", r"\$d\$", r"\textbackslash{}new", "\\#"):
        assert part in text
    assert r"$\beta$" in text and "β" not in latex
    assert not re.search(r"\\\\\s*[\[*]", latex)  # would be arguments of the line break
    numbers = [cell for row in rows[1:] for cell in row[1:] if re.search(r"-\d", cell)]
    assert numbers and all(cell.strip().startswith("$") for cell in numbers)
    assert r"\times 10^{9}" in latex
    # Outside of mathematics no character that needs escaping is left.
    plain = re.sub(r"\\.|\$[^$]*\$", "", latex.split(r"\toprule")[1].split(r"\bottomrule")[0])
    assert not set("_%#^$") & set(plain)


@pytest.mark.parametrize("stacked", [False, True])
def test_markdown_has_equal_rows_and_escapes_names(stacked):
    estimates = make(np.linspace(-3, 3, 6), np.full(6, 0.5), NASTY)
    shown = compare({"a|b": estimates, "c": estimates}, statistic="conf_int", stars=True)
    text = shown.to_markdown() if stacked else render(estimates, "markdown")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", row.replace(r"\\", "")) for row in rows]
    assert len({len(row) for row in cells}) == 1
    assert len(cells[0]) == (3 if stacked else 7) + 2
    unescaped = [re.sub(r"\\(.)", r"\1", row) for row in rows]
    for name in NASTY:
        assert any(row.startswith(f"| {name} |") for row in unescaped)
    assert not re.search(r"(?<!\\)[*_$<]", "".join(row for row in rows if "<0.001" not in row))


def test_wrap_breaks_formulas_at_punctuation_and_loses_nothing():
    for width in (5, 12, 28, 200):
        lines = wrap(LONG, width)
        assert max(map(len, lines)) <= width
        assert "".join(lines).replace(" ", "") == LONG.replace(" ", "")
    assert wrap("log(income):region", 12) == ["log(income):", "region"]
    assert wrap("", 5) == [""]
