"""The border where censored durations become arrays, and where messages about them are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import validation
from ..covariance import renumbered
from ..validation.frames import check_rows, to_float
from ..validation.words import first_rows

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]

FORMS = (
    "Pass a structured array (trueness.censoring.survival_target(time, event)), a frame with "
    "columns 'time' and 'event', or durations with event=."
)


@dataclass(frozen=True)
class CensoredRows:
    """Durations of n rows, validated.

    Attributes
    ----------
    time : ndarray of shape (n,)
        Time of the event or of censoring, whichever came first.
    event : ndarray of bool of shape (n,)
        Whether it was the event.
    entry : ndarray of shape (n,), or None
        Time from which the row was under observation (left truncation).
    weight : ndarray of shape (n,), or None
        Case weights.
    clusters : ndarray of int of shape (n,) or (n, 2), or None
    """

    time: Array
    event: Mask
    entry: Array | None = None
    weight: Array | None = None
    clusters: Codes | None = None

    def __len__(self) -> int:
        return len(self.time)

    @property
    def n_events(self) -> int:
        """Count the rows with an event."""
        return int(self.event.sum())

    @property
    def n_censored(self) -> int:
        """Count the censored rows."""
        return len(self.time) - self.n_events

    @property
    def case_weight(self) -> Array:
        """Return the case weights, ones if there are none."""
        return np.ones(len(self.time)) if self.weight is None else self.weight

    def take(self, rows: Any) -> CensoredRows:
        """Return some of the rows."""
        return replace(
            self,
            time=self.time[rows],
            event=self.event[rows],
            entry=None if self.entry is None else self.entry[rows],
            weight=None if self.weight is None else self.weight[rows],
            clusters=None if self.clusters is None else renumbered(self.clusters[rows]),
        )


def survival_target(
    time: Any, event: Any, entry: Any = None, *, event_level: Any = None
) -> NDArray[Any]:
    """Put durations and events into one array that splitters and scorers keep together.

    Parameters
    ----------
    time : array-like of shape (n,)
        Time of the event or of censoring, whichever came first, in any unit; not negative.
    event : array-like of shape (n,)
        1 or True where the event was seen, 0 or False where the row was censored.
    entry : array-like of shape (n,), default=None
        Time from which the row was under observation, before ``time``.
    event_level : scalar, default=None
        The value of ``event`` that stands for the event, if it is not 0 and 1.

    Returns
    -------
    structured ndarray of shape (n,)
        Fields ``event`` (bool), ``time`` (float) and, if given, ``entry`` (float).

    Raises
    ------
    ValueError
        If durations are missing, infinite or negative, an event is not 0 or 1, or an entry is not
        before its time.

    Examples
    --------
    >>> from trueness.censoring import survival_target
    >>> y = survival_target([5.0, 2.0], [1, 0])
    >>> y["event"].tolist(), y["time"].tolist()
    ([True, False], [5.0, 2.0])
    """
    rows = read_rows(time, event, entry=entry, event_level=event_level)
    fields = [("event", np.bool_), ("time", np.float64)]
    if rows.entry is not None:
        fields.append(("entry", np.float64))
    target = np.empty(len(rows), dtype=fields)
    target["event"], target["time"] = rows.event, rows.time
    if rows.entry is not None:
        target["entry"] = rows.entry
    return target


def read_target(
    y: Any,
    event: Any = None,
    *,
    entry: Any = None,
    sample_weight: Any = None,
    clusters: Any = None,
    event_level: Any = None,
    n_rows: int | None = None,
) -> tuple[CensoredRows, bool]:
    """Return validated rows from ``y`` in any of its forms, and whether events were given.

    Durations without events are complete: nothing is censored.

    Parameters
    ----------
    y : structured array, frame, or array-like of shape (n,)
        See `survival_target`; a frame has columns ``time`` and ``event`` and perhaps ``entry``.
    event, entry, sample_weight, clusters : array-like of n rows, default=None
        Aligned with durations; ``event`` and ``entry`` only where y does not hold them itself.
    event_level : scalar, default=None
    n_rows : int, default=None
        Rows of X.

    Returns
    -------
    rows : CensoredRows
    event_given : bool

    Raises
    ------
    ValueError
        In all the cases of `survival_target`, and if y has two bare columns.
    """
    if y is None:
        raise ValueError(f"requires y to be passed, but the target y is None. {FORMS}")
    time, inside, inside_entry = _columns_of(validation.to_pandas(y))
    for name, in_y, beside in (("event", inside, event), ("entry", inside_entry, entry)):
        if in_y is not None and beside is not None:
            raise ValueError(f"{name} is given twice: in y and as {name}=. Keep one of them.")
    event = inside if event is None else event
    rows = read_rows(
        time,
        event,
        entry=inside_entry if entry is None else entry,
        sample_weight=sample_weight,
        clusters=clusters,
        event_level=event_level,
        n_rows=n_rows,
    )
    return rows, event is not None


def _columns_of(y: Any) -> tuple[Any, Any, Any]:
    """Return durations, events and entries of y, the latter two None if they are not in it."""
    names = getattr(getattr(y, "dtype", None), "names", None)
    if isinstance(y, pd.DataFrame):
        y = y.iloc[:, 0] if y.shape[1] == 1 and "event" not in y else y
    if isinstance(y, pd.DataFrame):
        for name in ("time", "event"):
            if name not in y.columns:
                raise ValueError(
                    f"y is a frame without a column {name!r}."
                    f"{validation.did_you_mean(name, y.columns)} Durations and events are found "
                    "by the names 'time' and 'event' (and 'entry'); rename the columns."
                )
        return y["time"], y["event"], y["entry"] if "entry" in y.columns else None
    if names is not None:
        return _fields_of(y, names)
    array = validation.to_array(y)
    if array.ndim == 2 and array.shape[1] == 2:
        raise ValueError(
            "y has two columns without names, so that durations and events cannot be told apart, "
            f"and scikit-learn would take them for two targets. {FORMS}"
        )
    return y, None, None


def _fields_of(y: NDArray[Any], names: tuple[str, ...]) -> tuple[Any, Any, Any]:
    """Find duration and event in a structured array by name, or the event by its type."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if "time" in names and "event" in names:
        return y["time"], y["event"], y["entry"] if "entry" in names else None
    flags = [name for name in names if y.dtype[name].kind == "b"]
    if len(names) == 2 and len(flags) == 1:  # as scikit-survival makes them
        (time,) = (name for name in names if name != flags[0])
        return y[time], y[flags[0]], None
    raise ValueError(
        f"y is a structured array with fields {', '.join(map(repr, names))}; it needs 'time' and "
        "'event', or two fields of which one is boolean, the event."
    )


def read_rows(
    time: Any,
    event: Any = None,
    *,
    entry: Any = None,
    sample_weight: Any = None,
    clusters: Any = None,
    event_level: Any = None,
    n_rows: int | None = None,
) -> CensoredRows:
    """Return validated rows from columns; see `read_target`.

    Raises
    ------
    ValueError
        See `survival_target`.
    """
    times = read_times(time, "time")
    n = len(times)
    if n_rows is not None:
        check_rows(n, n_rows, "y")
    if n == 0:
        raise ValueError("There are 0 rows (durations); at least 1 is needed.")
    events = np.ones(n, dtype=bool) if event is None else read_event(event, n, event_level)
    entries = None if entry is None else _read_entry(entry, times)
    weight = None if sample_weight is None else validation.read_weights(sample_weight, n)
    codes = None if clusters is None else validation.encode_clusters(clusters, n)
    return CensoredRows(times, events, entries, weight, codes)


def read_times(values: Any, role: str) -> Array:
    """Return times of rows: numbers, finite, not negative.

    Raises
    ------
    ValueError
    """
    if isinstance(values, np.ndarray) and values.dtype == np.float64 and values.ndim == 1:
        times = values
    else:
        length = len(values) if np.ndim(values) else 0
        if np.ndim(values) == 0:
            raise ValueError(f"{role} must be one column of durations, got a single value.")
        column = validation.read_series(values, role, length)
        if pd.api.types.is_timedelta64_dtype(column) or pd.api.types.is_datetime64_any_dtype(
            column
        ):
            raise ValueError(
                f"{role} holds dates or time spans ({column.dtype}); turn them into numbers, for "
                "example days since the start: (end - start).dt.days."
            )
        times = to_float(column, role)
    if not len(times) or (float(times.min()) >= 0.0 and np.isfinite(times.max())):
        return times
    for word, mask in (
        ("missing (NaN)", np.isnan(times)),
        ("infinity (inf)", np.isinf(times)),
    ):
        if mask.any():
            raise ValueError(
                f"{role} is {word} on {mask.sum():,} of {len(times):,} rows "
                f"({first_rows(mask)}). A row without an event holds the last time at which it "
                "was under observation, and event 0. Rows are never dropped in silence."
            )
    negative = times < 0.0
    example = times[negative][0]
    raise ValueError(
        f"{role} is negative on {negative.sum():,} of {len(times):,} rows "
        f"({first_rows(negative)}, for example {example:g}). Durations are zero or more; if the "
        "sign marks censored rows, pass their absolute values and events as a column of its own."
    )


def read_event(values: Any, n_rows: int, event_level: Any = None) -> Mask:
    """Return whether each row had its event.

    Parameters
    ----------
    values : array-like of shape (n_rows,)
        0 and 1, or booleans; with ``event_level`` anything.
    n_rows : int
    event_level : scalar, default=None
        The value that stands for the event.

    Raises
    ------
    ValueError
        If values are missing or something else.
    """
    if isinstance(values, np.ndarray) and values.shape == (n_rows,) and event_level is None:
        # The usual forms, without the detour by a series: rows may be millions.
        if values.dtype == bool:
            return values
        flags = values == 1
        if values.dtype.kind in "iuf" and (flags | (values == 0)).all():
            return flags
    column = validation.read_series(values, "event", n_rows)
    missing = column.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"event is missing on {missing.sum():,} of {n_rows:,} rows ({first_rows(missing)}). "
            "Every row either had its event (1) or was censored (0)."
        )
    levels = list(pd.unique(column))
    shown = ", ".join(repr(v.item() if hasattr(v, "item") else v) for v in levels[:6])
    shown += ", ..." if len(levels) > 6 else ""
    if event_level is not None:
        is_event = (column == event_level).to_numpy(dtype=bool)
        if not is_event.any():
            raise ValueError(f"No row has event {event_level!r}; found {shown}.")
        return is_event
    try:
        numbers = column.to_numpy(dtype=float)
    except (TypeError, ValueError):
        numbers = np.full(n_rows, np.nan)
    wrong = ~np.isin(numbers, (0.0, 1.0))
    if wrong.any():
        raise ValueError(
            f"event must be 0 (censored) or 1 (event), found {shown}; other values on "
            f"{wrong.sum():,} of {n_rows:,} rows ({first_rows(wrong)}). Say which one is the "
            "event with event_level=, or code the column as 0 and 1."
        )
    return np.asarray(numbers == 1.0)


def _read_entry(values: Any, times: Array) -> Array:
    entry = read_times(values, "entry")
    check_rows(len(entry), len(times), "entry")
    if (times == 0.0).any():
        # From the start means that a duration of zero is seen as well.
        entry = np.where(entry == 0.0, np.nextafter(0.0, -1.0), entry)
    late = entry >= times
    if late.any():
        raise ValueError(
            f"entry is not before time on {late.sum():,} of {len(times):,} rows "
            f"({first_rows(late)}). A row is under observation after its entry and until its "
            "time; one that left before it entered cannot be in the data."
        )
    return entry
