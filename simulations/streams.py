"""Independent random streams, one for each part of a design."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

Rng: TypeAlias = np.random.Generator
RandomState: TypeAlias = int | np.random.SeedSequence | Rng | None


def streams(random_state: RandomState, n_streams: int) -> list[Rng]:
    """Return independent generators."""
    # Seeds are drawn, not spawned: spawning would count children on the caller's SeedSequence,
    # and a second call with the same one would give other data.
    root = np.random.default_rng(random_state)
    seeds = (root.integers(2**32, size=8, dtype=np.uint32) for _ in range(n_streams))
    return [np.random.default_rng(seed) for seed in seeds]
