"""The coding sheet: it goes to the coders, and comes back with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...validation import did_you_mean, to_pandas
from .files import SampleFiles, read_table, write_table

Flags = NDArray[np.bool_]

# Spreadsheets keep fifteen digits.
ROUNDED = 1e-9
# What a sheet has beside labels and what the coder reads.
OWN = ("id", "probability", "sample")
SHORT_HASH = 16


@dataclass(frozen=True, eq=False, repr=False)
class CodingSheets(SampleFiles):
    """A `GoldSample` whose rows go to coders, and whose labels come back."""

    def coding_sheet(
        self,
        path: str | PathLike[str] | None = None,
        *,
        label: str | Sequence[str] = "label",
        show: Any = None,
        wave: int | None = None,
        random_state: Any = None,
    ) -> pd.DataFrame:
        """Return the rows to be labelled, with empty columns for the labels.

        Leave machine labels out of what coders see: labels that lean on them would not correct
        them.

        Parameters
        ----------
        path : path, default=None
            Where to write it (``.csv``, ``.csv.gz`` or ``.parquet``); not written if None.
        label : str or sequence of str, default="label"
            Columns for labels: of several variables, or of several coders.
        show : frame or series of n rows, default=None
            What the coder reads beside the id, such as the text; rows as in the frame.
        wave : int, default=None
            Only rows of this wave, counted from 1; all rows drawn if None.
        random_state : int, Generator or None
            Rows in random order, so that no two coders get tired at the same texts; in the order
            of the frame if None.

        Returns
        -------
        DataFrame
            Columns ``id``, those of ``show``, the labels, ``probability`` and ``sample`` (the
            beginning of the sample's hash), by which `read_labels` recognises the sheet.

        Raises
        ------
        ValueError
            If ``show`` does not have the rows of the frame or has a column of the sheet's own.

        Examples
        --------
        >>> from trueness.dsl import GoldSample
        >>> sample = GoldSample.simple_random(["a", "b", "c", "d"], 2, random_state=0)
        >>> sheet = sample.coding_sheet(show={"text": ["Fine.", "Bad.", "So so.", "Great!"]})
        >>> sheet[["id", "text", "label"]].to_dict("list")
        {'id': ['a', 'c'], 'text': ['Fine.', 'So so.'], 'label': ['', '']}
        """
        labels = _names(label)
        shown = self._shown(show)
        taken = [name for name in (*labels, *shown.columns) if name in OWN]
        taken += [name for name in shown.columns if name in labels]
        if taken:
            raise ValueError(f"{taken[0]!r} is a column of the coding sheet itself; rename it.")
        rows = np.flatnonzero(self._wave(wave))
        if random_state is not None:
            rows = np.random.default_rng(random_state).permutation(rows)
        sheet = pd.DataFrame(
            {"id": self.ids[rows]}
            | {name: shown[name].to_numpy()[rows] for name in shown}
            | dict.fromkeys(labels, "")
            | {"probability": self.probability[rows], "sample": self.hash[:SHORT_HASH]}
        )
        if path is not None:
            file = Path(path)
            if not file.name.lower().endswith((".csv", ".csv.gz", ".parquet")):
                raise ValueError(f"{file}: the name must end in .csv, .csv.gz or .parquet.")
            write_table(sheet, file)
        return sheet

    def read_labels(
        self,
        sheet: Any,
        *,
        label: str | Sequence[str] = "label",
        codebook: Any = None,
        wave: int | None = None,
        partial: bool = False,
    ) -> Any:
        """Return the labels of a coding sheet, aligned with the frame.

        Parameters
        ----------
        sheet : path or frame
            What came back from `coding_sheet`; further columns and the order of rows are ignored.
        label : str or sequence of str, default="label"
            Columns of labels.
        codebook : sequence or dict, default=None
            The labels that are possible; a dict replaces them, ``{"negative": -1, ...}``. Any if
            None.
        wave : int, default=None
            The sheet holds this wave only.
        partial : bool, default=False
            Whether a row is complete with any of several columns filled, as with several coders;
            otherwise all of them are needed.

        Returns
        -------
        Series of length n or DataFrame of shape (n, q)
            One label per row of the frame, missing where none was drawn: y of an estimator that
            gets the sample as ``gold_sample``. A frame for several columns. Numbers where all
            labels are.

        Raises
        ------
        ValueError
            Naming lines of the sheet and ids, if the sheet is of another sample, a probability
            was edited, an id is missing, stands twice, is unknown or was not drawn, a drawn row is
            absent or left empty, or a label is not in the codebook.

        Examples
        --------
        >>> from trueness.dsl import GoldSample
        >>> sample = GoldSample.simple_random(["a", "b", "c", "d"], 2, random_state=0)
        >>> sheet = sample.coding_sheet()
        >>> sheet["label"] = ["yes", "no"]
        >>> sample.read_labels(sheet, codebook={"yes": 1, "no": 0}).tolist()
        [1.0, nan, 0.0, nan]
        """
        labels = _names(label)
        text = tuple(("id", "sample", *(labels if codebook is not None else ())))
        if isinstance(sheet, str | PathLike):
            file = Path(sheet)
            if not file.is_file():
                raise ValueError(f"{file}: no such file.")
            source, frame = str(file), read_table(file, as_text=text)
        else:
            source, frame = "The sheet", pd.DataFrame(to_pandas(sheet)).reset_index(drop=True)
        absent = [name for name in (*OWN, *labels) if name not in frame]
        if absent:
            raise ValueError(
                f"{source} has no column {absent[0]!r}.{did_you_mean(absent[0], frame.columns)}"
            )
        if not len(frame):
            raise ValueError(f"{source} has no rows.")
        rows = self._rows_of(frame, source, wave)
        columns = {name: _cleaned(frame[name]) for name in labels}
        self._check_filled(columns, frame, source, partial=partial)
        known = {name: _coded(column, codebook, frame, source) for name, column in columns.items()}
        result = pd.DataFrame(known).set_axis(rows).reindex(range(self.n_rows))
        result = result.apply(_as_numbers)
        return result[labels[0]].rename(labels[0]) if isinstance(label, str) else result

    # --------------------------------------------------------------------------- helpers

    def _wave(self, wave: int | None) -> Flags:
        if wave is None:
            return self.drawn
        n_waves = self.wave_drawn.shape[1]
        if not 1 <= wave <= n_waves:
            raise ValueError(f"wave={wave}, but the sample has {n_waves} (counted from 1).")
        flags: Flags = self.wave_drawn[:, wave - 1]
        return flags

    def _shown(self, show: Any) -> pd.DataFrame:
        if show is None:
            return pd.DataFrame(index=range(self.n_rows))
        shown = pd.DataFrame(to_pandas(show))
        if len(shown) != self.n_rows:
            raise ValueError(
                f"show has {len(shown):,} rows, but the frame has {self.n_rows:,}; pass all rows."
            )
        return shown.rename(columns=str)

    def _rows_of(self, frame: pd.DataFrame, source: str, wave: int | None) -> NDArray[np.intp]:
        """Return the row of the frame that each line of a sheet stands for."""
        other = frame["sample"].map(str, na_action="ignore") != self.hash[:SHORT_HASH]
        _refuse(other, frame, source, "of another sample (the column 'sample' differs)", "lines")
        no_id = frame["id"].isna() | (frame["id"].map(str) == "")
        _refuse(no_id, frame, source, "without an id", "lines")
        ids = frame["id"].map(str).str.strip()
        _refuse(ids.duplicated(keep=False), frame, source, "on which an id stands twice")
        rows = pd.Index([str(one) for one in self.ids.tolist()]).get_indexer(pd.Index(ids))
        _refuse(rows < 0, frame, source, "with an id that is not in the frame of the sample")
        drawn = self._wave(wave)
        _refuse(
            ~drawn[rows],
            frame,
            source,
            "that were not drawn" + ("" if wave is None else f" in wave {wave}"),
            advice="Labels from outside the sample have no known probability; take them out.",
        )
        stated = pd.to_numeric(frame["probability"], errors="coerce").to_numpy(dtype=float)
        own = self.probability[rows]
        edited = ~(np.abs(stated - own) <= ROUNDED * own)
        _refuse(edited, frame, source, "whose probability was edited")
        left_out = drawn.copy()
        left_out[rows] = False
        if left_out.any():
            few = ", ".join(repr(one) for one in self.ids[left_out][:5].tolist())
            more = ", ..." if left_out.sum() > 5 else ""
            raise ValueError(
                f"{source} lacks {left_out.sum():,} of {drawn.sum():,} rows that were drawn (ids "
                f"{few}{more}). Leaving out what is hard to label biases the estimates."
            )
        return rows.astype(np.intp)

    def _check_filled(
        self,
        columns: dict[str, pd.Series[Any]],
        frame: pd.DataFrame,
        source: str,
        *,
        partial: bool,
    ) -> None:
        empty = pd.DataFrame({name: column.isna() for name, column in columns.items()})
        missing = empty.all(axis=1) if partial else empty.any(axis=1)
        _refuse(
            missing,
            frame,
            source,
            "that were drawn but have no label",
            advice="Label them; if they cannot be labelled, draw from the rows that can.",
        )


def _names(label: str | Sequence[str]) -> list[str]:
    names = [label] if isinstance(label, str) else list(label)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"label={label!r} must name columns, each once.")
    return names


def _refuse(
    mask: Any, frame: pd.DataFrame, source: str, problem: str, noun: str = "rows", advice: str = ""
) -> None:
    """Raise if a problem has lines, naming the first of them as a spreadsheet counts them."""
    lines = np.flatnonzero(np.asarray(mask, dtype=bool))
    if not len(lines):
        return
    ids = frame["id"].iloc[lines[:3]].tolist()
    shown = ", ".join(
        f"line {line + 2} (id {one!r})" for line, one in zip(lines[:3], ids, strict=True)
    )
    more = ", ..." if len(lines) > 3 else ""
    ending = f" {advice}" if advice else ""
    raise ValueError(f"{source} has {len(lines):,} {noun} {problem}: {shown}{more}.{ending}")


def _cleaned(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return labels with blanks cut off and empty ones missing."""
    stripped = column.map(lambda value: value.strip() if isinstance(value, str) else value)
    return stripped.mask(stripped.map(lambda value: isinstance(value, str) and value == ""))


def _coded(
    column: pd.Series[Any], codebook: Any, frame: pd.DataFrame, source: str
) -> pd.Series[Any]:
    """Return labels in terms of the codebook."""
    if codebook is None:
        return column
    if isinstance(codebook, str) or not isinstance(codebook, Mapping | Sequence | np.ndarray):
        raise ValueError(f"codebook={codebook!r} must be a list of labels, or a dict.")
    values = dict(codebook) if isinstance(codebook, Mapping) else {one: one for one in codebook}
    by_text = {_text(one): value for one, value in values.items()}
    text = column.map(_text, na_action="ignore")
    outside = text.notna() & ~text.isin(list(by_text))
    if outside.any():
        first = str(text[outside].iloc[0])
        _refuse(
            outside,
            frame,
            source,
            f"whose label in {column.name!r} is not in the codebook ({first!r}, for example)",
            advice=did_you_mean(first, by_text).strip(),
        )
    return text.map(by_text)


def _text(value: Any) -> str:
    """Return a label as text; numbers in one form, whether written 1, 1.0 or "1"."""
    text = str(value).strip()
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def _as_numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return numbers where all labels are numbers."""
    numbers = pd.to_numeric(column, errors="coerce")
    is_numeric = numbers.notna() == column.notna()
    return numbers.astype(float) if is_numeric.all() else column.astype(object)
