"""Passwords in the names of sources: taken from the environment, and kept out of logs, status and messages."""

from __future__ import annotations

import os
import re
import shlex
from urllib.parse import unquote, urlsplit

from daflow.core.errors import InputError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_HARMLESS = ("file", "v4l2", "csi", "tracks", "synthetic")  # whose names hold no password
_NETWORK = ("rtsp", "rtsps", "http", "https")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://[^\s\"'<>]+")
_SECRET_OPTION = re.compile(
    r"(?i)([\w-]*(?:pw|pass|pwd|token|secret|key|auth|credential)[\w-]*)=(.*)", re.DOTALL
)


def redacted(uri: str) -> str:
    """Return a source as it may be printed; of an address only scheme, host and port, as the rest may hold a password.

    >>> redacted("rtsp://admin:secret@10.0.0.5:8554/live?password=secret")
    'rtsp://10.0.0.5:8554'
    >>> redacted("rtsp://admin:se/cret@10.0.0.5/live"), redacted("rtsp://${CAMERA}/live"), redacted("shop.mp4")
    ('rtsp:...', 'rtsp:...', 'shop.mp4')
    >>> redacted("monday/16:38:41.mp4"), redacted("rtps://admin:secret@10.0.0.5/live")
    ('monday/16:38:41.mp4', 'rtps:...')
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme in _HARMLESS or _is_file_name(uri):
        return uri
    authority = re.split(r"[/?#]", rest.removeprefix("//"), maxsplit=1)[0]
    host = re.fullmatch(r"(?:.*@)?([\w.:\[\]-]+)", authority)
    # With an @ after the host, this may be a password with a slash in it.
    if scheme.lower() in _NETWORK and host and rest.count("@") == authority.count("@"):
        return f"{scheme}://{host[1]}"
    return f"{scheme}:..." if scheme.isalnum() else "..."


def _is_file_name(uri: str) -> bool:
    """Whether a source with a colon is a file such as `16:38:41.mp4`, and no address, not even a mistyped one."""
    scheme = uri.partition(":")[0].lower()
    return scheme not in (*_NETWORK, "gst") and "//" not in uri and not set("@?#=") & set(uri)


def holds_secret(uri: str) -> bool:
    """Whether a source holds what may be a password, written out and not as `${NAME}`.

    >>> holds_secret("rtsp://admin:geheim@10.0.0.5/live"), holds_secret("gst:rtspsrc user-pw=geheim location=rtsp://h")
    (True, True)
    >>> holds_secret("rtsp://admin:${PASSWORD}@10.0.0.5/live#timeout=5"), holds_secret("v4l2:///dev/video0?fps=30")
    (False, False)
    """
    bare = _PLACEHOLDER.sub("", uri)
    if any(_password_in(match[0]) for match in _ADDRESS.finditer(bare)):
        return True
    options = [pair for part in re.split(r"[?#]", bare)[1:] for pair in part.split("&")]
    words = _words(bare) if bare.startswith("gst:") else []
    return any((match := _SECRET_OPTION.fullmatch(word)) and match[2] for word in [*options, *words])


def _password_in(address: str) -> bool:
    """Whether an address has a password before its @; the password may hold a slash that is not quoted."""
    scheme, _, rest = address.partition("://")
    user, at, _ = rest.rpartition("@")
    return scheme.lower() not in _HARMLESS and bool(at) and bool(user.partition(":")[2])


def with_environment(text: str) -> str:
    """Replace each `${NAME}` by that variable of the environment.

    Raises:
        InputError: there is no such variable, or it cannot be the name of one.
    """

    def value(match: re.Match[str]) -> str:
        if not _VARIABLE.fullmatch(match[1]):  # perhaps a password, so it is not shown
            raise InputError("The source has ${...} around something that is not the name of a variable.")
        found = os.environ.get(match[1])
        if found is None:
            raise InputError(f"The source needs the environment variable {match[1]!r}, which is not set.")
        return found

    return _PLACEHOLDER.sub(value, text)


class Redactor:
    """Removes the secrets of one source from texts about it.

    >>> Redactor("rtsp://admin:pa55@cam/live")("401 for rtsp://admin:pa55@cam/live and pa55")
    '401 for rtsp://cam and ***'
    """

    def __init__(self, uri: str) -> None:
        values = [os.environ.get(name, "") for name in _PLACEHOLDER.findall(uri)]
        try:
            opened = with_environment(uri)
        except InputError:
            opened = uri
        found = {value for value in values if value}
        for address in [opened, *(match[0] for match in _ADDRESS.finditer(opened))]:
            found |= _secrets_of_address(address)
        if opened.startswith("gst:"):
            for word in _words(opened):
                if match := _SECRET_OPTION.fullmatch(word):
                    found.add(match[2])
        found |= {unquote(value) for value in found}
        self._secrets = sorted(filter(None, found), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without secrets: addresses as `redacted` returns them, other secrets as ***."""
        text = _ADDRESS.sub(lambda match: redacted(match[0]), text)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _words(pipeline: str) -> list[str]:
    try:
        return shlex.split(pipeline)
    except ValueError:
        return [word.strip("'\"") for word in pipeline.split()]


def _secrets_of_address(address: str) -> set[str]:
    """Return the passwords and the query of an address, even if a password has an unquoted slash."""
    scheme, colon, rest = address.partition("://")
    if not colon or scheme in _HARMLESS:
        return set()
    found = set()
    if "@" in rest:
        user = rest.rpartition("@")[0]
        password = user.partition(":")[2] if ":" in user else user
        # When a slash in it is not quoted, the messages of programs show its parts.
        found |= {password, *(part for part in re.split(r"[/?#@]", password) if len(part) > 2)}
    try:
        parts = urlsplit(address)
        found |= {parts.query, parts.password or ""}
        found |= {
            value
            for _, _, value in (pair.partition("=") for pair in parts.query.split("&"))
            if len(value) > 3
        }
    except ValueError:
        pass
    return found
