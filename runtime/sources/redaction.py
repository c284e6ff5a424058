"""Secrets in the addresses of cameras and web servers: taken from the environment, and kept out of what is shown.

Logs, pages, metrics and errors show of an address only its scheme, host and port (`redacted`). The command line and a
printed configuration hold it whole, unless a part of it may be a secret (`holds_secret`).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from urllib.parse import quote, unquote

from daflow.core.errors import InputError

HIDDEN = "***"
"""Stands for what may be a secret; no address holds it."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_HARMLESS = ("file", "v4l2", "csi", "tracks", "synthetic")  # whose names hold no password
_NETWORK = ("rtsp", "rtsps", "http", "https")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://[^\s\"'<>]+")
_HOST = r"(?:[\w.\0-]+|\[[\w:.%]+\])(?::(?:\d{1,5}|\0))?"

# What cannot be a secret. While an address is judged, a zero byte stands for each ${NAME}.
_PLAIN_USER = re.compile(r"\0+|[^:/?#]*:\0*")
_PLAIN_NAME = r"(?:[A-Za-z][\w-]{0,7}|[A-Za-z_-]{1,16}\d?)"
_PLAIN_VALUE = r"(?:\0+|[^\W_]{0,2}|true|false|\d{3,4}x\d{3,4})"
_PLAIN_PATH = re.compile(r"(?:[\w.~ \0-]|%20)*")
_PLAIN_PAIR = re.compile(
    rf"(?:{_PLAIN_NAME}=(?:\0|\d\d?)_)*{_PLAIN_NAME}={_PLAIN_VALUE}(?:\.sdp)?|{_PLAIN_VALUE}"
)
_OPTIONS = re.compile(
    r"(?:(?:^|&)(?:(?:timeout|transport|latency|codec|decoder)=(?:[\d.]{1,8}|tcp|udp|h26[45]|processor|\0)))+"
)
_PLAIN_WORD = re.compile(r"[A-Za-z]{0,16}")

# The same for the properties of a GStreamer pipeline.
_SECRET_NAME = re.compile(r"(?i)pw|pass|token|secret|key|auth|credential|user|header|cookie|login")
_PLAIN_PROPERTY = re.compile(
    r"\0+|\w{0,2}|[+-]?[\d.]+(?:/\d+)?|[a-z]{1,16}\d{0,2}(?:[+-][a-z\d]{1,8})*|\.{0,2}/[\w./ \0-]*"
)
_CAPS = re.compile(r"(?:audio|video|image|text|application)/[\w.+-]+")

_MIN_PATH = 8  # letters: shorter parts of a path are words such as "live", which a message may hold
_MIN_VALUE = 4


def redacted(uri: str) -> str:
    """Return a source as it may be shown; of an address only scheme, host and port, as the rest may hold a password.

    >>> redacted("rtsp://admin:secret@10.0.0.5:8554/live?password=secret")
    'rtsp://10.0.0.5:8554'
    >>> redacted("rtsp://admin:se/cret@10.0.0.5/live"), redacted("rtsp://${CAMERA}/live"), redacted("shop.mp4")
    ('rtsp:...', 'rtsp:...', 'shop.mp4')
    >>> redacted("monday/16:38:41.mp4"), redacted("rtps://admin:secret@10.0.0.5/live"), redacted("${CAMERA}/?tk=secret")
    ('monday/16:38:41.mp4', 'rtps:...', '...')
    """
    # A variable at the beginning may stand for all but the end of an address.
    if uri.startswith("${") and not _PLACEHOLDER.fullmatch(uri):
        return "..."
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme in _HARMLESS or _is_file_name(uri):
        return uri
    authority = re.split(r"[/?#;]", rest.removeprefix("//"), maxsplit=1)[0]
    host = re.fullmatch(rf"(?:.*@)?({_HOST})", authority, re.DOTALL)
    # With an @ after the host, this may be a password with a slash in it.
    if scheme.lower() in _NETWORK and host and rest.count("@") == authority.count("@"):
        return f"{scheme}://{host[1]}"
    return f"{scheme}:..." if scheme.isalnum() else "..."


def hidden(uri: str) -> str:
    """Return an address without what may be a secret, in a form that is refused when it is read again.

    >>> hidden("rtsp://admin:secret@10.0.0.5:8554/live"), hidden("gst:rtspsrc user-pw=secret")
    ('rtsp://10.0.0.5:8554/***', 'gst:***')
    """
    shown = redacted(uri)
    return shown[:-3] + HIDDEN if shown.endswith("...") else f"{shown}/{HIDDEN}"


def _is_file_name(uri: str) -> bool:
    """Whether a source with a colon is a file such as `16:38:41.mp4`, and no address, not even a mistyped one."""
    scheme = uri.partition(":")[0].lower()
    return scheme not in (*_NETWORK, "gst") and "//" not in uri and not set("@?#=") & set(uri)


def holds_secret(uri: str, *, secret_path: bool = False) -> bool:
    """Whether a part of an address may be a secret that is written out and not as `${NAME}`.

    The password and a user without one are secrets. So is what follows a `=`, and whatever is in the query, if it has
    more than two letters or digits and is neither `true`, `false` nor a size as 1280x720. The other parts of the path
    are words of letters, digits, `.`, `_` and `-`. Of a GStreamer pipeline, what is no number, lower-case word, file or
    address may be a secret, and each property whose name says so.

    Args:
        uri: of a source or a web server.
        secret_path: whether the path is a secret too, as that of a webhook: it then has a `${NAME}`, and else only
            words of letters.

    >>> holds_secret("rtsp://admin:geheim@10.0.0.5/live"), holds_secret("gst:rtspsrc user-pw=geheim location=rtsp://h")
    (True, True)
    >>> holds_secret("rtsp://admin:${PASSWORD}@10.0.0.5/live#timeout=5"), holds_secret("v4l2:///dev/video0?fps=30")
    (False, False)
    >>> holds_secret("rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0"), holds_secret("rtsp://10.0.0.5/?tk=geheim")
    (False, True)
    """
    if "\0" in uri:
        return True
    marked = _PLACEHOLDER.sub("\0", uri)
    if marked.startswith("\0") and marked != "\0":  # it may stand for a scheme and a host
        return marked[1] != "/" or not _is_plain_address(f"://{marked}", secret_path)
    scheme, colon, rest = marked.partition(":")
    if not colon or scheme in _HARMLESS or _is_file_name(marked):
        return False
    if scheme == "gst":
        return any(not _is_plain_word(word) for word in _words(rest))
    return not _is_plain_address(marked, secret_path)


def _is_plain_address(address: str, secret_path: bool = False) -> bool:
    """Whether no part of an address can be a secret; placeholders are zero bytes."""
    user, at, rest = address.partition(":")[2].removeprefix("//").rpartition("@")
    if at and not _PLAIN_USER.fullmatch(user):
        return False
    rest, _, options = rest.partition("#")
    host = re.match(rf"{_HOST}(?=[/?;]|\Z)", rest)
    if host is None or (options and not _OPTIONS.fullmatch(options)):
        return False
    tail = rest[host.end() :]
    if secret_path:
        words = re.split(r"[/?&=\0]", tail)
        return tail in ("", "/") or ("\0" in tail and all(map(_PLAIN_WORD.fullmatch, words)))
    path, _, query = tail.partition("?")
    names, *pairs = path.split(";", 1)
    for part in names.split("/"):
        name, *more = re.split("[&,]", part)
        if not _PLAIN_PATH.fullmatch(name):
            more.append(name)
        pairs += more
    return all(_PLAIN_PAIR.fullmatch(pair) for text in [*pairs, query] for pair in re.split("[&;,?/]", text))


def _is_plain_word(word: str) -> bool:
    """Whether a word of a GStreamer pipeline cannot be a secret; placeholders are zero bytes."""
    if re.match(r"[A-Za-z][\w+.-]*://", word):
        return _is_plain_address(word)
    name, equals, value = word.partition("=")
    if not equals or _CAPS.match(word) or value.strip("\0") == "":
        return True
    if _SECRET_NAME.search(name):
        return False
    if re.match(r"[A-Za-z][\w+.-]*://", value):
        return value.startswith("file://") or _is_plain_address(value)
    if name in ("location", "device") and not set("@?=;:") & set(value):
        return True
    return bool(_PLAIN_PROPERTY.fullmatch(value) or _CAPS.match(value))


def with_environment(text: str, what: str = "The source") -> str:
    """Replace each `${NAME}` by that variable of the environment.

    Args:
        text: such as an address.
        what: the text is, for error messages.

    Raises:
        InputError: there is no such variable, or it cannot be the name of one.
    """

    def value(match: re.Match[str]) -> str:
        if not _VARIABLE.fullmatch(match[1]):  # perhaps a password, so it is not shown
            raise InputError(f"{what} has ${{...}} around something that is not the name of a variable.")
        found = os.environ.get(match[1])
        if found is None:
            raise InputError(f"{what} needs the environment variable {match[1]!r}, which is not set.")
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
        except InputError:  # what follows a variable at the beginning is then a path, as in `holds_secret`
            opened = re.sub(rf"^{_PLACEHOLDER.pattern}", "rtsp://host/", uri)
        found = {value for value in values if value}
        for address in [opened, *(match[0] for match in _ADDRESS.finditer(opened))]:
            found |= set(_secrets_of_address(address))
        if opened.startswith("gst:"):
            for word in _words(opened[4:]):
                if not _is_plain_word(word):
                    found |= set(_pieces(word.partition("=")[2], _MIN_VALUE))
        found |= {form for value in found for form in (unquote(value), quote(value, safe=""))}
        self._secrets = sorted(filter(None, found), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without secrets: addresses as `redacted` returns them, other secrets as ***."""
        text = _ADDRESS.sub(lambda match: redacted(match[0]), text)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _words(pipeline: str) -> list[str]:
    pipeline = re.sub(r"\s*([=,])\s*", r"\1", pipeline)  # GStreamer takes spaces around them
    try:
        return shlex.split(pipeline)
    except ValueError:
        return [word.strip("'\"") for word in pipeline.split()]


def _secrets_of_address(address: str) -> Iterator[str]:
    """Yield the passwords, the path and the query of an address, and their parts that may be secrets."""
    scheme, colon, rest = address.partition(":")
    if not colon or scheme in (*_HARMLESS, "gst") or _is_file_name(address):
        return
    user, at, rest = rest.removeprefix("//").rpartition("@")
    if at:
        password = user.partition(":")[2] if ":" in user else user
        # When a slash in it is not quoted, the messages of programs show its parts.
        yield password
        yield from (part for part in re.split(r"[/?#@]", password) if len(part) > 2)
    host, *tail = re.split(r"[/?#;]", rest, maxsplit=1)
    if not re.fullmatch(_HOST, host):  # perhaps a user and a password, and the host is forgotten
        yield from re.split("[:,]", host)[1:]
    for text in tail:
        yield from _pieces(text.partition("#")[0] if _OPTIONS.fullmatch(text.partition("#")[2]) else text)


def _pieces(text: str, shortest: int = _MIN_PATH) -> Iterator[str]:
    """Yield a text that may hold secrets, and its parts, as the messages of programs may show them.

    Args:
        text: such as the path of an address.
        shortest: letters of a part that follows no `=`.
    """
    if len(text) >= shortest or "=" in text:
        yield text
    for separators in (r"/?&;,#\s", r"/?&;,#\s:(){}\"'\\", r"/?&;,#\s:(){}\"'\\_"):
        for part in re.split(f"[{separators}]", text):
            name, *values = part.split("=")
            yield from (piece for piece in (part, name) if len(piece) >= shortest)
            yield from (value for value in values if len(value) >= _MIN_VALUE)
