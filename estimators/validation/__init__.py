"""The border where user input becomes arrays and names, and where messages about data are made.

Frames may be pandas, polars, Arrow or anything else that narwhals reads; matrices may be numpy or
scipy sparse. Behind this module there are only float64 arrays, integer codes and lists of names.
"""

from .aligned import (
    MAX_LEVELS,
    Features,
    encode_clusters,
    encode_effects,
    read_features,
    read_probability,
    read_weights,
)
from .frames import (
    as_frame,
    check_finite,
    check_not_infinite,
    column_positions,
    dense_or_frame,
    read_series,
    select_columns,
    to_array,
    to_float,
    to_pandas,
)
from .outcomes import read_classes, read_outcome
from .words import check_level, did_you_mean, first_rows

__all__ = [
    "MAX_LEVELS",
    "Features",
    "as_frame",
    "check_finite",
    "check_level",
    "check_not_infinite",
    "column_positions",
    "dense_or_frame",
    "did_you_mean",
    "encode_clusters",
    "encode_effects",
    "first_rows",
    "read_classes",
    "read_features",
    "read_outcome",
    "read_probability",
    "read_series",
    "read_weights",
    "select_columns",
    "to_array",
    "to_float",
    "to_pandas",
]
