from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daflow.core.errors import InputError
from runtime.config.schema import Config
from runtime.events.configured_deliveries import build_deliveries


def config(**fields: object) -> Config:
    return Config.model_validate(
        {"bundle": "bundle", "cameras": {"door": {"source": "synthetic:"}}, **fields}
    )


def test_nothing_is_delivered_when_nothing_is_asked_for() -> None:
    assert build_deliveries(config()) == []


def test_each_delivery_that_is_asked_for_is_built(tmp_path: Path, mosquitto: Callable[..., Any]) -> None:
    deliveries = build_deliveries(
        config(
            events=tmp_path / "events.jsonl",
            print_events=True,
            webhook={"url": "http://127.0.0.1:1/"},
            mqtt={"host": "127.0.0.1", "port": mosquitto().port},
        )
    )
    assert [delivery.name for delivery in deliveries] == ["lines", "stdout", "webhook", "mqtt"]
    for delivery in deliveries:
        delivery.close()


def test_one_that_cannot_be_used_leaves_none_open(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="environment variable NO_SUCH_SECRET with the secret of the webhook is not"
    ):
        build_deliveries(
            config(
                events=tmp_path / "events.jsonl",
                webhook={"url": "http://127.0.0.1:1/", "secret_env": "NO_SUCH_SECRET"},
            )
        )
