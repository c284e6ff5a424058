"""Secrets: read from a file or from the environment, never from the command line, and never printed."""

from __future__ import annotations

import os
from pathlib import Path

from daflow.core.errors import InputError
from daflow.core.files import decode_text

_MAX_BYTES = 65_536  # far more than any token or password


class Secret:
    """A text that shows itself only when it is asked to.

    >>> secret = Secret("open sesame")
    >>> print(secret, [secret])
    *** [Secret(***)]
    >>> secret.reveal()
    'open sesame'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret must not be pickled")


def read_secret(what: str, file: Path | None = None, variable: str | None = None) -> Secret | None:
    """Read a secret; spaces and line ends around it are removed.

    Args:
        what: its description for error messages, such as `the password of the MQTT broker`.
        file: the file that holds it.
        variable: the environment variable that holds it.

    Returns:
        The secret, None when neither a file nor a variable is named.

    Raises:
        InputError: both are named, or the named one is missing, empty or not text.
    """
    if file and variable:
        raise InputError(f"Both a file and an environment variable are named for {what}; name one of them.")
    if file:
        text, where = _read(file, what), f"The file {file}"
    elif variable:
        found = os.environ.get(variable)
        if found is None:
            raise InputError(f"The environment variable {variable} with {what} is not set.")
        text, where = found.strip(), f"The environment variable {variable}"
    else:
        return None
    if not text:
        raise InputError(f"{where} with {what} is empty.")
    return Secret(text)


def _read(file: Path, what: str) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"Cannot read {what} from {file}: {error.strerror}.") from error
    if len(raw) > _MAX_BYTES:
        raise InputError(f"The file {file} with {what} is larger than 64 KiB; is it the right one?")
    try:
        return decode_text(raw).strip()
    except ValueError:
        raise InputError(f"The file {file} with {what} is not text in UTF-8.") from None
