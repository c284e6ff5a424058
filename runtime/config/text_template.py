"""Texts with the values of a message in them, such as `{camera}: {what}`."""

from __future__ import annotations

import string

FIELDS = (
    "camera", "what", "details", "time", "score", "rarity", "why", "seconds", "reason", "state", "url", "id",
)  # fmt: skip
"""What a template may name; what a message does not have is empty."""


def check_template(text: str) -> None:
    """Check that a template names only fields that there are, and nothing of them.

    Raises:
        ValueError: it does not; the message says what is wrong.

    >>> check_template("{camera}: {what}")
    >>> check_template("{camera.__class__}")
    Traceback (most recent call last):
    ...
    ValueError: '{camera.__class__}' is no field; there are camera, what, details, time, score, rarity, why, seconds, \
reason, state, url, id
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no template: {error}; write {{{{ and }}}} for braces") from None
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in FIELDS:
            raise ValueError(f"'{{{name}}}' is no field; there are {', '.join(FIELDS)}")
        if form or conversion:
            raise ValueError(f"'{{{name}}}' takes neither : nor !")


def fill(text: str, values: dict[str, str]) -> str:
    """Return a checked template with its values, without the lines that are empty then.

    >>> fill("{what} {url}", {"what": "alarm"})
    'alarm'
    """
    filled = text.format_map({name: values.get(name, "") for name in FIELDS})
    return "\n".join(line.rstrip() for line in filled.splitlines() if line.strip())
