"""The model card of a bundle: front matter, figures of the manifest, and names that cannot add anything to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daflow.core.alarms.provisional import SUMMARY, HeldOutScores, provisional_alarm
from daflow.core.bundle import Manifest, read_bundle
from daflow.core.errors import InputError
from daflow.core.evidence import CHANNELS, EvidenceFacts
from export.model_card import CARD, model_card

SCORES = HeldOutScores(windows=400, people=9, median=1.0, q99=1.5, q999=2.0, highest=2.25)
TRAINING = {
    "data": "hall", "windows": 4000, "clips": 12, "held_out": 400, "epochs": 48, "best_epoch": 40, "seed": 7,
    "nll_held_out": -1.25, SUMMARY: SCORES.model_dump(),
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest(exported: Path) -> Manifest:
    return read_bundle(exported).manifest


def front_matter(card: str) -> dict[str, object]:
    """The simple YAML between the first two lines of ---: texts, and one list."""
    _, block, _ = card.split("---\n", 2)
    found: dict[str, object] = {}
    for line in block.splitlines():
        if line.startswith("- "):
            values = found.setdefault("tags", [])
            assert isinstance(values, list)
            values.append(line[2:])
        elif value := line.partition(":")[2].strip():
            found[line.partition(":")[0]] = value
    return found


def test_the_card_is_in_the_bundle_and_its_hash_protects_it(bundle_copy: Path) -> None:
    bundle = read_bundle(bundle_copy)
    assert CARD in bundle.manifest.files
    assert (bundle_copy / CARD).read_text() == model_card(bundle.manifest, "bundle")
    (bundle_copy / CARD).write_text("another card")
    with pytest.raises(InputError, match=r"MODEL_CARD\.md was changed"):
        read_bundle(bundle_copy)


def test_the_front_matter_is_what_hugging_face_reads(manifest: Manifest) -> None:
    found = front_matter(model_card(manifest, "bundle"))
    tags = found.pop("tags")
    assert found == {"library_name": "daflow", "pipeline_tag": "other"}
    assert isinstance(tags, list)
    assert "video-anomaly-detection" in tags


def test_it_tells_the_figures_of_the_manifest(manifest: Manifest) -> None:
    told = manifest.model_copy(
        update={
            "training": TRAINING, "fps": 12.5, "alarm": provisional_alarm(TRAINING, 12.5),
            "evidence": EvidenceFacts(channels=CHANNELS, windows=3600),
        }
    )  # fmt: skip
    card = model_card(told, "hall")
    for words in (
        "# `hall`", "score in bits.", "- shape: how unusual", "window: 24 poses", "12.5 frames per second",
        "joints: openpose18", "data: `hall`", "windows: 4000", "clips: 12", "epochs: 48", "seed: 7",
        "held out: -1.250 bits/dim", "400 windows of 9 people held out: median 1.000",
        "provisional threshold, 3.000 bits, from 400 windows", "may change later", "daflow.load(",
        "daflow-edge --bundle", "Apache License 2.0",
    ):  # fmt: skip
        assert words in card
    for form, verdict in manifest.verification.items():
        row = next(line for line in card.splitlines() if line.startswith(f"| {form} |"))
        assert f"{verdict.comparison.spearman:.6f} | {verdict.comparison.tail_spearman:.6f}" in row
        assert row.endswith("| verified |")


def test_what_is_not_known_is_not_told(manifest: Manifest) -> None:
    card = model_card(manifest.model_copy(update={"training": {"seed": "7\n## x", "windows": True}}), "b")
    assert "frame rate: not known" in card
    assert "data: `unknown`" in card
    assert "seed" not in card
    assert "exported without a threshold" in card


def test_names_add_no_markup_and_no_path(manifest: Manifest) -> None:
    training = {"data": "/home/mallory/`a`\n# b|<script>"}
    card = model_card(manifest.model_copy(update={"training": training}), "x\n---\n# y")
    assert "data: `'a'\\n# b/<script>`\n" in card
    assert "mallory" not in card
    assert [line for line in card.splitlines() if line.startswith("# ")] == ["# `x\\n---\\n# y`"]
