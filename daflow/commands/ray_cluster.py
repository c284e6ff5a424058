"""Where many tasks run: on the cores of this machine, or on a Ray cluster with `--ray`."""

from __future__ import annotations

import functools
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from daflow.core.errors import InputError
from daflow.core.parallel import CRASHED, Outcome, Runner, guarded, run_tasks

T = TypeVar("T")
R = TypeVar("R")
_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

_ANSWER_SECONDS = 5
_RETRIES = 3  # of a task whose Ray worker was lost


def task_options(command: _Decorated) -> _Decorated:
    """The options of where many tasks run, for `runner`."""
    workers = click.option(
        "--workers", type=click.IntRange(1), help="Processes on this machine; one for each core without it."
    )
    ray = click.option(
        "--ray",
        "ray_address",
        metavar="ADDRESS",
        help="Run on this Ray cluster instead, such as auto or 10.0.0.1:6379. Its machines need daflow[ray] and the "
        "same paths.",
    )
    return workers(ray(command))


def runner(workers: int | None, ray_address: str | None) -> Runner:
    """Return what runs tasks as the options say."""
    if ray_address is not None:
        return functools.partial(run_on_ray, address=ray_address)
    return functools.partial(run_tasks, workers=workers)


def run_on_ray(function: Callable[[T], R], tasks: Sequence[T], address: str) -> Iterator[Outcome[T, R]]:
    """Run tasks on a Ray cluster; see `daflow.core.parallel.Runner`.

    Args:
        function: as for `Runner`; the machines of the cluster need this package.
        tasks: as for `Runner`.
        address: of the cluster, such as `127.0.0.1:6379` or `auto`.

    Raises:
        InputError: there is no cluster at that address.
    """
    import ray

    _require_answer(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, error) from None
    try:
        remote: Any = ray.remote(num_cpus=1, max_retries=_RETRIES)(guarded)
        running = {remote.remote(function, task): task for task in tasks}
        while running:
            (done,), _ = ray.wait(list(running))
            task = running.pop(done)
            try:
                yield Outcome(task, *ray.get(done))
            except ray.exceptions.RayError as error:
                yield Outcome(task, None, f"{CRASHED}; Ray says {type(error).__name__}")
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
