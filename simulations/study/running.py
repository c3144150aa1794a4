"""Running a study: which replicates are missing, and where their rows go."""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import cloudpickle
import numpy as np
from tqdm import tqdm

from .backends import Workers
from .design import Design
from .fingerprint import local_modules, package_versions
from .grid import Cell, labels
from .isolation import isolated
from .planning import Planner
from .replicate import Piece
from .spans import Span, merge, missing
from .stopping import StoppingRule
from .store import Store


class Run:
    """One run of a study, from what is known already to the last replicate.

    Parameters
    ----------
    design : Design
    cells : list of Cell
    entropy : int
        Random state of the study.
    n_replicates : int
        Of each cell, at most.
    rule : StoppingRule or None
    store : Store or None
        Where rows go; they stay in memory if None.
    checkpoint_seconds : float
        Time between two shards.

    Attributes
    ----------
    pieces : list of Piece
        Rows kept in memory.
    """

    def __init__(
        self,
        design: Design,
        cells: Sequence[Cell],
        entropy: int,
        *,
        n_replicates: int,
        rule: StoppingRule | None,
        store: Store | None,
        checkpoint_seconds: float,
    ) -> None:
        self.pieces: list[Piece] = []
        self._design = design
        self._cells = cells
        self._entropy = entropy
        self._n_replicates = n_replicates
        self._rule = rule
        self._store = store
        self._checkpoint_seconds = checkpoint_seconds
        self._parameters = labels(cells).set_axis([cell.digest for cell in cells])
        self._done: dict[str, list[Span]] = {cell.digest: [] for cell in cells}
        if store is not None:
            self._resume(store)

    def n_wanted(self) -> dict[str, int]:
        """Return how many replicates each cell should have, as far as is known."""
        rule = self._rule
        return {
            cell.digest: self._n_replicates if rule is None else rule.n_wanted(cell.digest)
            for cell in self._cells
        }

    def missing(self) -> list[tuple[Cell, Span]]:
        """Return the replicates to run, in the order of the grid."""
        wanted = self.n_wanted()
        return [
            (cell, span)
            for cell in self._cells
            for span in missing((0, wanted[cell.digest]), self._done[cell.digest])
        ]

    def complete(self, workers: Workers, *, progress: bool) -> None:
        """Run what is missing; a stopping rule may want more after having seen it."""
        design = self._design if workers.in_process else pickled(self._design)
        n_total = len(self._cells) * self._n_replicates
        surroundings = isolated() if workers.in_process else nullcontext()
        with surroundings, _bar(progress, n_total, self._n_done()) as advance:
            buffer = _Buffer(self._keep, self._checkpoint_seconds)
            try:
                while spans := self.missing():
                    planner = Planner(design, self._entropy, spans, workers.n_workers)
                    for piece, seconds in workers.run(planner.tasks()):
                        planner.learn(piece, seconds)
                        self._count(piece)
                        buffer.add(piece)
                        n_failed = np.count_nonzero(piece.table["error"].to_numpy() != "")
                        advance(piece.stop - piece.start, int(n_failed))
            finally:  # what is finished is kept, whatever happened
                buffer.flush()

    def _resume(self, store: Store) -> None:
        for shard, spans in store.index().items():
            for span in spans:
                if span.cell in self._done:
                    known = self._done[span.cell]
                    self._done[span.cell] = merge([*known, (span.start, span.stop)])
            if self._rule is not None:
                for piece in store.read(shard):
                    self._rule.add(piece)

    def _count(self, piece: Piece) -> None:
        self._done[piece.cell] = merge([*self._done[piece.cell], (piece.start, piece.stop)])
        if self._rule is not None:
            self._rule.add(piece)

    def _n_done(self) -> int:
        spans = (span for spans in self._done.values() for span in spans)
        return sum(min(stop, self._n_replicates) - start for start, stop in spans)

    def _keep(self, pieces: list[Piece]) -> None:
        if self._store is None:
            self.pieces += pieces
        else:
            self._store.write(pieces, self._parameters)


class _Buffer:
    """Holds finished pieces back until it is time for a checkpoint."""

    def __init__(self, keep: Any, seconds: float) -> None:
        self._keep = keep
        self._seconds = seconds
        self._pieces: list[Piece] = []
        self._flushed = time.monotonic()

    def add(self, piece: Piece) -> None:
        self._pieces.append(piece)
        if time.monotonic() - self._flushed >= self._seconds:
            self.flush()

    def flush(self) -> None:
        # Emptied first: what could not be written once is not tried again on the way out.
        pieces, self._pieces = self._pieces, []
        if pieces:
            self._keep(pieces)
        self._flushed = time.monotonic()


def pickled(design: Design) -> bytes:
    """Pickle a design for workers that may know nothing of the study's folder.

    Raises
    ------
    TypeError
        If something in it cannot be pickled; says which part.
    """
    modules = local_modules(design)
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        parts: dict[str, Any] = {"generate": design.generate}
        parts |= {f"method {name!r}": method for name, method in design.methods.items()}
        for name, part in parts.items():
            _try_to_pickle(name, part)
        content: bytes = pickle.dumps(package_versions()) + cloudpickle.dumps(design)
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
    return content


def _try_to_pickle(name: str, part: Any) -> None:
    try:
        cloudpickle.dumps(part)
    except Exception as error:  # pickling fails in as many ways as there are objects
        raise TypeError(
            f"{name} cannot be sent to other processes: {type(error).__name__}: {error}. Functions "
            "and lambdas can, but not the open files, locks, generators or connections that they "
            "refer to: create those inside the function. Or run with n_jobs=1 or "
            "backend='threading'."
        ) from error


@contextmanager
def _bar(progress: bool, n_total: int, n_done: int) -> Iterator[Callable[[int, int], None]]:
    """Yield what to call with the replicates and the failures that came."""
    if not progress:
        yield lambda n_new, n_failed: None
        return
    on_screen = sys.stderr.isatty()  # a log is no screen
    with tqdm(
        total=n_total,
        initial=n_done,
        unit=" replicates",
        mininterval=0.2 if on_screen else 30.0,
        ascii=None if on_screen else True,
    ) as bar:
        n_failures = 0

        def advance(n_new: int, n_failed: int) -> None:
            nonlocal n_failures
            n_failures += n_failed
            bar.set_postfix(failures=n_failures, refresh=False)
            bar.update(n_new)

        yield advance
