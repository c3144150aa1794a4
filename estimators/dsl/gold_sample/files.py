"""Gold samples as files: the table of all rows, and beside it what describes the draw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .frame import Levels
from .record import SampleRecord

FORMAT = "trueness.GoldSample/1"
COLUMNS = ("id", "drawn", "probability")
SUFFIXES = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True, eq=False, repr=False)
class SampleFiles(SampleRecord):
    """A `GoldSample` that is written to files and comes back from them unchanged."""

    def save(self, path: str | PathLike[str]) -> None:
        """Write the sample as a table for people, and its design as JSON beside it.

        The table is `to_frame`: a row for each row of the frame, drawn or not. The JSON file has
        the same name but for its ending, and holds the kind of draw, its seed and parameters, and
        the hash that `load` checks the table against.

        Parameters
        ----------
        path : path
            Ends in ``.csv``, ``.csv.gz`` or ``.parquet``.

        Raises
        ------
        ValueError
            If the name ends otherwise.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from trueness.dsl import GoldSample
        >>> sample = GoldSample.simple_random(["a", "b", "c", "d"], 2, random_state=0)
        >>> with TemporaryDirectory() as folder:
        ...     sample.save(Path(folder) / "sample.csv")
        ...     names = sorted(path.name for path in Path(folder).iterdir())
        ...     again = GoldSample.load(Path(folder) / "sample.csv")
        >>> names, again.hash == sample.hash
        (['sample.csv', 'sample.json'], True)
        """
        table, facts = paths_of(path)
        frame = self.to_frame()
        for name, levels in (("stratum", self.strata), ("unit", self.units)):
            if levels is not None and any(one is not plain(one) for one in levels.names.tolist()):
                frame[name] = frame[name].map(str)  # dates, say
        write_table(frame, table)
        facts.write_text(json.dumps(self._facts(), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
            Of the table; the JSON file is looked for beside it.

        Returns
        -------
        GoldSample

        Raises
        ------
        ValueError
            If a file is missing, was not written by `save`, or the table was changed since: its
            ids, strata, units, probabilities, or what was drawn.
        """
        table, facts = paths_of(path)
        for file in (table, facts):
            if not file.is_file():
                raise ValueError(
                    f"{file}: no such file. A gold sample is a table and, beside it, the JSON file "
                    "of the same name."
                )
        try:
            known: dict[str, Any] = json.loads(facts.read_text(encoding="utf-8"))
            recognised = known["format"] == FORMAT
        except (ValueError, KeyError, TypeError):
            recognised = False
        if not recognised:
            raise ValueError(f"{facts} does not describe a gold sample saved by this package.")
        frame = read_table(table, as_text=("id", "stratum", "unit"))
        sample = cls(**_fields(frame, known, table))
        if sample.hash != known["hash"]:
            raise ValueError(
                f"{table} was changed since it was saved: ids, strata, units, probabilities or "
                "draws are not those of the sample. Take the file as it was written; labels "
                "belong on a coding sheet, which read_labels reads."
            )
        return sample

    def _facts(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "hash": self.hash,
            "kind": self.kind,
            "is_fixed": self.is_fixed,
            "seed": self.seed,
            "settings": {name: plain(value) for name, value in self.settings},
            "n_rows": self.n_rows,
            "n_drawn": self.n_drawn,
            "n_waves": self.wave_drawn.shape[1],
            "wave_weights": None if self.wave_weights is None else self.wave_weights.tolist(),
            "has_whole_numbers_as_ids": bool(np.issubdtype(self.ids.dtype, np.integer)),
            "strata": None if self.strata is None else _names(self.strata),
            "units": None if self.units is None else _names(self.units),
            "is_staged": self.unit_probability is not None,
            "has_folds": self.folds is not None,
        }


def paths_of(path: str | PathLike[str]) -> tuple[Path, Path]:
    """Return the paths of the table and of the JSON file beside it."""
    table = Path(path)
    for suffix in SUFFIXES:
        if table.name.lower().endswith(suffix):
            return table, table.with_name(table.name[: -len(suffix)] + ".json")
    raise ValueError(f"{table}: the name must end in {', '.join(SUFFIXES)}.")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table; numbers in full precision."""
    if path.suffix.lower() == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)


def read_table(path: Path, as_text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a table; some columns as they are written, without turning 007 into 7.

    Semicolons, which spreadsheets of many countries write, are understood.
    """
    if path.suffix.lower() == ".parquet":
        frame = pd.read_parquet(path)
        for name in as_text:
            if name in frame:
                frame[name] = frame[name].map(str, na_action="ignore")
        return frame
    options: dict[str, Any] = {
        "dtype": dict.fromkeys(as_text, str),
        "float_precision": "round_trip",
        "encoding": "utf-8-sig",
        "keep_default_na": False,
        "na_values": [""],
    }
    frame = pd.read_csv(path, **options)
    if frame.shape[1] == 1 and ";" in str(frame.columns[0]):
        frame = pd.read_csv(path, sep=";", decimal=",", **(options | {"float_precision": None}))
    return frame


def plain(value: Any) -> Any:
    """Return a value that JSON knows."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str | type(None)) else str(value)


def _names(levels: Levels) -> list[Any]:
    return [plain(name) for name in levels.names.tolist()]


def _fields(frame: pd.DataFrame, known: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the fields of a sample from its table and its facts."""
    n_waves = int(known["n_waves"])
    waves = range(1, n_waves + 1)
    wanted = list(COLUMNS)
    wanted += [name for name, of in (("stratum", "strata"), ("unit", "units")) if known[of]]
    wanted += ["unit_probability"] if known["is_staged"] else []
    wanted += ["fold"] if known["has_folds"] else []
    if n_waves > 1:
        wanted += [f"{name}_{wave}" for name in ("probability", "drawn") for wave in waves]
    absent = [name for name in wanted if name not in frame]
    if absent or len(frame) != known["n_rows"]:
        problem = (
            f"has no column {absent[0]!r}"
            if absent
            else f"has {len(frame):,} rows instead of {known['n_rows']:,}"
        )
        raise ValueError(f"{path} was changed since it was saved: it {problem}.")
    try:
        numbers = {
            name: frame[name].to_numpy(dtype=float) for name in wanted if "probability" in name
        }
        flags = {name: _flags(frame[name]) for name in wanted if name.startswith("drawn")}
        ids: NDArray[Any] = frame["id"].to_numpy(dtype=object)
        if known["has_whole_numbers_as_ids"]:
            ids = ids.astype(np.int64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} was changed since it was saved: {error}") from None
    many = n_waves > 1
    return {
        "ids": ids,
        "probability": numbers["probability"],
        "wave_probability": np.column_stack(
            [numbers[f"probability_{wave}" if many else "probability"] for wave in waves]
        ),
        "wave_drawn": np.column_stack(
            [flags[f"drawn_{wave}" if many else "drawn"] for wave in waves]
        ),
        "kind": known["kind"],
        "is_fixed": known["is_fixed"],
        "strata": _levels(frame, "stratum", known["strata"], path),
        "units": _levels(frame, "unit", known["units"], path),
        "unit_probability": numbers.get("unit_probability"),
        "settings": tuple(known["settings"].items()),
        "seed": known["seed"],
        "folds": frame["fold"].to_numpy(dtype=np.intp) if known["has_folds"] else None,
        "wave_weights": None if known["wave_weights"] is None else np.array(known["wave_weights"]),
    }


def _flags(column: pd.Series[Any]) -> NDArray[np.bool_]:
    if column.dtype == bool:
        return column.to_numpy()
    values = column.map({"True": True, "False": False, "TRUE": True, "FALSE": False})
    if values.isna().any():
        raise ValueError(f"column {column.name!r} must be True or False on every row.")
    return values.to_numpy(dtype=bool)


def _levels(frame: pd.DataFrame, name: str, names: list[Any] | None, path: Path) -> Levels | None:
    if names is None:
        return None
    codes = pd.Index([str(one) for one in names]).get_indexer(pd.Index(frame[name].fillna("")))
    if (codes < 0).any():
        at = int(np.flatnonzero(codes < 0)[0])
        raise ValueError(
            f"{path} was changed since it was saved: {name} {frame[name].iloc[at]!r} on row {at} "
            "is not one of the sample's."
        )
    return Levels(codes.astype(np.intp), np.array(names, dtype=object))
