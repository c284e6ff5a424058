"""Run independent tasks, such as one for each clip or trial, on the cores of this machine.

A task that fails or kills its process is reported and does not stop the others. `daflow.commands.ray_cluster` runs
the same tasks on a Ray cluster.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from daflow.core.errors import InputError

T = TypeVar("T")
R = TypeVar("R")

CRASHED = "its process died (out of memory, or a crash in a library)"


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """The outcome of a task: a result, or the message of an error."""

    task: T
    result: R | None
    error: str | None = None


class Runner(Protocol):
    """Runs tasks on these cores (`run_tasks`) or on a cluster."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T], /) -> Iterator[Outcome[T, R]]:
        """Yield the outcome of each task, in the order in which they end.

        Args:
            function: a function of a module (it is pickled); it may raise anything.
            tasks: its arguments, which should be small; the files that they name must be readable where they run.
        """
        ...


def run_tasks(
    function: Callable[[T], R], tasks: Sequence[T], workers: int | None = None
) -> Iterator[Outcome[T, R]]:
    """Run tasks in processes of this machine; see `Runner`.

    Args:
        function: as for `Runner`.
        tasks: as for `Runner`.
        workers: processes; None takes one for each core that this process may use.
    """
    if len(tasks) == 1 or workers == 1:
        yield from (Outcome(task, *guarded(function, task)) for task in tasks)
    else:
        yield from _on_cores(function, tasks, workers or len(os.sched_getaffinity(0)))


def guarded(function: Callable[[T], R], task: T) -> tuple[R | None, str | None]:
    """Call the function and return its result and None, or None and the message of its error."""
    try:
        return function(task), None
    except InputError as error:
        return None, error.message
    except Exception as error:  # noqa: BLE001  one bad file must not stop the others
        return None, f"{type(error).__name__}: {error}"


def _start_worker() -> None:
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch or ONNX Runtime are loaded: one process per core


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    # A new process imports `multiprocessing` first, and must not find one in the working directory. Python 3.10 does
    # not know this variable.
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker) as pool:
            yield pool
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _on_cores(function: Callable[[T], R], tasks: Sequence[T], workers: int) -> Iterator[Outcome[T, R]]:
    waiting: deque[T] = deque(tasks)
    suspects: list[T] = []
    while waiting:
        running: dict[Future[tuple[R | None, str | None]], T] = {}
        with _pool(min(workers, len(waiting))) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < workers:
                        future = pool.submit(guarded, function, waiting[0])  # raises when the pool is broken
                        running[future] = waiting.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield Outcome(running[future], *future.result())
                        del running[future]
            except BrokenProcessPool:
                suspects += running.values()  # one of them killed its process and so broke the pool
    for task in suspects:
        with _pool(1) as pool:
            try:
                yield Outcome(task, *pool.submit(guarded, function, task).result())
            except BrokenProcessPool:
                yield Outcome(task, None, CRASHED)
