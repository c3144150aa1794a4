"""Random streams that depend on the content of a cell and the number of a replicate only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_DIGITS = 32  # of the digest of a cell, 8 to a word of a spawn key


@dataclass(frozen=True)
class Seed:
    """What identifies the random numbers of one replicate.

    Attributes
    ----------
    entropy : int
        Random state of the study.
    cell : str
        Digest of the cell.
    replicate : int
        Number of the replicate, from 0.

    Examples
    --------
    >>> from trueness.simulations.study.seeds import Seed
    >>> seed = Seed(7, "0123456789abcdef" * 2, 3)
    >>> str(seed)
    '7:0123456789abcdef0123456789abcdef:3'
    >>> Seed.parse(str(seed)) == seed
    True
    """

    entropy: int
    cell: str
    replicate: int

    def __str__(self) -> str:
        return f"{self.entropy}:{self.cell}:{self.replicate}"

    @classmethod
    def parse(cls, text: Any) -> Seed:
        """Read a seed from the text in a row of the frame.

        Raises
        ------
        ValueError
            If the text is no seed.
        """
        try:
            entropy, cell, replicate = str(text).split(":")
            int(cell, 16)
            if len(cell) == _DIGITS:
                return cls(int(entropy), cell, int(replicate))
        except ValueError:
            pass
        raise ValueError(
            f"seed={text!r:.80} is not the seed of a replicate; pass a row of the study's frame."
        )

    def streams(self) -> tuple[np.random.SeedSequence, np.random.SeedSequence]:
        """Return the stream of the generator and the one that all methods share.

        Methods share theirs, so that they are compared on common random numbers and that adding
        or renaming one changes no other.
        """
        words = (int(self.cell[start : start + 8], 16) for start in range(0, _DIGITS, 8))
        branch = (*words, self.replicate)
        data, methods = (
            np.random.SeedSequence(self.entropy, spawn_key=(*branch, i)) for i in (0, 1)
        )
        return data, methods


def check_entropy(random_state: Any) -> int:
    """Return the random state of a study, or raise if it is not one.

    Raises
    ------
    ValueError
        If it is not a non-negative integer: anything else could not be written into every row.
    """
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer):
        raise ValueError(
            f"random_state={random_state!r:.80} must be an integer, so that every row can say how "
            "to replay it."
        )
    if random_state < 0:
        raise ValueError(f"random_state={random_state} must not be negative.")
    return int(random_state)
