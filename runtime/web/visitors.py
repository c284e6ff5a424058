"""Who a request comes from: the visitor, also behind a reverse proxy."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from starlette.types import Scope

logger = logging.getLogger(__name__)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Visitor(NamedTuple):
    """The origin of a request.

    Attributes:
        name: the address, of IPv6 the network of 64 bits that one customer has; "" when it is unknown.
        secure: whether the request came by TLS.
    """

    name: str
    secure: bool


class Visitors:
    """Finds the visitor of a request.

    The headers X-Forwarded-For and X-Forwarded-Proto are believed only when a trusted proxy sends them: anybody can
    write them.

    Args:
        trusted_proxies: networks such as `192.0.2.0/24`.
    """

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted_proxies]
        self._told = False

    def is_proxy(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        parsed = _parse(address)
        return parsed is not None and self._is_trusted(parsed)

    def of(self, scope: Scope) -> Visitor:
        """Return the visitor: the right-most address in X-Forwarded-For that is not a trusted proxy, else the peer."""
        client = scope.get("client")
        peer = _parse(client[0]) if client else None
        secure = scope.get("scheme") == "https"
        forwarded = _values(scope, b"x-forwarded-for")
        if peer is None:
            return Visitor("", secure)
        if not self._is_trusted(peer):
            if forwarded:
                self._tell(peer)
            return Visitor(visitor_name(peer), secure)
        protocols = _values(scope, b"x-forwarded-proto")
        secure = secure or (bool(protocols) and protocols[0].lower() == "https")
        visitor = peer
        for text in reversed(forwarded):
            address = _parse(text)
            if address is None:  # not an address: what stands before it is not believed
                break
            visitor = address
            if not self._is_trusted(address):
                break
        return Visitor(visitor_name(visitor), secure)

    def _is_trusted(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)

    def _tell(self, peer: _Address) -> None:
        if not self._told:
            self._told = True
            logger.warning(
                "a request to the live page from %s has X-Forwarded-For: if that is your reverse proxy, name it in "
                "serve.trusted_proxies; until then all of its visitors count as one",
                peer,
            )


def visitor_name(address: _Address | str) -> str:
    """Return what a visitor at an address is called; "" when it is not an address."""
    parsed = _parse(address) if isinstance(address, str) else address
    if parsed is None:
        return ""
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _values(scope: Scope, header: bytes) -> list[str]:
    """Return the values of a header that is a list, also when it is sent several times."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == header]
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _parse(text: str) -> _Address | None:
    """Return an address that may have a port or brackets; an IPv4 address that is written as IPv6 is IPv4."""
    bare = text.partition("%")[0]
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
