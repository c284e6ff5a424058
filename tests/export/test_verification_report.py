"""The verification page: well-formed, self-contained, and true."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daflow.core.scoring.comparison import compare_scores
from daflow.core.scoring.limits import LIMITS, Limits, check_limits
from export.verification import Form, VerificationSet, VerifiedForm
from export.verification_report import report_page

ALL = ("folded", "fp32", "fp16", "int8")


def page(
    generated: VerificationSet,
    forms_of: Sequence[Form] = ALL,
    limits: Limits = LIMITS["fp16"],
    title: str = "shop",
) -> str:
    rng = np.random.default_rng(0)
    reference = generated.sets.score(lambda poses: np.abs(poses).max(axis=(1, 2, 3)))
    forms = []
    for name in forms_of:
        scores = tuple(nll + rng.normal(0, 0.001, len(nll)).astype(np.float32) for nll in reference)
        forms.append(VerifiedForm(name, check_limits(compare_scores(reference, scores), limits), scores))  # type: ignore[arg-type]
    return report_page(forms, reference, generated, title)


def test_the_page_is_whole_and_stands_alone(
    generated: VerificationSet, read_page: Callable[[str], Any]
) -> None:
    text = page(generated)
    parsed = read_page(text)
    assert parsed.ids == [*ALL]
    assert parsed.links == [f"#{name}" for name in parsed.ids]
    assert len(parsed.images) == 8
    for image in parsed.images:
        assert (
            Image.open(io.BytesIO(base64.b64decode(image.removeprefix("data:image/png;base64,")))).width > 500
        )
    assert not re.search(r"https?://", text)
    assert "All 4 forms rank people as the PyTorch model does" in text


def test_what_misses_its_limits_is_seen_first(generated: VerificationSet) -> None:
    text = page(generated, ("fp32", "fp16"), limits=Limits(spearman=1.5))
    assert "2 of 2 forms miss their limits: fp32, fp16" in text
    assert text.count('class="card bad"') == 2
    assert "<tr class=bad><td>rank correlation</td>" in text


def test_names_cannot_become_code(generated: VerificationSet, read_page: Callable[[str], Any]) -> None:
    nasty = dataclasses.replace(generated, origin="<script>alert(1)</script>")
    text = page(nasty, ("int8",), title='"><script>alert(2)</script>')
    assert "<script" not in text
    read_page(text)


def test_scores_that_are_no_numbers_are_drawn(
    generated: VerificationSet, read_page: Callable[[str], Any]
) -> None:
    reference = generated.sets.score(lambda poses: np.abs(poses).max(axis=(1, 2, 3)))
    broken = tuple(nll.copy() for nll in reference)
    broken[0][:10], broken[2][:] = np.nan, np.inf
    verdict = check_limits(compare_scores(reference, broken), LIMITS["int8"])  # type: ignore[arg-type]
    text = report_page([VerifiedForm("int8", verdict, broken)], reference, generated, "shop")  # type: ignore[arg-type]
    read_page(text)
    assert "miss their limits" in text


@pytest.mark.slow
def test_a_browser_shows_it(generated: VerificationSet, tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no Chromium is here")
    (tmp_path / "page.html").write_text(page(generated, ("fp16",)), encoding="utf-8")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1150,1400",
        f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'page.png'}",
    ]  # fmt: skip
    done = subprocess.run(
        [browser, *flags, str(tmp_path / "page.html")], capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0
    picture = np.asarray(Image.open(tmp_path / "page.png").convert("RGB"))
    green = (picture == (0x2A, 0x7D, 0x4F)).all(axis=2)
    assert green.sum() > 10_000  # the verdict
