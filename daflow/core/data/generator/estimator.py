"""The errors of pose estimators: jitter, slow errors, wrong joints, swapped legs, hidden joints and missed people.

The sizes and rates were fitted to the normal recordings of AI-Hub (AlphaPose, the clips to train on) and of 31 shop
cameras (YOLO-pose) by statistics alone: quantiles of the third difference of joints between frames, of confidences and
of gaps. No recording is part of the project.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.generator.body import Array
from daflow.core.data.tracks import Track

Mask = npt.NDArray[np.bool_]

_JITTER = np.array(
    [0.0024, 0.0024, 0.0024, 0.0019, 0.0019, 0.002, 0.002, 0.0034, 0.0034, 0.0043, 0.0043, 0.0028, 0.0028, 0.003, 0.003,
     0.0028, 0.0028]
)  # fmt: skip
"""Of each joint, as a fraction of the person's height; the median of AI-Hub's tracks."""

_WRONG, _GUESSED = 0.2, 0.06
"""How far joints are off that are wrong for a moment, and that are hidden, as fractions of the person's height."""

_LEGS_SWAPPED = [*range(11), 12, 11, 14, 13, 16, 15]


@dataclass(frozen=True)
class Estimator:
    """A pose estimator.

    Attributes:
        jitter: how much it trembles, as a multiple of AI-Hub's median.
        slow: standard deviation of errors that last, as a fraction of the person's height.
        slow_seconds: how long they last.
        pixels: standard deviation of errors that do not shrink with the person, pixels.
        wrong: how often a second a joint is somewhere else for a moment.
        swapped: how often a second left and right legs are taken for each other for a moment.
        missed: how often a second somebody is missed for a moment.
        guesses_hidden: whether joints that are hidden are guessed; else they are at 0, 0 with a confidence of 0.
    """

    jitter: float = 1.0
    slow: float = 0.01
    slow_seconds: float = 0.4
    pixels: float = 0.2
    wrong: float = 0.06
    swapped: float = 0.03
    missed: float = 0.12
    guesses_hidden: bool = True

    @classmethod
    def random(cls, rng: np.random.Generator) -> Estimator:
        """Draw one, of the spread between the recordings that the numbers were fitted to."""
        return cls(
            jitter=rng.lognormal(-0.9, 1.0),
            slow=0.01 * rng.lognormal(0, 0.4),
            slow_seconds=rng.uniform(0.2, 0.8),
            pixels=rng.uniform(0.02, 0.3),
            wrong=0.06 * rng.lognormal(0, 0.7),
            swapped=0.03 * rng.lognormal(0, 0.7),
            missed=0.12 * rng.lognormal(0, 0.7),
            guesses_hidden=bool(rng.random() < 0.7),
        )

    def observe(
        self,
        rng: np.random.Generator,
        person: int,
        pixels: Array,
        hidden: Mask,
        frame_size: FrameSize,
        fps: float,
    ) -> Track:
        """Return the track that it makes of somebody.

        Args:
            rng: where the errors come from.
            person: the number of the track.
            pixels: `(frames, 17, 2)` where the joints are.
            hidden: `(frames, 17)` which of them the camera does not see.
            frame_size: width and height of the picture in pixels.
            fps: frames per second.
        """
        frames = len(pixels)
        size = np.ptp(pixels, axis=1).max(axis=1)[:, None, None]
        swapped = _moments(rng, (frames, 1), self.swapped, 0.2, fps)[:, 0]
        places = pixels.copy()
        places[swapped] = pixels[swapped][:, _LEGS_SWAPPED]
        white = rng.standard_normal(pixels.shape)
        error = size * (
            self.jitter * _JITTER[:, None] * white + self.slow * self._slow(rng, pixels.shape, fps)
        )
        wrong = _moments(rng, (frames, 17), self.wrong, 0.25, fps)
        guessed = wrong | hidden
        away = (_WRONG * wrong + _GUESSED * hidden)[..., None]
        error += size * away * self._slow(rng, pixels.shape, fps)
        error += self.pixels * rng.standard_normal(pixels.shape)
        places = np.clip(places + error, 0, np.array(frame_size) - 1.0)
        confidence = np.where(
            guessed, rng.uniform(0.1, 0.6, hidden.shape), rng.uniform(0.72, 0.97, hidden.shape)
        )
        if not self.guesses_hidden:
            places[hidden], confidence[hidden] = 0.0, 0.0
        outside = ((pixels < 0) | (pixels > frame_size)).any(axis=2)
        missed = _moments(rng, (frames, 1), self.missed, 0.12, fps)[:, 0]
        seen = ~missed & ((outside | hidden).mean(axis=1) < 0.4)
        keypoints = np.concatenate([places, confidence[..., None]], axis=2)[seen].astype(np.float32)
        return Track(person, np.flatnonzero(seen), keypoints, keypoints[..., 2].mean(axis=1))

    def _slow(self, rng: np.random.Generator, shape: tuple[int, ...], fps: float) -> Array:
        """Noise of unit variance whose values are alike for `slow_seconds`."""
        frames = self.slow_seconds * fps
        before = int(10 * frames)  # after which it is forgotten how the noise began
        noise = rng.standard_normal((before + shape[0], *shape[1:]))
        smooth = _averaged(_averaged(noise, frames), frames)[before:]
        return np.asarray(smooth / max(smooth.std(), 1e-9))


def _averaged(noise: Array, frames: float) -> Array:
    """Average noise over so many past frames, exponentially."""
    keep = np.exp(-1 / frames)
    smooth = noise * (1 - keep)
    for frame in range(1, len(noise)):
        smooth[frame] += keep * smooth[frame - 1]
    return np.asarray(smooth)


def _moments(
    rng: np.random.Generator, shape: tuple[int, int], rate: float, seconds: float, fps: float
) -> Mask:
    """Draw moments that begin `rate` times a second and last `seconds` in the mean, `(frames, columns)`."""
    found = np.zeros(shape, dtype=np.bool_)
    starts, which = np.nonzero(rng.random(shape) < rate / fps)
    lasts = rng.geometric(min(1.0, 1 / (seconds * fps)), len(starts))
    for start, column, length in zip(starts, which, lasts, strict=True):
        found[start : start + length, column] = True
    return found
