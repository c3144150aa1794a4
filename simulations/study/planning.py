"""Which replicates go together into one task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .design import Design
from .grid import Cell
from .replicate import Piece, Task
from .spans import Span

# Long beside the milliseconds that a task costs, short beside the time between checkpoints.
TASK_SECONDS = 0.5


class Planner:
    """Deals out replicates in tasks of about half a second.

    The size of a task follows the seconds that the replicates of its cell took so far. Towards
    the end tasks shrink, so that all workers finish together. No number depends on it.

    Parameters
    ----------
    design : Design or bytes
    entropy : int
        Random state of the study.
    spans : list of (Cell, (start, stop))
        Replicates to run, in this order.
    n_workers : int
        Workers to keep busy.
    """

    def __init__(
        self,
        design: Design | bytes,
        entropy: int,
        spans: Sequence[tuple[Cell, Span]],
        n_workers: int,
    ) -> None:
        self._design = design
        self._entropy = entropy
        self._spans = spans
        self._n_workers = n_workers
        self._remaining = sum(stop - start for _, (start, stop) in spans)
        self._seconds: dict[str, float] = {}

    def tasks(self) -> Iterator[Task]:
        """Yield the tasks; the size of each is settled when it is asked for."""
        for cell, (start, stop) in self._spans:
            while start < stop:
                end = min(stop, start + self._size(cell.digest))
                self._remaining -= end - start
                yield Task(self._design, cell, self._entropy, start, end)
                start = end

    def learn(self, piece: Piece, seconds: float) -> None:
        """Take note of how long a task took."""
        self._seconds[piece.cell] = seconds / (piece.stop - piece.start)

    def _size(self, cell: str) -> int:
        if not self._seconds:
            return 1
        # list(): another thread may learn meanwhile.
        expected = self._seconds.get(cell, max(list(self._seconds.values())))
        fair = math.ceil(self._remaining / (2 * self._n_workers))
        return max(1, min(fair, int(TASK_SECONDS / max(expected, 1e-6))))
