"""The page behind reverse proxies that put it below a prefix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from .browser import Feeder, Page
from .conftest import World, fetch, log_in, wait_for
from .reverse_proxies import NGINX, PREFIX, nginx, small_proxy

MakeProxy = Callable[[str], AbstractContextManager[str]]


@pytest.fixture(params=["small", "nginx"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> MakeProxy:
    if request.param == "small":
        return small_proxy
    if NGINX is None:
        pytest.skip("nginx is not here")
    return lambda upstream: nginx(upstream, tmp_path)


@pytest.fixture
def fed(world: World) -> Iterator[Feeder]:
    world.add("yard", seed=3)
    with Feeder(world) as feeder:
        yield feeder


def test_the_whole_page_works_behind_a_prefix(
    fed: Feeder, page: Page, proxy: MakeProxy, token: str, rng: Any
) -> None:
    fed.image = rng.integers(100, 255, (90, 160, 3), dtype="uint8")
    fed.world.alarm("yard")
    with fed.world.serve("pictures", guarded_by="PAGE_TOKEN") as served, proxy(served.url) as url:
        wait_for(lambda: _answers(url))
        page.open(url)
        assert page.browser.current_url == url + "login"
        assert page.run("return getComputedStyle(document.querySelector('main')).display") == "grid", (
            "the style"
        )
        page.browser.find_element("id", "token").send_keys("wrong horse\n")
        wait_for(lambda: "The token is wrong" in page.run("return document.body.innerText"))
        page.browser.find_element("id", "token").send_keys(token + "\n")
        wait_for(lambda: page.browser.current_url == url and page.text("headline") == "No alarm")
        wait_for(lambda: page.ink("big-canvas", "calm") > 100)
        wait_for(lambda: "pose" in page.text("stages"))
        (cookie,) = page.browser.get_cookies()
        assert (cookie["path"], cookie["httpOnly"], cookie["secure"]) == (PREFIX.rstrip("/"), True, False)
        page.run("document.querySelector('#alarm-list button').click()")
        wait_for(lambda: page.ink("replay-canvas", "alarm") > 100)
        page.run("document.getElementById('replay-close').click()")
        names = page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert {name.removeprefix(url).partition("?")[0] for name in names} >= {
            "static/app.js", "static/style.css", "api/health", "api/history", "api/alarms", "picture/entrance.jpg",
        }  # fmt: skip
        assert all(name.startswith((url, "blob:")) for name in names)
        page.browser.find_element("css selector", "#logout button").click()
        wait_for(lambda: page.browser.current_url == url + "login")
        assert page.browser.get_cookies() == []
        said = [error for error in page.errors() if "401" not in error]  # of the refused token
        assert said == []
    page.open("about:blank")


def _answers(url: str) -> bool:
    try:
        return fetch(url, "health")[0] == 200
    except Exception:  # noqa: BLE001  # not yet
        return False


def test_a_proxy_that_is_trusted_tells_the_visitors_apart(
    world: World, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if NGINX is None:
        pytest.skip("nginx is not here")
    monkeypatch.setattr("runtime.web.token_throttle._PAUSE", 60)  # whoever waits has failed
    real = "set_real_ip_from 127.0.0.1; real_ip_header X-Real;"  # lets the test be several visitors
    with (
        world.serve(
            guarded_by="PAGE_TOKEN", trusted_proxies=("127.0.0.0/8",), hosts=("watch.example",)
        ) as served,
        nginx(served.url, tmp_path, "https", real) as url,
    ):
        wait_for(lambda: _answers(url))

        def guess(visitor: str, said: str = "") -> int:
            headers = {"X-Real": visitor, "X-Forwarded-For": said, "Host": "watch.example"}
            return log_in(url, "wrong guess", **headers).status

        assert [guess("203.0.113.7", f"198.51.100.{n}") for n in range(5)] == [401] * 5, (
            "what it says is not believed"
        )
        assert guess("203.0.113.8") == 401
        answer = log_in(url, token, **{"X-Real": "203.0.113.8", "Host": "watch.example"})
        assert answer.status == 303
        assert "Secure" in answer.headers["set-cookie"].split("; ")


def test_no_file_of_the_page_names_an_address_at_the_root() -> None:
    folder = Path(__file__).parents[3] / "runtime" / "web" / "static"
    for path in folder.iterdir():
        assert not re.search(r"""(["'`(]|action=|href=|src=)/[a-z]""", path.read_text(encoding="utf-8")), (
            path.name
        )
