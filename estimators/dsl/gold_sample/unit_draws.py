"""Draws of whole units, and of rows within them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..numerics import draws
from .coding import CodingSheets
from .frame import check_count, generator, read_ids
from .sizes import FirstStage


@dataclass(frozen=True, eq=False, repr=False)
class UnitDraws(CodingSheets):
    """Draws of `GoldSample` whose sampling units are larger than rows."""

    @classmethod
    def clusters(
        cls,
        ids: Any,
        units: Any,
        n: int | Mapping[Any, int],
        *,
        size: Any = None,
        strata: Any = None,
        random_state: Any,
    ) -> Self:
        """Draw a fixed number of whole units, and label all rows in them.

        Parameters
        ----------
        ids : int or sequence of shape (n,)
        units : array of shape (n,)
            Unit of each row: authors, newspapers, villages.
        n : int or dict
            Units to draw in all, or by stratum; at least 2 in each, or all there are.
        size : "rows", dict by unit or array of shape (n,), default=None
            Units are drawn with probabilities proportional to it ("rows": to how many rows they
            have), by `unequal`'s tournament; with equal probabilities if None.
        strata : array of shape (n,), default=None
            Strata of whole units.
        random_state : int, Generator, SeedSequence, RandomState or None

        Raises
        ------
        ValueError
            If there are too few units, or one lies in two strata or has several sizes.

        Examples
        --------
        >>> import numpy as np
        >>> from trueness.dsl.gold_sample import GoldSample
        >>> author = np.repeat(np.arange(20), 5)
        >>> sample = GoldSample.clusters(100, author, 4, random_state=0)
        >>> sample.n_drawn, len(set(author[sample.drawn]))
        (20, 4)
        """
        names = read_ids(ids)
        stage = FirstStage.of(n, units, len(names), size=size, strata=strata, role="n")
        seed, rng = generator(random_state)
        return cls._of(
            names,
            stage.plan.probability[stage.units.codes],
            stage.plan.draw(rng)[stage.units.codes],
            kind="clusters",
            strata=stage.strata,
            units=stage.units,
            settings=(("n", int(stage.plan.sizes.sum())),),
            seed=seed,
        )

    @classmethod
    def two_stage(
        cls,
        ids: Any,
        units: Any,
        n_units: int | Mapping[Any, int],
        n_within: int,
        *,
        size: Any = None,
        strata: Any = None,
        random_state: Any,
    ) -> Self:
        r"""Draw a fixed number of units, then a simple random sample of rows within each.

        With ``size="rows"`` all rows have about the same probability: large units are drawn more
        often, and their rows less often within them.

        Parameters
        ----------
        ids : int or sequence of shape (n,)
        units : array of shape (n,)
        n_units : int or dict
            Units to draw in all, or by stratum; at least 2 in each, or all there are.
        n_within : int
            Rows to draw in each drawn unit; all of them where there are fewer. With a single one
            nothing tells how much the rows of a unit differ, which ``target="population"`` needs
            to know.
        size, strata
            As in `clusters`.
        random_state : int, Generator, SeedSequence, RandomState or None

        Raises
        ------
        ValueError
            As `clusters`.

        Examples
        --------
        >>> import numpy as np
        >>> from trueness.dsl.gold_sample import GoldSample
        >>> author = np.repeat(np.arange(20), 5)
        >>> sample = GoldSample.two_stage(100, author, 4, 2, random_state=0)
        >>> sample.n_drawn, sample.probability[0].round(3)  # 4/20 x 2/5
        (8, np.float64(0.08))
        """
        names = read_ids(ids)
        stage = FirstStage.of(n_units, units, len(names), size=size, strata=strata, role="n_units")
        rows = stage.units.sizes
        wanted = np.minimum(check_count(n_within, "n_within"), rows)
        seed, rng = generator(random_state)
        drawn_units = stage.plan.draw(rng)
        codes = stage.units.codes
        return cls._of(
            names,
            (stage.plan.probability * (wanted / rows))[codes],
            draws.simple_random(codes, np.where(drawn_units, wanted, 0), rng),
            kind="two_stage",
            strata=stage.strata,
            units=stage.units,
            unit_probability=stage.plan.probability[codes],
            settings=(("n_units", int(stage.plan.sizes.sum())), ("n_within", int(n_within))),
            seed=seed,
        )
