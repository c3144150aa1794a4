"""One small table of text cells and its renderings as HTML, LaTeX and markdown.

A `Table` holds nothing but strings. Whoever builds it has rounded the numbers already and wrote
them with an ASCII minus; the renderers translate signs, escape labels and align columns.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Style = Literal["text", "html", "latex", "markdown"]


@dataclass(frozen=True)
class Cell:
    """One entry of the body of a table.

    Attributes
    ----------
    text : str, default=""
        Content, numbers with an ASCII minus.
    kind : {"text", "decimal", "numeric"}, default="text"
        Both numeric kinds have signs to translate; only a decimal is aligned at its point.
    mark : str, default=""
        Significance stars after a number; they do not take part in the alignment.
    """

    text: str = ""
    kind: Literal["text", "decimal", "numeric"] = "text"
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """A labelled row; estimate above standard error makes two lines of one row."""

    label: str
    lines: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Table:
    """A table before it is written in some language.

    Attributes
    ----------
    title : str
        Heading.
    facts : tuple of (str, str)
        Names and values printed between title and table.
    stub : str
        Heading of the column of row labels.
    columns : tuple of str
        Headings of the other columns.
    groups : tuple of tuple of Row
        Rows; a rule separates the groups.
    notes : tuple of str
        Sentences printed below.
    align : {"right", "center"}, default="right"
        Alignment of all columns but the row labels.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    stub: str
    columns: tuple[str, ...]
    groups: tuple[tuple[Row, ...], ...]
    notes: tuple[str, ...]
    align: Literal["right", "center"] = "right"

    def column(self, index: int) -> list[Cell]:
        """Return the body cells of one column, from top to bottom."""
        return [line[index] for group in self.groups for row in group for line in row.lines]


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Break text into lines, at blanks and after the punctuation of formulas.

    Parameters
    ----------
    text : str
        Text on one line.
    width : int
        Length of the longest line allowed.
    indent : str, default=""
        What all lines but the first begin with.
    """
    lines = [""]
    for piece in re.findall(r"[^\s,;:=_/)\]]*[\s,;:=_/)\]]*", " ".join(text.split())):
        if len(lines[-1]) + len(piece.rstrip()) > width and lines[-1].strip():
            lines.append(indent)
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], indent + lines[-1][width:]]
    return [line.rstrip() for line in lines]


def split_at_point(number: str) -> tuple[str, str]:
    """Split a formatted number just before its decimal point (or after its last digit)."""
    head = re.match(r"[^\d]*[\d,]*", number)
    end = head.end() if head else 0
    return number[:end], number[end:]


def _tail_width(cells: Sequence[Cell]) -> int:
    return max(
        (len(split_at_point(cell.text)[1]) for cell in cells if cell.kind == "decimal"), default=0
    )


# ---------------------------------------------------------------------------------------- HTML

# Colours are inherited, so that the table follows the theme around it, light or dark.
_CSS = """
.trueness-table { overflow-x: auto; }
.trueness-table table { border-collapse: collapse; border: 0; margin: 0.5em 0; color: inherit;
  font-size: 0.9rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
.trueness-table caption { caption-side: top; text-align: left; color: inherit; padding: 0 0.7em; }
.trueness-table caption strong { display: block; font-size: 1.1em; margin-bottom: 0.3em; }
.trueness-table dl { display: flex; flex-wrap: wrap; gap: 0.15em 2em; margin: 0 0 0.6em; }
.trueness-table dl div { display: flex; gap: 0.6em; }
.trueness-table dt { font-weight: normal; opacity: 0.7; }
.trueness-table dd { margin: 0; }
.trueness-table tr:nth-child(n) { background: transparent; border: 0; }
.trueness-table :is(th, td) { border: 0; padding: 0.2em 0.7em; vertical-align: top; }
.trueness-table tbody th { text-align: left; font-weight: normal; max-width: 24em;
  overflow-wrap: break-word; white-space: normal; }
.trueness-table thead th { font-weight: 600; vertical-align: bottom; }
.trueness-table thead th:first-child { text-align: left; }
.trueness-table .right { text-align: right; white-space: nowrap; }
.trueness-table .center { text-align: center; }
.trueness-table .number { white-space: nowrap; }
.trueness-table .below { padding-top: 0; }
.trueness-table .mark { position: absolute; }
.trueness-table thead tr:first-child > * { border-top: 2px solid; border-bottom: 1px solid; }
.trueness-table tbody + tbody tr:first-child > * { border-top: 1px solid; }
.trueness-table tfoot td { border-top: 2px solid; text-align: left; font-size: 0.9em;
  opacity: 0.8; white-space: normal; }
""".strip()
_FIGURE_SPACE, _PUNCTUATION_SPACE = "\u2007", "\u2008"


def _html_padding(text: str, tail_width: int) -> str:
    """Return blanks as wide as the decimals that other numbers of the column have."""
    tail = split_at_point(text)[1]
    missing = tail_width - len(tail)
    if missing <= 0:
        return ""
    return (_FIGURE_SPACE if tail else _PUNCTUATION_SPACE) + _FIGURE_SPACE * (missing - 1)


def _html_cell(cell: Cell, align: str, tail_width: int, first: bool) -> str:
    classes = [align]
    text = escape(cell.text)
    if cell.kind != "text":
        classes.append("number")
        text = text.replace("-", "\u2212").replace("inf", "\u221e")
    if cell.kind == "decimal" and align == "right":
        text += _html_padding(cell.text, tail_width)
    if cell.mark:
        text += f'<span class="mark">{escape(cell.mark)}</span>'
    if not first:
        classes.append("below")
    return f'<td class="{" ".join(classes)}">{text}</td>'


def _html_row(row: Row, align: str, tails: Sequence[int]) -> list[str]:
    span = f' rowspan="{len(row.lines)}"' if len(row.lines) > 1 else ""
    lines = []
    for number, line in enumerate(row.lines):
        label = "" if number else f'<th scope="row"{span}>{escape(row.label)}</th>'
        cells = (
            _html_cell(cell, align, tail, first=number == 0)
            for cell, tail in zip(line, tails, strict=True)
        )
        lines.append(f"<tr>{label}{''.join(cells)}</tr>")
    return lines


def to_html(table: Table) -> str:
    """Write the table as an HTML fragment with its own style, scoped to the fragment."""
    facts = "".join(
        f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in table.facts
    )
    headings = "".join(
        f'<th scope="col" class="{table.align}">{escape(name)}</th>' for name in table.columns
    )
    tails = [_tail_width(table.column(index)) for index in range(len(table.columns))]
    lines = ['<div class="trueness-table">', f"<style>\n{_CSS}\n</style>", "<table>"]
    lines.append(f"<caption><strong>{escape(table.title)}</strong>")
    lines.append((f"<dl>{facts}</dl>" if facts else "") + "</caption>")
    lines.append(f'<thead><tr><th scope="col">{escape(table.stub)}</th>{headings}</tr></thead>')
    for group in filter(None, table.groups):
        rows = [line for row in group for line in _html_row(row, table.align, tails)]
        lines += ["<tbody>", *rows, "</tbody>"]
    notes = "<br>".join(escape(note) for note in table.notes)
    lines.append(f'<tfoot><tr><td colspan="{len(table.columns) + 1}">{notes}</td></tr></tfoot>')
    return "\n".join([*lines, "</table>", "</div>"])


# --------------------------------------------------------------------------------------- LaTeX

_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    '"': "''",
    "\u2212": "$-$",
    "\u00d7": r"$\times$",
    "\u00b7": r"$\cdot$",
    "\u00b2": "$^2$",
    "\u2192": r"$\rightarrow$",
    "\u221e": r"$\infty$",
    "\u2264": r"$\leq$",
    "\u2265": r"$\geq$",
}
# Greek letters that LaTeX has no command for, because they look like Latin ones.
_LIKE_LATIN = {
    "SMALL": {"OMICRON"},
    "CAPITAL": {"ALPHA", "BETA", "EPSILON", "ZETA", "ETA", "IOTA", "KAPPA", "MU", "NU"}
    | {"OMICRON", "RHO", "TAU", "CHI"},
}
_LATEX_LABEL_WIDTH, _LATEX_WORDS_WIDTH = 28, 20


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    greek = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(character, ""))
    if greek is None or greek[2] in _LIKE_LATIN[greek[1]]:
        return character
    name = greek[2].lower().replace("lamda", "lambda")
    return f"$\\{name if greek[1] == 'SMALL' else name.capitalize()}$"


def _latex_text(text: str) -> str:
    written = "".join(map(_latex_character, text)).replace("--", "-{}-")
    # After the end of a row these would be read as arguments of the line break.
    return "{}" + written if written.startswith(("[", "*")) else written


def _latex_stack(text: str, width: int, vertical: str, horizontal: str) -> str:
    """Break long text over lines of one cell, aligned as ``tabular`` has it."""
    lines = [_latex_text(line) for line in wrap(text, width)]
    if len(lines) <= 1:
        return "".join(lines)
    body = r" \\ ".join(lines)
    return rf"\begin{{tabular}}[{vertical}]{{@{{}}{horizontal}@{{}}}}{body}\end{{tabular}}"


def _latex_number(text: str) -> str:
    """Write a number or an interval in math mode, powers of ten as such."""
    text = re.sub(r"e([+-])0*(\d+)", lambda m: rf" \times 10^{{{m[1].strip('+')}{m[2]}}}", text)
    text = text.replace("n/a", r"\mathrm{n/a}").replace("inf", r"\infty").replace(", ", r",\ ")
    return f"${text}$" if text else ""


def _latex_cell(cell: Cell, align: str, tail_width: int) -> str:
    if cell.kind == "text":
        return _latex_stack(cell.text, _LATEX_WORDS_WIDTH, "t", align[0])
    number = _latex_number(cell.text)
    if cell.mark:
        number += rf"\rlap{{$^{{{cell.mark}}}$}}"
    tail = split_at_point(cell.text)[1]
    if cell.kind == "numeric" or align == "center" or len(tail) >= tail_width:
        return number
    missing = "0" * (tail_width - len(tail)) if tail else "." + "0" * (tail_width - 1)
    return rf"{number}\phantom{{{missing}}}"


def _latex_row(row: Row, align: str, tails: Sequence[int]) -> list[str]:
    lines = []
    for number, line in enumerate(row.lines):
        label = "" if number else _latex_stack(row.label, _LATEX_LABEL_WIDTH, "t", "l")
        cells = [_latex_cell(cell, align, tail) for cell, tail in zip(line, tails, strict=True)]
        lines.append(" & ".join([label, *cells]) + r" \\")
    return lines


def _latex_group(rows: Sequence[Row], align: str, tails: Sequence[int]) -> str:
    stacked = any(len(row.lines) > 1 for row in rows)
    between = "\n\\addlinespace\n" if stacked else "\n"
    return between.join("\n".join(_latex_row(row, align, tails)) for row in rows)


def to_latex(table: Table) -> str:
    r"""Write the table as a LaTeX float; the document needs ``\usepackage{booktabs}``."""
    align = table.align[0]
    headings = [_latex_stack(name, _LATEX_WORDS_WIDTH, "b", align) for name in table.columns]
    tails = [_tail_width(table.column(index)) for index in range(len(table.columns))]
    facts = "; ".join(rf"\emph{{{_latex_text(k)}:}} {_latex_text(v)}" for k, v in table.facts)
    notes = " ".join(map(_latex_text, table.notes))
    groups = [_latex_group(group, table.align, tails) for group in table.groups if group]
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering\small\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{_latex_text(table.title)}}}",
            *([rf"{{{facts}\par}}\medskip"] if facts else []),
            rf"\begin{{tabular}}{{l{align * len(table.columns)}}}",
            r"\toprule",
            " & ".join([_latex_text(table.stub), *headings]) + r" \\",
            *(rf"\midrule{chr(10)}{group}" for group in groups),
            r"\bottomrule",
            r"\end{tabular}",
            *([rf"\par\smallskip{{\footnotesize {notes}\par}}"] if notes else []),
            r"\end{table}",
        ]
    )


# ------------------------------------------------------------------------------------ markdown


def _markdown_text(text: str) -> str:
    """Escape what markdown, or the mathematics of its dialects, would read as markup."""
    return re.sub(r"([\\`*_{}\[\]<>|$~#])", r"\\\1", text)


def _markdown_cell(cell: Cell) -> str:
    text = _markdown_text(cell.text) if cell.kind == "text" else cell.text
    return text + _markdown_text(cell.mark)


def _markdown_line(label: str, cells: Sequence[Cell]) -> str:
    return f"| {' | '.join([_markdown_text(label), *map(_markdown_cell, cells)])} |"


def to_markdown(table: Table) -> str:
    """Write the table as a pipe table with title and facts above and notes below."""
    rule = {"right": "---:", "center": ":---:"}[table.align]
    lines = [f"**{_markdown_text(table.title)}**", ""]
    if table.facts:
        lines += [f"- {_markdown_text(k)}: {_markdown_text(v)}" for k, v in table.facts] + [""]
    lines.append(_markdown_line(table.stub, [Cell(name) for name in table.columns]))
    lines.append("| " + " | ".join([":---", *([rule] * len(table.columns))]) + " |")
    for group in table.groups:
        for row in group:
            for number, line in enumerate(row.lines):
                lines.append(_markdown_line("" if number else row.label, line))
    if table.notes:
        lines += ["", " ".join(map(_markdown_text, table.notes))]
    return "\n".join(lines)
