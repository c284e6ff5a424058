"""What a reload changes where the model is another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daflow.core.bundle import Bundle
from runtime.config.schema import Config
from runtime.service.reload import plan_reload


@pytest.mark.parametrize(
    ("change", "restarted"), [({}, ()), ({"window": 36}, ("door", "hall")), ({"fps": 12.5}, ("door", "hall"))]
)
def test_another_model_is_taken_and_cameras_restart_only_for_other_windows(
    bundle: Bundle, change: dict[str, Any], restarted: tuple[str, ...]
) -> None:
    cameras = {name: {"source": "synthetic:"} for name in ("door", "hall")}
    config = Config.model_validate({"bundle": bundle.folder, "cameras": cameras})
    files = {**bundle.manifest.files, "scorer.fp32.onnx": "0" * 64}
    manifest = bundle.manifest.model_copy(update={"files": files, **change})
    plan = plan_reload(config, bundle, config, Bundle(bundle.folder, manifest))
    assert plan.new_model
    assert plan.deciders == ("door", "hall")
    assert plan.workers == restarted


def test_who_is_commissioned_changes_at_once_and_where_needs_a_restart(
    bundle: Bundle, tmp_path: Path
) -> None:
    def config_of(folder: str, commission: bool) -> Config:
        camera = {"source": "synthetic:", "commission": commission}
        commissioning = {"folder": tmp_path / folder}
        return Config.model_validate({"cameras": {"door": camera}, "commissioning": commissioning})

    old, new = config_of("a", True), config_of("b", False)
    plan = plan_reload(old, bundle, new, bundle)
    assert plan.needs_restart == ("commissioning",)
    assert plan.config.commissioning.folder == tmp_path / "a"
    assert plan.config.commissioned_cameras == ()
    assert (plan.workers, plan.new_model) == ((), False)
