#!/usr/bin/env python3
"""Look up the TensorRT names that our source uses in the bindings of the versions that cannot run here.

NVIDIA's bindings are on PyPI without their libraries: they cannot be imported, but their names can be read. A name that
is in none of them is misspelt. A name that only some have may be used only in a function that checks (`hasattr`,
`getattr`, `member`) whether this TensorRT has it.

By convention all of TensorRT's objects are held in variables or attributes called as in `ROOTS`.
Exit code 0: every name is found; 1: a name is missing; 2: the bindings cannot be downloaded.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

VERSIONS = {
    "8.6": "tensorrt-bindings==8.6.1",
    "10.3": "tensorrt-cu12-bindings==10.3.0",
    "10.13": "tensorrt-cu12-bindings==10.13.3.9",
    "11.4": "tensorrt-cu13-bindings==11.4.0.106",
    "RTX 1.7": "tensorrt-rtx-cu13-bindings==1.7.1.116",
}
ROOTS = {
    "trt", "builder", "network", "config", "parser", "profile", "runtime", "engine", "execution", "inspector",
    "layer", "tensor",
}  # fmt: skip
PROBES = {"hasattr", "getattr", "member"}
PYTHON_METHODS = {"startswith"}
PLATFORMS = ("manylinux_2_17_x86_64", "manylinux_2_28_x86_64", "manylinux_2_31_x86_64")
SOURCES = ("daflow/core/engines/builder.py", "runtime/scorers/tensorrt.py", "runtime/networks/tensorrt.py")


def download(folder: Path) -> dict[str, bytes]:
    """Return the contents of the bindings of each version; those that are not in the folder are downloaded."""
    contents = {}
    for version, requirement in VERSIONS.items():
        name, _, number = requirement.partition("==")
        pattern = f"{name.replace('-', '_')}-{number}-*.whl"
        if not list(folder.glob(pattern)):
            platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
            subprocess.run(
                [
                    sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                    "--only-binary=:all:", "--python-version", "310", "--implementation", "cp", *platforms,
                    "--dest", str(folder), requirement,
                ],
                check=True,
            )  # fmt: skip
        with zipfile.ZipFile(next(folder.glob(pattern))) as wheel:
            contents[version] = b"\0".join(
                wheel.read(file) for file in wheel.namelist() if re.search(r"\.so(\.|$)|\.py$", file)
            )
    return contents


def used_names(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Yield each name that a source file uses on TensorRT's objects, its line, and whether its function checks it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    probing = {
        id(inner)
        for function in functions
        if any(map(_probed, ast.walk(function)))
        for inner in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _rooted(node.value) and node.attr not in PYTHON_METHODS:
            yield node.attr, node.lineno, id(node) in probing
        if name := _probed(node):
            yield name, node.lineno, True  # type: ignore[attr-defined]


def _probed(node: ast.AST) -> str | None:
    """The name that a call such as `hasattr(trt, "IProgressMonitor")` looks for."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PROBES:
        for argument in node.args[1:2]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                return argument.value
    return None


def _rooted(node: ast.expr) -> bool:
    """Whether an expression starts with one of our names for TensorRT's objects, such as `self._engine`."""
    while isinstance(node, ast.Attribute):
        if node.attr.lstrip("_") in ROOTS:
            return True
        node = node.value
    return isinstance(node, ast.Name) and node.id.lstrip("_") in ROOTS


def known(name: str, content: bytes) -> bool:
    """Whether bindings contain a name: as a string, or as the end of one, because linkers share such ends."""
    return re.search(rb"%s(?![A-Za-z0-9_])" % re.escape(name.encode()), content) is not None


def check(sources: list[Path], contents: dict[str, bytes]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the versions that have each name, and an error for each name that must not be used like this."""
    versions: dict[str, list[str]] = {}
    errors = []
    for path in sources:
        for name, line, probed in used_names(path):
            if name.startswith("__"):
                continue
            versions[name] = [version for version, content in contents.items() if known(name, content)]
            missing = sorted(set(contents) - set(versions[name]))
            if not versions[name]:
                errors.append(f"{path}:{line}: {name} is in no version of TensorRT; it is misspelt")
            elif missing and not probed:
                errors.append(
                    f"{path}:{line}: {name} is not in TensorRT {', '.join(missing)}; check for it before it is used"
                )
    return versions, errors


def main() -> int:
    """Run the check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("sources", nargs="*", type=Path, default=[root / name for name in SOURCES])
    parser.add_argument("--cache", type=Path, help="folder for the bindings; by default a temporary one")
    parser.add_argument("--list", action="store_true", help="show which version has which name")
    parser.add_argument("--json", type=Path, help="also write that as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            contents = download(folder)
        except (subprocess.CalledProcessError, StopIteration, zipfile.BadZipFile) as error:
            print(f"The bindings cannot be downloaded: {error}", file=sys.stderr)
            return 2
    versions, errors = check(options.sources, contents)
    if options.list:
        for name, found in sorted(versions.items()):
            print(f"{name:<36}{'all' if len(found) == len(contents) else ', '.join(found) or 'NONE'}")
    if options.json:
        options.json.write_text(json.dumps(versions, indent=1) + "\n", encoding="utf-8")
    print("\n".join(errors) or f"{len(versions)} names are in TensorRT {', '.join(contents)}, or checked for")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
