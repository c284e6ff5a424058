"""The section `notify` of the configuration: messages to people, by the services that apprise knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, FiniteFloat
from pydantic_core import PydanticCustomError

from daflow.core.errors import InputError
from daflow.core.files import decode_text
from runtime.config.fields import Address, Periods, Section, TimeZone
from runtime.config.text_template import check_template
from runtime.config.weekly_schedule import WeeklySchedule, parse_period
from runtime.sources.redaction import HIDDEN, holds_secret, with_environment

Told = Literal["alarm", "alarm_end", "camera_state"]

_WITH_HOST = ("json", "jsons", "xml", "xmls", "form", "forms")  # whose host is one, and no token
_VARIABLES = re.compile(r"(?:[a-z][a-z0-9+]*://)?(?:\$\{[A-Za-z_]\w*\}[@:/]?)+")
_MAX_FILE = 65_536  # bytes


def _checked_template(text: str) -> str:
    try:
        check_template(text)
    except ValueError as error:
        raise PydanticCustomError("template", "{error}", {"error": str(error)}) from None
    return text


Template = Annotated[str, AfterValidator(_checked_template)]


class NotifyOptions(Section):
    """Messages to people: ntfy, Telegram, e-mail and whatever else apprise knows (pip install 'daflow[notify]')."""

    urls: tuple[Address, ...] = Field(
        (),
        description="Addresses of services as apprise writes them, such as ntfys://ntfy.sh/${NTFY_TOPIC}. ${NAME} is "
        "replaced by the environment variable of that name, for secrets.",
    )
    urls_file: Path | None = Field(None, description="File with more such addresses, one a line.")
    messages: tuple[Told, ...] = Field(
        ("alarm", "camera_state"),
        description="What is told: alarm (it begins), alarm_end, camera_state (lost, frozen, black, back, drifting; "
        "and that the disk is full).",
    )
    title: Template = Field("{camera}: {what}", description="Title of a message.")
    text: Template = Field(
        "{details}\n{time}\n{url}",
        description="Text of a message. Fields are {camera}, {what}, {details}, {time}, {score}, {rarity}, {why}, "
        "{seconds}, {reason}, {state}, {url} (of the page) and {id}; a line that is empty is left out.",
    )
    quiet: Periods = Field(
        (),
        description="Hours in which nobody is told, such as 'mon-fri 22:00-06:00'; what happens in them is stored, and "
        "not told later.",
    )
    time_zone: TimeZone = Field("UTC", description="Time zone of these hours, and of the times in the texts.")
    max_age_minutes: Annotated[FiniteFloat, Field(gt=0, le=1e6)] = Field(
        60.0, description="What is older, because a service was out of reach, is not told any more."
    )

    def quiet_hours(self) -> WeeklySchedule:
        """Return when nobody is told."""
        return WeeklySchedule([parse_period(text) for text in self.quiet], ZoneInfo(self.time_zone))


def notify_addresses(options: NotifyOptions) -> list[str]:
    """Return the addresses of all services, those of the file last, after each `${NAME}` was replaced.

    Raises:
        InputError: the file cannot be read, or a variable is missing.
    """
    urls = list(options.urls)
    if options.urls_file is not None:
        urls += _read(options.urls_file)
    return [with_environment(url, "An address of notify") for url in urls]


def _read(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            text = decode_text(stream.read(_MAX_FILE))
    except OSError as error:
        raise InputError(f"Cannot read the addresses of notify from {file}: {error.strerror}.") from error
    except ValueError:
        raise InputError(f"The file {file} with the addresses of notify is not text in UTF-8.") from None
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def holds_notify_secret(url: str) -> bool:
    """Whether an address may hold a secret that is written out: in most of them every part may be a token.

    >>> holds_notify_secret("tgram://${TELEGRAM_TOKEN}/${TELEGRAM_CHAT}"), holds_notify_secret("json://10.0.0.5:8080")
    (False, False)
    >>> holds_notify_secret("ntfy://my-house"), holds_notify_secret("json://user:geheim@10.0.0.5")
    (True, True)
    """
    if _VARIABLES.fullmatch(url):
        return False
    return url.partition("://")[0] not in _WITH_HOST or holds_secret(url, secret_path=True)


def hidden_notify(url: str) -> str:
    """Return an address without what may be a secret, in a form that is refused when it is read again."""
    scheme, colon, _ = url.partition("://")
    return f"{scheme}://{HIDDEN}" if colon and scheme.isalnum() else HIDDEN
