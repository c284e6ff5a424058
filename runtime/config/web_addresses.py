"""Addresses in the settings of the live page: its own, host names and networks."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?", re.ASCII)


def _split(value: Any) -> Any:
    """Split text at commas: `a,b` is as good as `["a", "b"]`, as the command line has no lists."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        return value
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _host(name: str) -> str:
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if not _NAME.fullmatch(name):
        raise PydanticCustomError(
            "host_name", "{name} is not a host name: give it without scheme and port", {"name": repr(name)}
        )
    return name.lower().rstrip(".")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise PydanticCustomError(
            "network",
            "{text} is not an address or a network: write it as 192.0.2.1 or 192.0.2.0/24",
            {"text": repr(text)},
        ) from None


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_valid = urlsplit(""), False
    plain = not (parts.username or parts.password or parts.query or parts.fragment) and text.isprintable()
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid or not plain:
        raise PydanticCustomError(
            "web_url",
            "This is no address of a page: write it as https://watch.example.org/, without a user or ?",
        )
    return text if text.endswith("/") else text + "/"


WebUrl = Annotated[str, AfterValidator(_url)]
"""The address of a page, with a / at its end."""

HostNames = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], BeforeValidator(_split)]
"""Host names or addresses, in lower case and without a port."""

Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_split)]
"""Networks such as `192.0.2.0/24`; a single address is a network of one."""
