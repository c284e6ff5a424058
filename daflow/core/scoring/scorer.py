"""The protocol of scorers: anything that scores windows, on any engine."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from daflow.core.data.windows import Poses


class Scorer(Protocol):
    """Scores windows; a context manager that owns its engine and memory.

    Attributes:
        name: the engine and the precision, such as `onnxruntime fp32`.
    """

    name: str

    def score(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the nll of normalised windows `(B, 2, T, 18)` as `(B,)`; B may be 0 and may change."""
        ...

    def __enter__(self) -> Scorer: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
