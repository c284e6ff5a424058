"""The server with the oldest versions of the web packages that the package allows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]
PACKAGES = ("starlette", "uvicorn", "prometheus-client")


@pytest.mark.everything
def test_the_server_holds_with_the_oldest_web_packages(tmp_path: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    bounds = dict(line.partition(";")[0].split(">=") for line in extras["edge"] if ">=" in line)
    oldest = [f"{name}=={bounds[name]}" for name in PACKAGES]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    install = [*pip, "--target", str(tmp_path), *oldest]
    if subprocess.run(install, check=False).returncode:
        pytest.skip("the packages cannot be installed here")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/runtime/web/test_server.py",
         "tests/runtime/web/test_connections.py"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:]
