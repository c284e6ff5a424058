"""The section `serve` of the configuration: the live page and who may see it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from runtime.config.fields import Section
from runtime.config.web_addresses import HostNames, Networks, WebUrl

_NOT_FOR_OTHERS = frozenset({"0.0.0.0", "::", "::1", "localhost"})  # noqa: S104  not bound here


class ServeOptions(Section):
    """The live page, the metrics and the health of the service."""

    address: str | None = Field(
        None,
        pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$",
        description="HOST:PORT of the live page, /metrics, /health and /ready; other than loopback needs a token.",
    )
    token_file: Path | None = Field(
        None,
        description="File with the operator's token: who gives it sees the page, and may change something there.",
    )
    token_env: str | None = Field(None, description="Environment variable with this token.")
    viewer_token_file: Path | None = Field(
        None,
        description="File with the viewers' token: who gives it sees the page, and changes nothing.",
    )
    viewer_token_env: str | None = Field(None, description="Environment variable with the viewers' token.")
    page_url: WebUrl | None = Field(
        None,
        description="Address at which people open the page, such as https://watch.example.org/, for links in Home "
        "Assistant and in notifications; unset, that of --serve if other machines can use it.",
    )
    hosts: HostNames = Field(
        (),
        description="Names, beside loopback, that visitors may use for the page, without port, such as "
        "watch.example.org behind a reverse proxy. Unset, a page at loopback answers to loopback names only, any other "
        "page to every name.",
    )
    trusted_proxies: Networks = Field(
        (),
        description="Addresses or networks of reverse proxies, such as 127.0.0.1, whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed; unset, all visitors behind a proxy count as one.",
    )

    @property
    def known_url(self) -> str | None:
        """The address at which people open the page; None where it is not known or only for this machine."""
        if self.page_url or not self.address:
            return self.page_url
        host = self.address.rpartition(":")[0].strip("[]")
        return None if host in _NOT_FOR_OTHERS or host.startswith("127.") else f"http://{self.address}/"
