"""The `manifest.json` of a bundle: it names the files beside it with their SHA-256, and holds a checksum of itself."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Protocol, TypeVar

from pydantic import Field, ValidationError
from typing_extensions import Self

from daflow.core.errors import InputError
from daflow.core.files import locked, parse_json, sha256, write_text
from daflow.core.schema import FileName, problem

MANIFEST = "manifest.json"


Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Files = dict[FileName, Hash]
"""The SHA-256 of every file of a bundle but the manifest, by name."""


class _Manifest(Protocol):
    """What a pydantic model needs to be the manifest of a bundle."""

    @property
    def files(self) -> dict[str, str]: ...

    @property
    def graphs(self) -> tuple[str, ...]: ...

    @classmethod
    def model_validate(cls, obj: Any) -> Self: ...

    def model_dump(self, *, mode: str, by_alias: bool) -> dict[str, Any]: ...

    def model_copy(self, *, update: dict[str, Any]) -> Self: ...


AnyManifest = TypeVar("AnyManifest", bound=_Manifest)


@dataclass(frozen=True)
class ManifestFile(Generic[AnyManifest]):
    """A kind of bundle.

    Attributes:
        model: its manifest, a pydantic model with `files`, and `graphs` that must be among these.
        format: the name of the kind in the file.
        schema: the version that is read.
        noun: what it is for people, such as `bundle`.
        writer: the command that writes it.
        hint: a sentence for somebody who changed the manifest by hand.
    """

    model: type[AnyManifest]
    format: str
    schema: int
    noun: str
    writer: str
    hint: str = ""

    def read(self, folder: Path) -> AnyManifest:
        """Read a manifest, and check that neither it nor a file that it names was changed.

        Raises:
            InputError: there is none, it has another schema or is damaged, or a file is missing or changed; the message
                names the file.
        """
        path = folder / MANIFEST
        again = f"Export the {self.noun} again."
        if not path.is_file():
            raise InputError(
                f"{folder} is not a {self.noun}: it has no {MANIFEST}. '{self.writer}' writes one."
            )
        try:
            content = parse_json(path.read_bytes())
        except ValueError as error:
            raise InputError(f"{path} is damaged: it is not valid JSON ({error}). {again}") from None
        if not isinstance(content, dict) or content.get("format") != self.format:
            raise InputError(f"{path} is not the manifest of a {self.noun}.")
        schema = content.get("schema")
        if type(schema) is not int or schema != self.schema:
            raise InputError(
                f"{folder} has {self.noun} schema {reprlib.repr(schema)}, but this version of daflow reads "
                f"{self.schema}. Use the version of daflow that wrote it, or export it again."
            )
        try:
            unchanged = content.pop("checksum", None) == _checksum(content)
        except RecursionError:
            unchanged = False
        if not unchanged:
            raise InputError(f"{path} was changed since it was written. {again} {self.hint}".rstrip())
        try:
            manifest = self.model.model_validate(content)
        except ValidationError as error:
            raise InputError(f"{path} is damaged: {problem(error)}. {again}") from None
        for name, expected in manifest.files.items():
            file = folder / name
            if not _is_file(file):
                raise InputError(f"The file {name} of the {self.noun} {folder} is missing. {again}")
            if sha256(file) != expected:
                raise InputError(f"{file} was changed since the {self.noun} was written. {again}")
        unhashed = set(manifest.graphs) - set(manifest.files)
        if unhashed:
            raise InputError(f"{path} is damaged: it has no hash of {min(unhashed)}. {again}")
        return manifest

    def update(
        self, folder: Path, before: AnyManifest, change: Callable[[AnyManifest], dict[str, Any]]
    ) -> AnyManifest:
        """Change some fields of a manifest as it is now; what other processes changed meanwhile stays.

        Args:
            folder: of the bundle.
            before: the manifest as it was read.
            change: returns the fields to replace, given the present manifest.

        Returns:
            The new manifest.

        Raises:
            InputError: the bundle was replaced by another one meanwhile, or it is damaged. Nothing is changed.
            OSError: the folder cannot be written.
        """
        with locked(folder):
            now = self.read(folder)
            if now.files != before.files:
                raise InputError(
                    f"The {self.noun} {folder} was exported again in the meantime, so this result is not written to "
                    "it. Run the command again."
                )
            manifest = now.model_copy(update=change(now))
            self.write(folder, manifest)
        return manifest

    def write(self, folder: Path, manifest: AnyManifest) -> None:
        """Write `manifest.json` with a checksum of itself, whole or not at all.

        Raises:
            OSError: the folder cannot be written.
        """
        content = manifest.model_dump(mode="json", by_alias=True)
        content["checksum"] = _checksum(content)
        write_text(folder / MANIFEST, json.dumps(content, indent=1) + "\n")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system accepts
        return False


def _checksum(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
