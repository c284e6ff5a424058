"""Ids made of names: readable, and never the same for two names."""

from __future__ import annotations

import hashlib
import re

_DIGITS = 10  # of the hash; a MAC address, which people use as a name, has twelve
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_LOOKS_HASHED = re.compile(rf".*_[0-9a-f]{{{_DIGITS}}}")


def readable_id(*names: str) -> str:
    """Return an id of letters, digits, - and _ that no other names of the same number have.

    Names of such characters are joined by _ and kept as they are. Where that would not tell the names apart (another
    character was replaced, or it is open where the first name ends), a hash of them is added.

    >>> readable_id("daflow"), readable_id("daflow", "front_door")
    ('daflow', 'daflow_front_door')
    >>> readable_id("a/b"), readable_id("a_b")
    ('a_b_c14cddc033', 'a_b')
    """
    joined = "_".join(names)
    first = names[:-1]
    if (
        all(_PLAIN.fullmatch(name) for name in names)
        and not any("_" in name for name in first)
        and not _LOOKS_HASHED.fullmatch(joined)
    ):
        return joined
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', joined)}_{digest[:_DIGITS]}"
