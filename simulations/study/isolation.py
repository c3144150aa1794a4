"""The surroundings of a replicate: one thread for linear algebra, warnings kept apart."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController

# Read by libraries that are loaded later, inside a replicate.
_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

Warned = tuple[type[Warning], str]
_thread = threading.local()


class _Process:
    """What all threads of a process share while any of them runs replicates.

    Thread counts of BLAS and Python's warning filters belong to the process, so that the first
    thread sets them and the last one restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._stack = ExitStack()

    def enter(self) -> None:
        with self._lock:
            if self._n_inside == 0:
                self._stack.enter_context(_environment(dict.fromkeys(_VARIABLES, "1")))
                self._stack.enter_context(_controller(len(sys.modules)).limit(limits=1))
                self._show = warnings.showwarning
                self._stack.enter_context(warnings.catch_warnings())
            self._n_inside += 1

    def leave(self) -> None:
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._stack.close()

    def route(self, message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        """Give a warning to the record of the thread that caused it."""
        record = getattr(_thread, "record", None)
        if record is None:
            self._show(message, category, *where, **more)
        # When an unclosed file is found depends on the garbage collector, not on the replicate.
        elif not issubclass(category, ResourceWarning):
            record.append((category, str(message)))


_process = _Process()


@lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    """Find the libraries with threads: slow, so only when modules were loaded since."""
    return ThreadpoolController()


@contextmanager
def isolated() -> Iterator[None]:
    """Run what is inside on one BLAS and OpenMP thread, ready to record warnings.

    May be nested. Where threads share a process, the one that starts them should be inside first
    and last: OpenBLAS lets only the thread that set its limit take it back.
    """
    _process.enter()
    try:
        # OpenMP keeps its count per thread.
        with _controller(len(sys.modules)).select(user_api="openmp").limit(limits=1):
            yield
    finally:
        _process.leave()


@contextmanager
def recorded() -> Iterator[list[Warned]]:
    """Collect the warnings of this thread; use inside `isolated`.

    All of them, whatever was shown before: else what a replicate records would depend on the
    replicates that ran before it in the same process.
    """
    warnings.simplefilter("always")
    warnings.showwarning = _process.route
    _thread.record = []
    try:
        yield _thread.record
    finally:
        _thread.record = None


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
