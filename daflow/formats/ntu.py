"""NTU RGB+D: `.skeleton` files of the Kinect v2, one a clip, with 25 joints of each body in each frame.

The form is that of `read_skeleton_file.m` of the data set (https://github.com/shahroudy/NTURGB-D, arXiv 1604.02808):
the number of frames; in each frame the number of bodies; of each body a line that begins with its id, the number of
joints, and a line a joint: x, y, z in metres, x, y in the depth picture, x, y in the colour picture, an orientation of
four numbers, and whether it was tracked (2), inferred (1) or neither (0). The places in the colour picture are taken,
which is 1920 x 1080, at 30 frames per second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from daflow.core.data.frame_rate import FrameRate
from daflow.core.errors import InputError
from daflow.core.files import decode_text
from daflow.core.log import shortened
from daflow.formats.layouts import LAYOUTS
from daflow.formats.recording import Array, Options, Poses, Recording

_FPS = 30.0
_SIZE = (1920, 1080)
_JOINTS = 25
_X, _Y, _STATE = 5, 6, 11  # of a joint's numbers
_CONFIDENCE = (0.0, 0.5, 1.0)
_MAX_BODIES = 6  # the Kinect follows six


def read_skeletons(path: Path, content: bytes, options: Options) -> list[Recording]:
    """Read a file; bodies are numbered in the order in which they appear, as their ids have 17 digits.

    Raises:
        InputError: it is not of this form; the message names the line.
    """
    if options.layout not in (None, LAYOUTS["ntu"]):
        raise InputError(f"{path} has the joints of NTU, so no other --layout is possible.")
    try:
        lines = _Lines(path, decode_text(content))
    except ValueError as error:
        raise InputError(f"{path} is no .skeleton file: {error}.") from None
    collected, people = Poses(path), dict[str, int]()
    for frame in range(lines.count("frames")):
        for _ in range(lines.count("bodies", _MAX_BODIES)):
            body, *_ = lines.words(1)
            if (joints := lines.count("joints")) != _JOINTS:
                raise InputError(f"{lines.where} says {joints} joints, and NTU's skeletons have {_JOINTS}.")
            pose = np.stack([lines.joint() for _ in range(_JOINTS)])
            collected.add(frame, pose, people.setdefault(body, len(people)))
    recording = collected.recording("NTU skeletons", LAYOUTS["ntu"], frame_size=_SIZE)
    return [replace(recording, rate=FrameRate.constant(_FPS))]


class _Lines:
    """The lines of a file that are not empty, one by one: a list of all words would take many times as much memory."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = self._split(text)
        self._number = 0

    def _split(self, text: str) -> Iterator[list[str]]:
        begin = 0
        while begin < len(text):
            end = text.find("\n", begin) + 1 or len(text)
            self._number += 1
            if words := text[begin:end].split(maxsplit=_STATE + 1):
                yield words
            begin = end

    @property
    def where(self) -> str:
        return f"{self._path}, line {self._number}"

    def words(self, least: int) -> list[str]:
        words = next(self._lines, None)
        if words is None:
            raise InputError(f"{self._path} ends before its last frame.")
        if len(words) < least:
            raise InputError(f"{self.where} has {len(words)} numbers, and {least} are needed.")
        return words

    def count(self, what: str, most: int | None = None) -> int:
        word = self.words(1)[0]
        if not (word.isascii() and word.isdigit() and len(word) < 9) or (
            most is not None and int(word) > most
        ):
            raise InputError(f"{self.where}: {shortened(word, 20)} is not the number of {what}.")
        return int(word)

    def joint(self) -> Array:
        words = self.words(_STATE + 1)
        try:
            x, y, state = (float(words[place]) for place in (_X, _Y, _STATE))
        except ValueError:
            raise InputError(f"{self.where} holds what is not a number.") from None
        if state not in (0, 1, 2):
            raise InputError(f"{self.where}: the state of a joint is {state:g}, and 0, 1 and 2 are known.")
        return np.array([x, y, _CONFIDENCE[int(state)]])
