"""A `Table` as plain text: aligned decimal points, wrapped names, a limited width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .markup import Cell, Row, Table, split_at_point, wrap

TEXT_WIDTH = 88
_LABEL_WIDTH = 20  # row labels are not wrapped to less than this to make room for columns
_WRAP = 16  # words in a column of numbers are wrapped to this width
_GAP = "  "


@dataclass(frozen=True)
class _TextColumn:
    """Widths of one column in characters: all of it, and the two sides of the decimal point."""

    index: int
    heading: str
    width: int
    head: int
    tail: int
    align: str

    @classmethod
    def fit(cls, table: Table, index: int) -> _TextColumn:
        cells = table.column(index)
        parts = [split_at_point(cell.text + cell.mark) for cell in cells if cell.kind == "decimal"]
        head = max((len(before) for before, _ in parts), default=0)
        tail = max((len(after) for _, after in parts), default=0)
        numeric = [len(cell.text + cell.mark) for cell in cells if cell.kind == "numeric"]
        words = [len(cell.text) for cell in cells if cell.kind == "text"]
        words.append(len(table.columns[index]))
        width = max([head + tail, min(max(words), _WRAP), *numeric])
        return cls(index, table.columns[index], width, head, tail, table.align)

    def justify(self, text: str) -> str:
        return text.rjust(self.width) if self.align == "right" else text.center(self.width)

    def block(self, cell: Cell) -> list[str]:
        """Return the cell as lines of the column's width."""
        if cell.kind == "text":
            return [self.justify(line) for line in wrap(cell.text, self.width)]
        if cell.kind == "numeric":
            return [self.justify(cell.text + cell.mark)]
        before, after = split_at_point(cell.text + cell.mark)
        return [self.justify(before.rjust(self.head) + after.ljust(self.tail))]


def _side_by_side(blocks: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    height = max(len(block) for block in blocks)
    padded = [
        [line.ljust(width) for line in block] + [" " * width] * (height - len(block))
        for block, width in zip(blocks, widths, strict=True)
    ]
    return [_GAP.join(pieces) for pieces in zip(*padded, strict=True)]


def _text_row(row: Row, columns: Sequence[_TextColumn], label_width: int) -> list[str]:
    body: list[str] = []
    for line in row.lines:
        blocks = [column.block(line[column.index]) for column in columns]
        body += _side_by_side(blocks, [column.width for column in columns])
    labels = wrap(row.label, label_width, "  ")
    return _side_by_side([labels, body], [label_width, len(body[0])])


def _text_heading(stub: str, columns: Sequence[_TextColumn], label_width: int) -> list[str]:
    blocks = [[stub], *([c.justify(s) for s in wrap(c.heading, c.width)] for c in columns)]
    height = max(len(block) for block in blocks)
    bottom_aligned = [[""] * (height - len(block)) + block for block in blocks]
    return _side_by_side(bottom_aligned, [label_width, *(column.width for column in columns)])


def _panels(columns: Sequence[_TextColumn], available: int) -> list[list[_TextColumn]]:
    """Distribute columns over as many panels as it takes to stay within the width."""
    panels: list[list[_TextColumn]] = []
    used = available + 1
    for column in columns:
        needed = len(_GAP) + column.width
        if used + needed > available:
            panels.append([])
            used = 0
        panels[-1].append(column)
        used += needed
    return panels


def _text_facts(facts: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Lay out facts in two aligned columns; a long one takes lines of its own."""
    half = (width - 2 * len(_GAP)) // 2
    keys = max(len(key) for key, _ in facts)
    lines: list[str] = []
    left = ""  # a short fact that waits for another one beside it
    for key, value in facts:
        first, *more = wrap(value, max(width - keys - len(_GAP), _WRAP))
        entry = f"{key:<{keys}}{_GAP}{first}"
        if left and len(entry) <= half and not more:
            lines.append(f"{left:<{half}}{_GAP}{_GAP}{entry}")
            left = ""
            continue
        lines += [left] if left else []
        left = entry if len(entry) <= half and not more else ""
        lines += [] if left else [entry, *(" " * (keys + len(_GAP)) + line for line in more)]
    return lines + ([left] if left else [])


def to_text(table: Table) -> str:
    """Write the table as plain text, at most `TEXT_WIDTH` characters wide.

    Columns that do not fit beside the others continue in a further panel below.
    """
    columns = [_TextColumn.fit(table, index) for index in range(len(table.columns))]
    labels = [table.stub, *(row.label for group in table.groups for row in group)]
    natural = max(len(label) for label in labels)
    needed = sum(len(_GAP) + column.width for column in columns)
    label_width = min(natural, max(_LABEL_WIDTH, TEXT_WIDTH - needed))
    panels = _panels(columns, TEXT_WIDTH - label_width)
    widths = [label_width + sum(len(_GAP) + c.width for c in panel) for panel in panels]
    width = max([*widths, 64])
    lines = [*wrap(table.title, width), "=" * width]
    if table.facts:
        lines += [*_text_facts(table.facts, width), "-" * width]
    for number, panel in enumerate(panels):
        lines += ["-" * width] if number else []
        lines += _text_heading(table.stub, panel, label_width)
        for group in filter(None, table.groups):
            lines.append("-" * width)
            for row in group:
                lines += _text_row(row, panel, label_width)
    lines.append("=" * width)
    for note in table.notes:
        lines += wrap(note, width)
    return "\n".join(line.rstrip() for line in lines)
