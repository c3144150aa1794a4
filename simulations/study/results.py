"""The rows of a study as a frame, and a reader for those that do not fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from .grid import Cell, labels
from .replicate import Piece
from .schema import SCHEMA
from .spans import Span, merge, missing
from .store import Store


def to_frame(
    pieces: Iterable[Piece],
    cells: Sequence[Cell],
    methods: Sequence[str],
    n_replicates: Mapping[str, int],
) -> pd.DataFrame:
    """Order rows by cell, replicate and method, and put the parameters of the grid in front.

    Parameters
    ----------
    pieces : iterable of Piece
        In any order; replicates may occur twice, and cells may be unknown.
    cells : list of Cell
    methods : list of str
    n_replicates : dict of str to int
        Replicates to keep of each cell, by its digest.
    """
    kept = list(_distinct(pieces, n_replicates))
    rank = {cell.digest: position for position, cell in enumerate(cells)}
    kept.sort(key=lambda piece: (rank[piece.cell], piece.start))
    table = pa.concat_tables([SCHEMA.empty_table(), *(piece.table for piece in kept)])
    frame: pd.DataFrame = table.to_pandas()
    sizes = [piece.table.num_rows for piece in kept]
    cell = np.repeat([rank[piece.cell] for piece in kept], sizes).astype(np.intp)
    position = frame["method"].map({name: number for number, name in enumerate(methods)})
    order = np.lexsort([position.to_numpy(), frame["replicate"].to_numpy(), cell])
    parameters = labels(cells).iloc[cell[order]].reset_index(drop=True)
    return pd.concat([parameters, frame.iloc[order].reset_index(drop=True)], axis=1)


def _distinct(pieces: Iterable[Piece], n_replicates: Mapping[str, int]) -> Iterator[Piece]:
    """Yield every wanted replicate once."""
    seen: dict[str, list[Span]] = {}
    for piece in pieces:
        stop = min(piece.stop, n_replicates.get(piece.cell, 0))
        covered = seen.setdefault(piece.cell, [])
        for span in missing((piece.start, stop), covered) if piece.start < stop else []:
            yield _cut(piece, span)
        seen[piece.cell] = merge([*covered, (piece.start, stop)])


def _cut(piece: Piece, span: Span) -> Piece:
    if span == (piece.start, piece.stop):
        return piece
    first, last = np.searchsorted(piece.table["replicate"].to_numpy(), span)
    return Piece(piece.cell, *span, piece.table.slice(first, last - first))


class StudyResults:
    """Rows of a study on disk, read cell by cell.

    Returned by `SimulationStudy.run` with ``collect=False``.

    Attributes
    ----------
    path : Path
        Directory of the study; any reader of Parquet can open ``shards`` in it.
    cells : DataFrame
        Parameters of the grid and ``n_replicates``, one row per cell.
    """

    def __init__(
        self,
        store: Store,
        cells: Sequence[Cell],
        methods: Sequence[str],
        n_replicates: Mapping[str, int],
    ) -> None:
        self._store = store
        self._cells = tuple(cells)
        self._methods = tuple(methods)
        self._n_replicates = dict(n_replicates)
        self.path: Path = store.path
        self.cells = labels(cells).assign(n_replicates=[n_replicates[c.digest] for c in cells])

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Yield the frame of one cell after the other."""
        where: dict[str, list[str]] = {cell.digest: [] for cell in self._cells}
        for shard, spans in self._store.index().items():
            for digest in {span.cell for span in spans} & set(where):
                where[digest].append(shard)
        for cell in self._cells:
            pieces = (piece for shard in where[cell.digest] for piece in self._store.read(shard))
            wanted = {cell.digest: self._n_replicates[cell.digest]}
            frame = to_frame(pieces, [cell], self._methods, wanted)
            # Types as in the whole frame: a column may be text for the sake of other cells.
            for name, column in labels(self._cells).items():
                value = column.iloc[self._cells.index(cell)]
                frame[name] = pd.Series([value] * len(frame), dtype=column.dtype)
            yield frame

    def to_frame(self) -> pd.DataFrame:
        """Return all rows, in the order of the grid."""
        pieces = (piece for shard in self._store.index() for piece in self._store.read(shard))
        return to_frame(pieces, self._cells, self._methods, self._n_replicates)

    def __repr__(self) -> str:
        n_replicates = sum(self._n_replicates.values())
        return f"StudyResults({len(self)} cells, {n_replicates:,} replicates, {str(self.path)!r})"

    __str__ = __repr__
