"""Simulation studies: generator x grid x replicates x methods, anywhere, resumed and replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from .backends import Backend, open_workers
from .design import Design
from .fingerprint import fingerprint
from .grid import Cell, Grid, expand, labels
from .isolation import isolated
from .protocol import write_protocol
from .replicate import Piece, run_replicate, tabulate
from .results import StudyResults, to_frame
from .running import Run
from .seeds import Seed, check_entropy
from .stopping import StoppingRule
from .store import Store


class SimulationStudy:
    r"""A simulation study that anybody can run again, on any machine, to the same numbers.

    In each cell of a grid and each replicate :math:`r = 0, \dots, R - 1` a sample is drawn, every
    method is applied to it, and every term of every method becomes one row beside its estimand.
    The random numbers of a replicate depend on ``random_state``, the content of its cell and r,
    and on nothing else: not on the other cells, their order, R, the backend or the number of
    workers. All methods of a replicate see the same sample and are given the same stream.

    Parameters
    ----------
    generate : callable
        ``generate(**cell, random_state=Generator)`` returns a Bunch or dict with ``truth``, a
        dict or Series of the value of every estimand (or a function of the sample that returns
        it), and ``observed``, the arguments of ``fit``. See ``trueness.simulations`` for some.
    methods : dict of str to estimator or callable
        Estimators with ``fit`` and ``to_frame()`` are cloned, their ``random_state`` and those of
        their parts set, and fitted to ``observed``. Anything else is a function
        ``f(sample, random_state)`` of the Bunch and a Generator that returns a list of dicts (or
        a DataFrame), one per term: ``term``, ``estimate`` and, as far as it has them,
        ``std_error``, ``statistic``, ``p_value``, ``conf_low``, ``conf_high``, ``df``,
        ``converged``, and ``estimand`` where that depends on the fit, as the risk of a predictor.
    grid : dict of str to list, list of dict, or None, default=None
        Arguments of the generator: the product of the lists, or the cells themselves. Values are
        numbers, texts, booleans, None and tuples of them.
    n_replicates : int, default=1000
        Replicates of each cell; with ``until`` at most as many.
    random_state : int, default=0
        Seed of the study.
    aims : str, default=""
        What the study is to find out, for the protocol.
    estimands : sequence of str or dict of str to str, default=None
        Terms of interest, with a description for the protocol; rows of other terms are left out.
        None keeps all.
    version : str, default=None
        Change it when something has changed that the study cannot see (a data file, a compiled
        library), so that checkpoints from before are not taken up.

    Attributes
    ----------
    cells : DataFrame
        The grid, one row per cell.

    Raises
    ------
    TypeError, ValueError
        If generator, methods or grid are not as described.

    References
    ----------
    .. [1] Morris, T. P., White, I. R. and Crowther, M. J. (2019). Using simulation studies to
       evaluate statistical methods. Statistics in Medicine 38, 2074-2102.
       :doi:`10.1002/sim.8086`

    Examples
    --------
    >>> from trueness.simulations.study import SimulationStudy
    >>> def generate(n, random_state):
    ...     return {"observed": {"y": random_state.exponential(size=n)}, "truth": {"mean": 1.0}}
    >>> def average(sample, random_state):
    ...     y = sample.observed["y"]
    ...     return [{"term": "mean", "estimate": y.mean(), "std_error": y.std() / len(y) ** 0.5}]
    >>> study = SimulationStudy(generate, {"average": average}, {"n": [10, 40]}, n_replicates=500)
    >>> frame = study.run(progress=False)
    >>> len(frame)
    1000
    >>> frame.groupby("n")["estimate"].std().round(2).to_dict()
    {10: 0.33, 40: 0.15}
    >>> again = study.replay(frame.iloc[123])
    >>> bool(again["estimate"].item() == frame["estimate"].iloc[123])
    True
    """

    def __init__(
        self,
        generate: Callable[..., Any],
        methods: Mapping[str, Any],
        grid: Grid = None,
        n_replicates: int = 1000,
        random_state: int = 0,
        *,
        aims: str = "",
        estimands: Iterable[str] | Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> None:
        self.generate = generate
        self.methods = methods
        self.grid = grid
        self.n_replicates = n_replicates
        self.random_state = random_state
        self.aims = aims
        self.estimands = estimands
        self.version = version
        _check_count(n_replicates)
        check_entropy(random_state)
        self._cells = expand(grid)
        self._design = Design(generate, methods, tuple(self._estimands()))
        self._design.check(self._cells[0])

    @property
    def cells(self) -> pd.DataFrame:
        """The grid, one row per cell."""
        return labels(self._cells)

    def protocol(self) -> str:
        """Return aims, data-generating mechanism, estimands, methods, performance measures."""
        _check_count(self.n_replicates)
        return write_protocol(
            aims=self.aims,
            generate=self.generate,
            cells=self._cells,
            estimands=self._estimands(),
            methods=self.methods,
            n_replicates=self.n_replicates,
            random_state=self.random_state,
        )

    __str__ = protocol

    def __repr__(self) -> str:
        return (
            f"SimulationStudy({len(self._cells)} cells x {self.n_replicates} replicates x "
            f"{len(self.methods)} methods, random_state={self.random_state})"
        )

    def run(
        self,
        path: str | PathLike[str] | None = None,
        n_jobs: int | None = None,
        backend: Backend = "loky",
        progress: bool = True,
        collect: bool = True,
        until: Mapping[str, float] | None = None,
        scheduler: Any = None,
        *,
        checkpoint_seconds: float = 5.0,
    ) -> Any:
        """Run what is not there yet, and return all rows.

        Parameters
        ----------
        path : path, default=None
            Directory for checkpoints. A study that was interrupted, or has got more cells or
            replicates since, goes on from what is there. Nothing is kept if None.
        n_jobs : int, default=None
            Workers; -1 for all processors. None is one, with a cluster all of its workers.
        backend : {"loky", "threading", "dask", "ray"}, default="loky"
            Processes of this machine, threads, or a cluster (``trueness[distributed]``). Threads
            suit methods that release Python's lock; they share its warning filters, so that a
            method which sets filters of its own may hide a warning of another thread.
        progress : bool, default=True
            Show a progress bar on standard error.
        collect : bool, default=True
            Return a frame. Otherwise return a `StudyResults`, which reads the rows cell by cell
            from ``path``: memory does not grow with the number of replicates.
        until : dict of str to float, default=None
            Monte Carlo errors at which a cell stops, as ``{"coverage": 0.005}``: of "bias",
            "empirical_se", "coverage" and "rejection_rate" (at 5%), for every method and term.
            Looked at after every 100 replicates, in their order.
        scheduler : str or dask.distributed.Client, default=None
            Address of a Dask or Ray cluster. None starts workers on this machine.
        checkpoint_seconds : float, default=5.0
            Time between two checkpoints: what a killed study loses beside the unfinished tasks.

        Returns
        -------
        DataFrame or StudyResults
            One row per cell, replicate, method and term: the parameters of the grid, replicate,
            method, term, estimate, std_error, statistic, p_value, conf_low, conf_high, df,
            estimand, converged, warnings, error, seconds (of the method), seed. A method that
            failed in a replicate has one row, with the error and without a term.

        Raises
        ------
        ImportError
            If the package of a backend is missing.
        OSError
            If a checkpoint cannot be written.
        TypeError
            If generator or methods cannot be sent to other processes.
        ValueError
            If ``path`` holds another study, generator or methods do not deliver what a study
            needs, or an argument is out of range.
        """
        _check_count(self.n_replicates)
        if path is None and not collect:
            raise ValueError("collect=False needs a path: the rows must go somewhere.")
        rule = None if until is None else StoppingRule(until, self.n_replicates)
        entropy = check_entropy(self.random_state)
        store = None
        if path is not None:
            store = Store(Path(path), fingerprint(self._design, entropy, self.version))
        run = Run(
            self._design,
            self._cells,
            entropy,
            n_replicates=self.n_replicates,
            rule=rule,
            store=store,
            checkpoint_seconds=checkpoint_seconds,
        )
        with open_workers(backend, n_jobs, scheduler) as workers:
            run.complete(workers, progress=progress)
        wanted = run.n_wanted()
        if store is None:
            return to_frame(run.pieces, self._cells, list(self.methods), wanted)
        results = StudyResults(store, self._cells, list(self.methods), wanted)
        return results.to_frame() if collect else results

    def part(self, number: int, n_parts: int) -> SimulationStudy:
        """Return the study of every ``n_parts``-th cell, from the ``number``-th on.

        The parts of a study can be run at the same time by jobs that know nothing of each other,
        into one directory; run afterwards with that path, the whole study finds all rows there.

        Parameters
        ----------
        number : int
            From 1 to ``n_parts``.
        n_parts : int
            Number of parts, at most one for each cell.

        Raises
        ------
        ValueError
            If there is no such part.
        """
        if not 1 <= number <= n_parts <= len(self._cells):
            raise ValueError(
                f"There is no part {number} of {n_parts}: the study has {len(self._cells)} cells, "
                "and no part may be empty."
            )
        return SimulationStudy(
            self.generate,
            self.methods,
            [cell.params for cell in self._cells[number - 1 :: n_parts]] if self.grid else None,
            self.n_replicates,
            self.random_state,
            aims=self.aims,
            estimands=self.estimands,
            version=self.version,
        )

    def replay(self, row: Any, *, raise_errors: bool = False) -> pd.DataFrame:
        """Run the replicate of a row again, alone.

        Parameters
        ----------
        row : Series, dict or DataFrame of one row
            A row of the frame; its ``seed`` says which cell and replicate.
        raise_errors : bool, default=False
            Let exceptions through, for a debugger to look at.

        Returns
        -------
        DataFrame
            The rows of that replicate, of all methods; equal to those of the frame but for
            ``seconds``.

        Raises
        ------
        ValueError
            If the row has no seed, or belongs to a cell that is not in the grid.
        """
        cell, seed = self._locate(row)
        with isolated():
            rows = run_replicate(self._design, cell, seed, raise_errors=raise_errors)
        stop = seed.replicate + 1
        piece = Piece(cell.digest, seed.replicate, stop, tabulate(rows))
        return to_frame([piece], self._cells, list(self.methods), {cell.digest: stop})

    def sample(self, row: Any) -> Bunch:
        """Draw the sample of a row again.

        Parameters
        ----------
        row : Series, dict or DataFrame of one row
            A row of the frame.
        """
        cell, seed = self._locate(row)
        with isolated():
            return self._design.draw(cell, seed.streams()[0])

    def _locate(self, row: Any) -> tuple[Cell, Seed]:
        if isinstance(row, pd.DataFrame):
            if len(row) != 1:
                raise ValueError(f"replay needs one row, got {len(row)}; pass frame.iloc[i].")
            row = row.iloc[0]
        if not isinstance(row, Mapping | pd.Series) or "seed" not in row:
            raise ValueError("replay needs a row of the study's frame, as frame.iloc[i].")
        seed = Seed.parse(row["seed"])
        for cell in self._cells:
            if cell.digest == seed.cell:
                return cell, seed
        raise ValueError(
            f"The row with seed {seed} belongs to a cell that is not in the grid of this study."
        )

    def _estimands(self) -> dict[str, str]:
        chosen = self.estimands
        if chosen is None:
            return {}
        if isinstance(chosen, str):
            raise TypeError(f"estimands={chosen!r} must be a list of terms: [{chosen!r}].")
        if isinstance(chosen, Mapping):
            return {str(term): str(text) for term, text in chosen.items()}
        return {str(term): "" for term in chosen}


def _check_count(n_replicates: Any) -> None:
    if isinstance(n_replicates, bool) or not isinstance(n_replicates, int) or n_replicates < 1:
        raise ValueError(f"n_replicates={n_replicates!r} must be a whole number, at least 1.")
