"""Checkpoints: Parquet shards that are written once, whole, under the hash of their content."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .fingerprint import differences
from .replicate import Piece
from .schema import SCHEMA

FORMAT = "trueness.SimulationStudy/1"
_METADATA = b"trueness.study"
# Left behind by a process that was killed while it wrote.
_STALE_SECONDS = 3600.0


class Stored(NamedTuple):
    """Consecutive replicates of one cell in a shard."""

    cell: str
    start: int
    stop: int
    n_rows: int


class Store:
    """The directory of a study.

    ``study.json`` says what the numbers depend on. ``shards/`` holds the rows; the name of a shard
    is the SHA-256 of its content, so that damage shows, and no two processes ever write different
    things to one name. Shards of several processes, or copied from several machines, add up;
    replicates that were run twice count once. Nothing is locked: a process that dies holds nobody
    up, and network file systems have no locks to trust.

    Parameters
    ----------
    path : path
        Directory, made if there is none.
    key : dict of str to str
        What the numbers depend on, by name.

    Raises
    ------
    ValueError
        If the directory holds a study with another key.
    """

    def __init__(self, path: Path, key: Mapping[str, str]) -> None:
        self.path = path
        self._shards = path / "shards"
        self._digest = _sha256(json.dumps(dict(key), sort_keys=True).encode())
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} is a file; a study is kept in a directory.")
        self._shards.mkdir(parents=True, exist_ok=True)
        _remove_stale(self._shards)
        self._check_key(key)

    def _check_key(self, key: Mapping[str, str]) -> None:
        file = self.path / "study.json"
        found = _read_key(file)
        if found is None:
            content = {"format": FORMAT, "key": dict(key)}
            _write_whole(file, json.dumps(content, indent=1).encode())
            return
        if different := differences(found, key):
            raise ValueError(
                f"{self.path} holds another study; what differs:\n"
                + "".join(f"  {line}\n" for line in different)
                + "Its numbers are not those that this study would give. Choose another path, or "
                "delete that directory."
            )

    # ------------------------------------------------------------------------------- writing

    def write(self, pieces: Sequence[Piece], parameters: pd.DataFrame) -> None:
        """Write one shard.

        Parameters
        ----------
        pieces : list of Piece
        parameters : DataFrame
            Parameters of the grid by the digest of the cell: columns of the shard, for readers of
            Parquet that know nothing of studies.

        Raises
        ------
        OSError
            If it cannot be written, say because the disk is full. No part of it stays.
        """
        rows = pa.concat_tables(piece.table for piece in pieces)
        sizes = [piece.table.num_rows for piece in pieces]
        cells = parameters.loc[np.repeat([piece.cell for piece in pieces], sizes)]
        for position, name in enumerate(parameters.columns):
            column = pa.Array.from_pandas(cells[name].reset_index(drop=True))
            rows = rows.add_column(position, name, column)
        spans = [Stored(p.cell, p.start, p.stop, p.table.num_rows) for p in pieces]
        facts = {"format": FORMAT, "key": self._digest, "spans": spans}
        rows = rows.replace_schema_metadata({_METADATA: json.dumps(facts)})
        buffer = pa.BufferOutputStream()
        pq.write_table(rows, buffer, compression="zstd")
        content = buffer.getvalue().to_pybytes()
        _write_whole(self._shards / f"shard-{_sha256(content)}.parquet", content)

    # ------------------------------------------------------------------------------- reading

    def index(self) -> dict[str, list[Stored]]:
        """Return what each sound shard holds; set damaged ones aside, with a warning.

        Raises
        ------
        ValueError
            If there are shards of another study.
        """
        found: dict[str, list[Stored]] = {}
        n_damaged = 0
        for file in sorted(self._shards.glob("shard-*.parquet")):
            content = _sound_content(file)
            if content is None:
                n_damaged += self._set_aside(file)
            else:
                found[file.name] = self._spans(file, pq.read_schema(pa.BufferReader(content)))
        if n_damaged:
            warnings.warn(
                f"{n_damaged} damaged shard{'s' * (n_damaged > 1)} of {self._shards} set aside in "
                f"{self.path / 'damaged'}; the replicates are run again.",
                UserWarning,
                stacklevel=2,
            )
        return found

    def read(self, name: str) -> Iterator[Piece]:
        """Yield the pieces of a shard.

        Raises
        ------
        OSError
            If the shard was damaged after it was indexed.
        """
        file = self._shards / name
        content = _sound_content(file)
        if content is None:
            raise OSError(errno.EIO, "A shard was damaged meanwhile; run again", str(file))
        table = pq.read_table(pa.BufferReader(content))
        spans = self._spans(file, table.schema)
        table = table.select(SCHEMA.names).cast(SCHEMA)
        first = 0
        for cell, start, stop, n_rows in spans:
            yield Piece(cell, start, stop, table.slice(first, n_rows))
            first += n_rows

    def _spans(self, file: Path, schema: Any) -> list[Stored]:
        facts = json.loads((schema.metadata or {}).get(_METADATA, b"{}"))
        if facts.get("format") != FORMAT or facts["key"] != self._digest:
            raise ValueError(f"{file} is a shard of another study; move it out of this directory.")
        return [Stored(*span) for span in facts["spans"]]

    def _set_aside(self, file: Path) -> bool:
        (self.path / "damaged").mkdir(exist_ok=True)
        try:
            os.replace(file, self.path / "damaged" / file.name)
        except FileNotFoundError:  # another process was faster
            return False
        return True


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:40]


def _sound_content(file: Path) -> bytes | None:
    """Return the content of a shard if it has the hash that is its name."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    return content if file.name == f"shard-{_sha256(content)}.parquet" else None


def _read_key(file: Path) -> dict[str, str] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] == FORMAT:
            return dict(content["key"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(
        f"{file} is damaged or not that of a study. If the shards beside it are of this study, "
        "delete that file and run again; every shard is checked."
    )


def _write_whole(target: Path, content: bytes) -> None:
    """Write a file that is there entirely or not at all, whenever the process or machine stops."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_directory(target.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(
            error.errno,
            f"A checkpoint could not be written ({error.strerror}). What was written before is "
            "safe: make room and run the study again, it goes on from there",
            str(target),
        ) from error


def _sync_directory(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_stale(folder: Path) -> None:
    for file in folder.glob(".*.tmp"):
        try:
            if time.time() - file.stat().st_mtime > _STALE_SECONDS:
                file.unlink(missing_ok=True)
        except FileNotFoundError:  # renamed by the process that writes it
            continue
