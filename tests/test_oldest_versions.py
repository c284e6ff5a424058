"""The toolkit with the oldest versions that it allows: every lower bound of pyproject.toml, installed and tested."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
UNTESTED = {
    "torch": "what is installed: gigabytes, and old ones have no wheel for new Pythons",
    "tensorrt-rtx-cu13": "what is installed: gigabytes",
    "tomli": "only older Pythons have it",
}
"""Packages that stay as they are, and why."""

TESTS = {
    "train": ["tests/daflow", "tests/calibration"],
    "ray": ["tests/daflow/commands/test_score.py"],
    "export": ["tests/export"],
    "edge": ["tests/runtime"],
    "notify": ["tests/runtime/events/test_notify.py"],
}
"""The tests that use what an extra installs."""

BESIDE = {"ray": ["train"]}
"""The extras that these tests need too."""


def oldest(extra: str) -> dict[str, str]:
    """Return the lowest versions of the direct dependencies of an extra and of those beside it.

    Its own bounds go before theirs, and theirs before the base.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [
        *project["dependencies"],
        *(line for name in (*BESIDE.get(extra, ()), extra) for line in extras[name]),
    ]
    bounds = [
        re.fullmatch(r"([\w-]+)[>=]=([\d.]+)(?:,<[\d.]+)?(?:;.*)?", line.replace(" ;", ";")) for line in lines
    ]
    assert all(bounds), "every dependency has a lower bound"
    return {bound[1]: bound[2] for bound in bounds if bound and bound[1] not in UNTESTED}


@pytest.mark.everything
@pytest.mark.parametrize("extra", TESTS)
def test_the_oldest_versions_that_are_allowed_pass_the_tests(extra: str, tmp_path: Path) -> None:
    versions = [f"{name}=={version}" for name, version in oldest(extra).items()]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
        "--target",
        str(tmp_path),
    ]
    installed = subprocess.run([*pip, *versions], capture_output=True, text=True, check=False)
    assert "ResolutionImpossible" not in installed.stderr, (
        f"the bounds contradict each other: {installed.stderr}"
    )
    if (
        installed.returncode
    ):  # newer Pythons have no wheels of old versions, and without a network there are none at all
        assert sys.version_info >= (3, 12) or "from versions: none" in installed.stderr, installed.stderr
        pytest.skip(f"the packages cannot be installed here: {installed.stderr[-300:]}")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not everything",
         "-W", "ignore::DeprecationWarning", *TESTS[extra]],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-5000:]


def test_every_extra_that_a_user_installs_is_among_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(TESTS) == set(project["optional-dependencies"]) - {
        "dev",
        "jetson",
        "hub",
    }  # the tests of hub need no huggingface-hub
    for extra in TESTS:
        assert "numpy" in oldest(extra)
