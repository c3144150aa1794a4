"""Where replicates run: this process, its threads, other processes, a Dask or a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any, Literal, TypeAlias

from joblib import Parallel, delayed, effective_n_jobs, parallel_config

from .replicate import Piece, Task, run_task

Backend: TypeAlias = Literal["loky", "threading", "dask", "ray"]
BACKENDS = ("loky", "threading", "dask", "ray")
Result: TypeAlias = tuple[Piece, float]

# Tasks per worker between two waits, where results come in one list.
_TASKS_PER_ROUND = 8


@dataclass(frozen=True)
class Workers:
    """Something that runs tasks.

    Attributes
    ----------
    n_workers : int
        How many run at once.
    in_process : bool
        Whether tasks stay in this process, so that nothing is pickled.
    run : callable
        Maps an iterable of tasks to their results, in any order, as they come.
    """

    n_workers: int
    in_process: bool
    run: Callable[[Iterator[Task]], Iterable[Result]]


@contextmanager
def open_workers(backend: str, n_jobs: int | None, scheduler: Any) -> Iterator[Workers]:
    """Open what a backend needs, and close what was opened.

    Parameters
    ----------
    backend : {"loky", "threading", "dask", "ray"}
    n_jobs : int or None
        Workers: -1 for all processors, None for one (a cluster: all of its workers).
    scheduler : str, Client or None
        Address of the cluster, or a Dask client; None starts workers on this machine.

    Raises
    ------
    ImportError
        If a package is missing; it names the extra.
    ValueError
        If there is no such backend, or ``n_jobs`` or ``scheduler`` do not fit.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r} is not one of {', '.join(map(repr, BACKENDS))}.")
    if n_jobs is not None and (not isinstance(n_jobs, int) or n_jobs == 0):
        raise ValueError(f"n_jobs={n_jobs!r} must be a number of workers, -1 for all processors.")
    with ExitStack() as stack:
        if backend == "dask":
            client = stack.enter_context(_dask_client(n_jobs, scheduler))
            stack.enter_context(parallel_config("dask", client=client))
            yield _cluster(-1, _streamed)
        elif backend == "ray":
            stack.enter_context(_ray_cluster(n_jobs, scheduler))
            stack.enter_context(parallel_config("ray"))
            yield _cluster(-1 if n_jobs is None else n_jobs, _in_rounds)
        else:
            if scheduler is not None:
                raise ValueError(f"scheduler={scheduler!r} needs backend='dask' or 'ray'.")
            stack.enter_context(parallel_config(backend))
            yield _local(backend, 1 if n_jobs is None else n_jobs)


def _local(backend: str, n_jobs: int) -> Workers:
    n_workers = effective_n_jobs(n_jobs)
    if n_workers == 1:
        return Workers(1, True, partial(map, run_task))
    return Workers(n_workers, backend == "threading", partial(_streamed, n_workers))


def _cluster(n_jobs: int, run: Callable[..., Iterable[Result]]) -> Workers:
    n_workers = effective_n_jobs(n_jobs)
    return Workers(n_workers, False, partial(run, n_workers))


def _streamed(n_workers: int, tasks: Iterator[Task]) -> Iterable[Result]:
    # joblib's own batches would hold results back, and its memory maps make arrays read-only.
    parallel = Parallel(
        n_workers,
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch="2*n_jobs",
        max_nbytes=None,
    )
    results: Iterable[Result] = parallel(delayed(run_task)(task) for task in tasks)
    return results


def _in_rounds(n_workers: int, tasks: Iterator[Task]) -> Iterable[Result]:
    parallel = Parallel(n_workers, batch_size=1, max_nbytes=None)
    with parallel:
        while some := list(islice(tasks, _TASKS_PER_ROUND * n_workers)):
            yield from parallel(delayed(run_task)(task) for task in some)


def _import(name: str, backend: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"backend={backend!r} needs {name.split('.')[0]}, which cannot be imported ({error}). "
            "Install it with: pip install 'trueness[distributed]'"
        ) from error


@contextmanager
def _dask_client(n_jobs: int | None, scheduler: Any) -> Iterator[Any]:
    distributed = _import("distributed", "dask")
    if scheduler is not None and not isinstance(scheduler, str):
        yield scheduler
    elif scheduler is not None:
        with distributed.Client(scheduler, set_as_default=False) as client:
            yield client
    else:
        n_workers = os.cpu_count() if n_jobs in (None, -1) else n_jobs
        # One thread each: Python's warning filters belong to the process.
        with (
            distributed.LocalCluster(
                n_workers=n_workers, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            yield client


@contextmanager
def _ray_cluster(n_jobs: int | None, scheduler: Any) -> Iterator[None]:
    ray = _import("ray", "ray")
    _import("ray.util.joblib", "ray").register_ray()
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if scheduler is None:
        local = {"num_cpus": None if n_jobs in (None, -1) else n_jobs, "include_dashboard": False}
        ray.init(**options, **local)
    else:
        ray.init(address=scheduler, **options)
    try:
        yield
    finally:
        ray.shutdown()
