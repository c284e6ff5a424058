"""No small input falls the toolkit over: those that once did, and as many others as there is time for.

`--fuzz-seconds` says how long each fuzzer runs, and `--fuzz-seed` with which inputs it begins. An input that is found
is written to `build/fuzz/`; when what it breaks is mended, it belongs in `tests/fuzz/corpus/`.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import re
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from .fuzzer import Check, Fuzzer
from .fuzzers import (
    broker,
    bundles,
    checkpoints,
    configurations,
    engines,
    masks,
    pose_bundles,
    requests,
    tracks,
    trainings,
)
from .guards import Hang, guarded
from .inputs import Input

FUZZERS: dict[str, Fuzzer] = {
    "tracks": tracks.FUZZER,
    "masks": masks.FUZZER,
    "bundles": bundles.FUZZER,
    "pose_bundles": pose_bundles.FUZZER,
    "configurations": configurations.FUZZER,
    "checkpoints": checkpoints.FUZZER,
    "trainings": trainings.FUZZER,
    "engines": engines.FUZZER,
    "broker": broker.FUZZER,
    "requests": requests.FUZZER,
}
_HERE = Path(__file__).parent
_FOUND = _HERE.parents[1] / "build" / "fuzz"
_ROUND = 200  # inputs, after which the time is looked at again


def corpus(fuzzer: str) -> list[Input]:
    """Return the inputs that once broke something, and those that are likely to."""
    return [Input(path.name, path.read_bytes()) for path in sorted((_HERE / "corpus" / fuzzer).glob("*.*"))]


@pytest.fixture(autouse=True)
def _few_words() -> Iterator[None]:
    """Keep warnings about thousands of broken files out of the log."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_valid_inputs_are_accepted(fuzzer: str, tmp_path: Path) -> None:
    """What refused them would be fuzzed in vain."""
    valid = [each for each in FUZZERS[fuzzer].seeds() if each.is_valid]
    assert valid
    with FUZZERS[fuzzer].opened(tmp_path) as check:
        for each in valid:
            check(each)


@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_inputs_that_once_broke_something_do_no_longer(fuzzer: str, tmp_path: Path) -> None:
    breaks = Breaks()
    with FUZZERS[fuzzer].opened(tmp_path) as check:
        for each in [*FUZZERS[fuzzer].seeds(), *corpus(fuzzer)]:
            breaks.attempt(check, each)
    breaks.must_be_none()


@pytest.mark.everything
@pytest.mark.parametrize("fuzzer", FUZZERS)
def test_no_input_breaks_anything(fuzzer: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    inputs = FUZZERS[fuzzer].mutated([*FUZZERS[fuzzer].seeds(), *corpus(fuzzer)])
    seconds = request.config.getoption("--fuzz-seconds")
    breaks = Breaks()
    with FUZZERS[fuzzer].opened(tmp_path) as check:
        _fuzz(inputs, partial(breaks.attempt, check), seconds, request.config.getoption("--fuzz-seed"))
    print(f"{fuzzer}: {breaks.tried} inputs in {seconds:g} s")  # noqa: T201  what pytest -s shows
    breaks.keep(_FOUND / fuzzer)
    breaks.must_be_none()
    assert breaks.tried


class Breaks:
    """What inputs break: for each fault the smallest input that shows it."""

    def __init__(self) -> None:
        self.tried = 0
        self.found: dict[str, Input] = {}

    def attempt(self, check: Check, given_input: Input) -> None:
        """Try an input."""
        self.tried += 1
        try:
            with guarded():
                check(given_input)
        except (Exception, Hang) as error:  # noqa: BLE001  every one is a fault
            fault = _fault(error)
            known = self.found.get(fault)
            if known is None or len(given_input.content) < len(known.content):
                self.found[fault] = given_input

    def keep(self, folder: Path) -> None:
        """Write the inputs."""
        for each in self.found.values():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / _kept_name(each)).write_bytes(each.content)

    def must_be_none(self) -> None:
        """Fail with a line for each fault."""
        if self.found:
            pytest.fail(
                "\n".join(f"{_kept_name(each)}: {fault}" for fault, each in self.found.items()), pytrace=False
            )


def _fault(error: BaseException) -> str:
    """Say what is wrong and where in the toolkit, the same of all inputs that show the same fault."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if not frame.filename.startswith(str(_HERE)) and _is_ours(frame.filename)
    ]
    where = f" in {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    words = re.sub(r"\d+|(['\"]).*\1", "_", str(error))[:100]
    return f"{type(error).__name__}{where}: {words!r}"


def _is_ours(filename: str) -> bool:
    return filename.startswith(str(_HERE.parents[1])) and "site-packages" not in filename


def _kept_name(each: Input) -> str:
    stem = each.name.partition(".")[0] if not each.name.startswith("found.") else ""
    return f"{stem or hashlib.sha256(each.content).hexdigest()[:12]}.{each.kind}"


def _fuzz(
    inputs: SearchStrategy[Input], attempt: Callable[[Input], None], seconds: float, first: int
) -> None:
    """Try inputs until the time is over."""
    end = time.monotonic() + seconds

    def in_time(given_input: Input) -> None:
        if time.monotonic() < end:
            attempt(given_input)

    rounds = settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    for number in itertools.count(first):
        if time.monotonic() > end:
            return
        seed(number)(rounds(given(inputs)(in_time)))()
