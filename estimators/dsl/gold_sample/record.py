"""What a gold sample carries: the draw of every row, its fingerprint, its tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..numerics.design import SamplingDesign
from .frame import Levels, frozen, one_group

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]

KINDS = {
    "poisson": "independent draws",
    "simple_random": "simple random",
    "stratified": "stratified simple random",
    "clusters": "whole units",
    "two_stage": "rows within drawn units",
    "unequal": "unequal probabilities",
    "stated": "as stated",
    "waves": "independent draws in waves",
}
# Strata shown in a summary.
MOST_STRATA = 12


@dataclass(frozen=True, eq=False, repr=False)
class SampleRecord:
    """What `GoldSample` knows of every row of its frame, and how it shows it."""

    ids: NDArray[Any]
    probability: Array
    wave_probability: Array
    wave_drawn: Flags
    kind: str
    is_fixed: bool
    strata: Levels | None = None
    units: Levels | None = None
    unit_probability: Array | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    seed: int | None = None
    folds: Codes | None = None
    wave_weights: Array | None = None

    def __post_init__(self) -> None:
        frozen(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Arrays come back from pickles writeable.
        self.__dict__.update(state)
        frozen(self)

    @classmethod
    def _of(cls, ids: NDArray[Any], probability: Array, drawn: Flags, **fields: Any) -> Self:
        """Return a sample drawn in one wave."""
        return cls(
            ids=ids,
            probability=probability,
            wave_probability=probability[:, None],
            wave_drawn=drawn[:, None],
            **{"is_fixed": True} | fields,
        )

    @property
    def n_rows(self) -> int:
        """Number of rows of the frame."""
        return len(self.ids)

    @cached_property
    def drawn(self) -> Flags:
        """Whether each row was drawn in any wave, shape (n,)."""
        drawn = np.asarray(self.wave_drawn.any(axis=1))
        drawn.flags.writeable = False
        return drawn

    @property
    def n_drawn(self) -> int:
        """Number of rows drawn."""
        return int(self.drawn.sum())

    @property
    def label_probability(self) -> Array:
        r"""One over the weight of a label: the probability, but after weighted waves, shape (n,).

        With weights :math:`a_t` of waves (see `next_wave`) a row labelled in wave s has
        :math:`w_i = a_s / p_{si} + \sum_{t > s} a_t`, and this is :math:`1 / w_i`.
        """
        if self.wave_weights is None:
            return self.probability
        wave = self.wave_drawn.argmax(axis=1)
        own = np.take_along_axis(self.wave_probability, wave[:, None], axis=1)[:, 0]
        later = np.append(np.cumsum(self.wave_weights[::-1])[::-1][1:], 0.0)
        weight = self.wave_weights[wave] / own + later[wave]
        return np.where(self.drawn, 1.0 / weight, self.probability)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the draw was asked for."""
        return dict(self.settings)

    @property
    def effective_labels(self) -> float:
        r""":math:`(\sum w_i)^2 / \sum w_i^2` over the rows drawn, with :math:`w_i = 1/\pi_i`."""
        weight = 1.0 / self.label_probability[self.drawn]
        return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0

    @cached_property
    def hash(self) -> str:
        """SHA-256 of ids, strata, units, all probabilities, and what was drawn."""
        digest = sha256(f"{self.is_fixed} {self.wave_drawn.shape}".encode())
        _add_texts(digest, self.ids)
        digest.update(np.packbits(self.wave_drawn).tobytes())
        for values in (self.probability, self.wave_probability, self.unit_probability):
            digest.update(b"-" if values is None else values.astype("<f8").tobytes())
        for levels in (self.strata, self.units):
            if levels is None:
                digest.update(b"-")
            else:
                # Whatever order the names are in, the same rows belong together.
                codes, order = pd.factorize(levels.codes)
                digest.update(codes.astype("<i8").tobytes())
                _add_texts(digest, levels.names[order])
        for more in (self.folds, self.wave_weights):
            if more is not None:
                digest.update(more.astype("<f8").tobytes())
        return digest.hexdigest()

    def design(self) -> SamplingDesign:
        """Return what the variance needs to know of the draw."""
        return SamplingDesign(
            probability=self.label_probability,
            is_fixed=self.is_fixed,
            groups=None if self.strata is None else self.strata.codes,
            units=None if self.units is None else self.units.codes,
            unit_probability=self.unit_probability,
        )

    def by_stratum(self) -> pd.DataFrame:
        """Return how many units and rows there are, and how many were drawn, in each stratum.

        Returns
        -------
        DataFrame
            Columns ``stratum``, ``n_units`` (:math:`N_g`), ``n_units_drawn`` (:math:`n_g`),
            ``n_rows``, ``n_drawn`` and ``mean_probability`` (of rows).
        """
        strata = self.strata or one_group(self.n_rows)
        rows = strata.sizes
        n_drawn = np.bincount(strata.codes, self.drawn).astype(int)
        n_units, n_units_drawn = rows, n_drawn
        if self.units is not None:
            group = strata.codes[self.units.first()]
            has_drawn = np.bincount(self.units.codes, self.drawn) > 0
            n_units = np.bincount(group, minlength=len(rows))
            n_units_drawn = np.bincount(group, has_drawn, minlength=len(rows)).astype(int)
        return pd.DataFrame(
            {
                "stratum": strata.names,
                "n_units": n_units,
                "n_units_drawn": n_units_drawn,
                "n_rows": rows,
                "n_drawn": n_drawn,
                "mean_probability": np.bincount(strata.codes, self.probability) / rows,
            }
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per row of the frame, drawn or not.

        Returns
        -------
        DataFrame
            Columns ``id``, ``drawn``, ``probability``; with strata ``stratum``; with units
            ``unit``, and if rows were drawn within them ``unit_probability`` and
            ``probability_within``; with several waves ``probability_1``, ``drawn_1``, ..., and
            ``fold`` if waves have folds.
        """
        columns: dict[str, Any] = {
            "id": self.ids,
            "drawn": self.drawn,
            "probability": self.probability,
        }
        for name, levels in (("stratum", self.strata), ("unit", self.units)):
            if levels is not None:
                columns[name] = pd.Series(levels.names[levels.codes]).infer_objects()
        if self.unit_probability is not None:
            columns["unit_probability"] = self.unit_probability
            columns["probability_within"] = self.probability / self.unit_probability
        if self.wave_drawn.shape[1] > 1:
            for wave in range(self.wave_drawn.shape[1]):
                columns[f"probability_{wave + 1}"] = self.wave_probability[:, wave]
                columns[f"drawn_{wave + 1}"] = self.wave_drawn[:, wave]
        if self.folds is not None:
            columns["fold"] = self.folds
        return pd.DataFrame(columns)

    def summary(self) -> str:
        """Return the draw in words and numbers, with a table of the strata."""
        low, high = self.probability.min(), self.probability.max()
        certain = int((self.probability == 1.0).sum())
        spread = f"{low:.4g} on every row" if high - low < 1e-12 else f"{low:.4g} to {high:.4g}"
        facts = {
            "draw": self._described(),
            "probability": spread + (f" ({certain:,} rows are certain)" if certain else ""),
            "effective labels": f"{self.effective_labels:,.1f}",
            "seed": "none" if self.seed is None else str(self.seed),
            "hash": self.hash[:16],
        }
        lines = [f"GoldSample: {self.n_drawn:,} of {self.n_rows:,} rows drawn for labelling"]
        lines += [f"  {name:<16}  {value}" for name, value in facts.items()]
        if self.strata is not None:
            table = self.by_stratum()
            lines += [
                "",
                table.head(MOST_STRATA).to_string(index=False, float_format="{:.4g}".format),
            ]
            if len(table) > MOST_STRATA:
                lines.append(f"... and {len(table) - MOST_STRATA:,} more strata: by_stratum()")
        return "\n".join(lines)

    __repr__ = __str__ = summary

    def _described(self) -> str:
        noun = "rows" if self.units is None else "units"
        where = "" if self.strata is None else f" in each of {len(self.strata.names):,} strata"
        if (self.probability == 1.0).all():
            return "census: every row is drawn, so the draw adds no variance"
        if not self.is_fixed:
            expected = self.probability.sum()
            return f"{KINDS[self.kind]}, {expected:,.1f} rows expected"
        return f"{KINDS[self.kind]}, fixed number of {noun}{where}"


def _add_texts(digest: Any, values: NDArray[Any]) -> None:
    """Feed texts of values; their lengths keep ("ab", "c") apart from ("a", "bc")."""
    texts = [str(value) for value in values.tolist()]
    digest.update(np.fromiter(map(len, texts), dtype="<i8", count=len(texts)).tobytes())
    digest.update("".join(texts).encode("utf-8", "surrogatepass"))
