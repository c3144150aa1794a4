"""Sets of replicates as sorted, disjoint intervals."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def merge(spans: Iterable[Span]) -> list[Span]:
    """Return the union of intervals, sorted and disjoint.

    Examples
    --------
    >>> from trueness.simulations.study.spans import merge
    >>> merge([(6, 9), (0, 3), (2, 4), (4, 5)])
    [(0, 5), (6, 9)]
    """
    merged: list[Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        elif start < stop:
            merged.append((start, stop))
    return merged


def missing(span: Span, covered: Iterable[Span]) -> list[Span]:
    """Return the parts of an interval that no other covers.

    Examples
    --------
    >>> from trueness.simulations.study.spans import missing
    >>> missing((0, 10), [(2, 4), (4, 6), (8, 20)])
    [(0, 2), (6, 8)]
    """
    position, end = span
    gaps = []
    for start, stop in merge(covered):
        if position < min(start, end):
            gaps.append((position, min(start, end)))
        position = max(position, stop)
    if position < end:
        gaps.append((position, end))
    return gaps
