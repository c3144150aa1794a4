"""Columns of the frame of a study."""

from __future__ import annotations

import pyarrow as pa

from ..performance.frame import FRAME_COLUMNS, RESULT_COLUMNS

_TYPES = {
    "replicate": pa.int64(),
    "converged": pa.bool_(),
    **dict.fromkeys(("method", "term", "warnings", "error", "seed"), pa.string()),
}
SCHEMA = pa.schema([(name, _TYPES.get(name, pa.float64())) for name in FRAME_COLUMNS])

#: What a method may say about a term; the rest of a row is the engine's.
NUMBERS = (
    *("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"),
    *("df", "estimand"),
)
METHOD_COLUMNS = ("term", *NUMBERS, "converged")

#: Names that no parameter of a grid can have.
RESERVED = frozenset((*FRAME_COLUMNS, *RESULT_COLUMNS, "random_state"))
