"""Models of the Hugging Face Hub, `hf://owner/name`: only the files of a bundle or of safetensors weights are fetched.

What is fetched is read as any other file from a stranger: a bundle by its hashes, weights without running code. Files
of `torch.save` are not taken from there. huggingface_hub keeps what it fetched in its own cache, and has the settings
of the network and of the account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daflow.core.bundle import MANIFEST
from daflow.core.errors import InputError, unusable_package
from daflow.core.files import StrPath
from daflow.core.log import shortened
from daflow.core.scoring.comparison import PRECISIONS

SCHEME = "hf://"
WEIGHTS = "model.safetensors"
FILES = (
    MANIFEST, *(f"scorer.{precision}.onnx" for precision in PRECISIONS), "int8.ranges.json", "verification.html",
    "MODEL_CARD.md", WEIGHTS,
)  # fmt: skip
"""What is fetched, if it is there: every file that a bundle may name, and weights alone."""

_MAX_BYTES = 256 << 20  # as of a checkpoint and of a graph where they are read

_WORD = r"[A-Za-z0-9_][A-Za-z0-9._-]*"  # not "..", and nothing that a pattern of file names gives a meaning
_NAME = re.compile(rf"hf://({_WORD}/{_WORD})((?:/{_WORD})*)(?:@({_WORD}(?:/{_WORD})*))?")


def is_hub_name(model: StrPath) -> bool:
    """Whether a name is of a model of the Hub.

    >>> is_hub_name("hf://owner/name"), is_hub_name("model.pt")
    (True, False)
    """
    return isinstance(model, str) and model.startswith(SCHEME)


def fetch(model: str) -> Path:
    """Fetch a model of the Hub, and return its bundle folder or its file of weights in the cache.

    A bundle goes before weights beside it. What is in the cache already is not fetched again.

    Args:
        model: `hf://owner/name`, with `/folder` in the repository and `@revision` behind it where they are needed.

    Raises:
        InputError: the name has another form, huggingface_hub is not installed, the repository cannot be reached, or it
            holds neither a bundle nor `model.safetensors`.
    """
    found = _NAME.fullmatch(model)
    if found is None:
        raise InputError(
            f"{shortened(model)} is not the name of a model of the Hugging Face Hub: hf://owner/name, with /folder and "
            "@revision behind it where they are needed."
        )
    repository, folder, revision = found[1], found[2].strip("/"), found[3]
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ImportError as error:
        raise unusable_package(error, "huggingface_hub", "hub") from error
    wanted = {f"{folder}/{name}" if folder else name: name for name in FILES}
    with _explained(model):
        # The sizes first, and then the files of that very commit: a stranger's file may be larger than the disk.
        info = HfApi().model_info(repository, revision=revision, files_metadata=True)
        sizes = {file.rfilename: file.size for file in info.siblings or () if file.rfilename in wanted}
        for name, size in sizes.items():
            if size is None or size > _MAX_BYTES:
                raise ValueError(f"{name} is larger than {_MAX_BYTES >> 20} MiB, or its size is not known")
        if MANIFEST in {wanted[name] for name in sizes}:
            sizes = {name: size for name, size in sizes.items() if wanted[name] != WEIGHTS}
        place = Path(snapshot_download(repository, revision=info.sha, allow_patterns=[*sizes])) / folder
    if (place / MANIFEST).is_file():
        return place
    if (place / WEIGHTS).is_file():
        return place / WEIGHTS
    raise InputError(f"{model} holds neither a bundle ({MANIFEST}) nor {WEIGHTS}.")


@contextmanager
def _explained(model: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # its own classes, those of its HTTP client, and OSError for the disk
        reason = next(iter(str(error).strip().splitlines()), "")
        raise InputError(
            f"{model} cannot be fetched: {shortened(reason, 300) or type(error).__name__}"
        ) from error
