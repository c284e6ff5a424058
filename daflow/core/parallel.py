"""Many independent tasks, one for each clip or trial: on the cores of this machine, or on a Ray cluster.

A task that fails, or that kills its process, is reported and never stops the rest.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from daflow.core.errors import InputError

T = TypeVar("T")
R = TypeVar("R")

_CRASHED = "its process died (out of memory, or a crash in a library)"
_ANSWER_SECONDS = 5
_RETRIES = 3  # of a task whose Ray worker was lost


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What became of a task: a result, or the message of an error."""

    task: T
    result: R | None
    error: str | None = None


def run_tasks(
    function: Callable[[T], R], tasks: Sequence[T], workers: int | None = None, ray_address: str | None = None
) -> Iterator[Outcome[T, R]]:
    """Yield what becomes of each task, in the order in which they end.

    Args:
        function: a function of a module (it is pickled), which may raise anything.
        tasks: its arguments, small ones; the files that they name must be reachable where they run.
        workers: processes on this machine; None takes one for each core that this process may use.
        ray_address: of a Ray cluster, such as `127.0.0.1:6379` or `auto`; its machines need this package.

    Raises:
        InputError: there is no cluster at that address.
    """
    if ray_address is not None:
        yield from _on_ray(function, tasks, ray_address)
    elif len(tasks) == 1 or workers == 1:
        yield from (Outcome(task, *_guarded(function, task)) for task in tasks)
    else:
        yield from _on_cores(function, tasks, workers or len(os.sched_getaffinity(0)))


def _guarded(function: Callable[[T], R], task: T) -> tuple[R | None, str | None]:
    """Call the function and turn what it raises into a message."""
    try:
        return function(task), None
    except InputError as error:
        return None, error.message
    except Exception as error:  # noqa: BLE001  one bad file never stops the rest
        return None, f"{type(error).__name__}: {error}"


def _start_worker() -> None:
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    os.environ["OMP_NUM_THREADS"] = "1"  # before torch or ONNX Runtime are loaded: a process a core


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)


def _on_cores(function: Callable[[T], R], tasks: Sequence[T], workers: int) -> Iterator[Outcome[T, R]]:
    waiting: deque[T] = deque(tasks)
    suspects: list[T] = []
    while waiting:
        running: dict[Future[tuple[R | None, str | None]], T] = {}
        with _pool(min(workers, len(waiting))) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < workers:
                        future = pool.submit(_guarded, function, waiting[0])  # fails where the pool is dead
                        running[future] = waiting.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield Outcome(running[future], *future.result())
                        del running[future]
            except BrokenProcessPool:
                suspects += running.values()  # one of them killed its process, and the pool died with it
    for task in suspects:
        with _pool(1) as pool:
            try:
                yield Outcome(task, *pool.submit(_guarded, function, task).result())
            except BrokenProcessPool:
                yield Outcome(task, None, _CRASHED)


def _on_ray(function: Callable[[T], R], tasks: Sequence[T], address: str) -> Iterator[Outcome[T, R]]:
    import ray

    _require_answer(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, error) from None
    try:
        remote: Any = ray.remote(num_cpus=1, max_retries=_RETRIES)(_guarded)
        running = {remote.remote(function, task): task for task in tasks}
        while running:
            (done,), _ = ray.wait(list(running))
            task = running.pop(done)
            try:
                yield Outcome(task, *ray.get(done))
            except ray.exceptions.RayError as error:
                yield Outcome(task, None, f"{_CRASHED}; Ray says {type(error).__name__}")
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Fail at once where nobody listens; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> InputError:
    reason = str(error).splitlines()[0]
    return InputError(f"There is no Ray cluster at {address} ({reason}); start one with: ray start --head")
