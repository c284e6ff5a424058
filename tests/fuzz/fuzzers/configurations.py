"""Configurations of daflow-edge: read, checked, and printed so that they can be read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from runtime.config.file import make_config, to_toml
from runtime.config.schema import Config
from runtime.sources.uri import check_present, is_live, needs_poses

from ..fuzzer import Check, Fuzzer
from ..inputs import Input, mutated, mutated_lines

_SMALL = """\
bundle = "bundle"

[cameras.door]
source = "rtsp://10.0.0.5/live"

[cameras."Küche 1"]
source = "synthetic:seed=3,event=fall"
alarm.threshold = 2.5
fps = 12.5

[mqtt]
host = "127.0.0.1"
topic = "daflow"

[serve]
address = "127.0.0.1:8080"
hosts = ["watch.example.org"]
trusted_proxies = ["10.0.0.0/8"]
"""


def _whole() -> str:
    """Return every field, also those that are not set."""
    config = Config.model_validate({"bundle": "bundle", "cameras": {"door": {"source": "camera.mp4"}}})
    lines = to_toml(config).splitlines()
    unset = {"#": "", "=": '= "x"'}
    return "\n".join(
        line.replace("#", unset["#"], 1).replace("=", unset["="]) if line.endswith("=") else line
        for line in lines
        if not line.startswith("# ")
    )


def _seeds() -> list[Input]:
    topic = f'topic = "{"a" * 70_000}"'
    return [
        Input("valid.toml", _SMALL.encode()),
        Input("whole.toml", _whole().encode()),
        Input("topic.toml", _SMALL.replace('topic = "daflow"', topic).encode()),
        Input("source.toml", _SMALL.replace("rtsp://10.0.0.5/live", "a" * 70_000).encode()),
        Input("nested.toml", (_SMALL + "a = " + "[" * 100_000).encode()),
    ]


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    small = [each for each in inputs if len(each.content) < 20_000]
    texts = [each.content.decode("utf-8", "replace") for each in small]
    return mutated(small, lambda kind, contents: mutated_lines([text for text in texts if text.strip()]))


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    def check(given: Input) -> None:
        path = folder / "edge.toml"
        path.write_bytes(given.content)
        config = make_config(path, {}, {})
        printed = to_toml(config)
        path.write_text(printed, encoding="utf-8")
        assert to_toml(make_config(path, {}, {})) == printed, "what is printed is read as something else"
        for name in config.cameras:
            source = config.camera(name).source
            is_live(source)
            needs_poses(source)
            check_present(source)

    yield check


FUZZER = Fuzzer(_seeds, _mutated, _opened)
