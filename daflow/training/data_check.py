"""Is there enough normal data?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_TOLERANCE = 0.1  # bits/dim, well below what separates abnormal from normal


_MIN_PEOPLE = 10


def enough_data(
    nll: npt.NDArray[np.float32], clip: npt.NDArray[np.int64], person: npt.NDArray[np.int64]
) -> str:
    """Say whether there is enough normal data, with a number.

    Windows of one person overlap and resemble each other, so it is people that count. The spread of their mean scores
    says how well their common mean, what is normal, is known (its standard error), and how many people it takes to
    know it within the tolerance.

    Args:
        nll: `(N,)` scores of normal windows, bits per dimension.
        clip: `(N,)` their clips.
        person: `(N,)` their people; a person is another one in each clip.
    """
    _, track = np.unique(np.stack([clip, person]), axis=1, return_inverse=True)
    means = np.bincount(track, nll) / np.bincount(track)
    people = len(means)
    if people < _MIN_PEOPLE:
        return f"WARNING: {people} tracks of people are too few to say what is normal; {_MIN_PEOPLE} are the least"
    spread = float(means.std(ddof=1))
    enough = max(_MIN_PEOPLE, int(np.ceil((spread / _TOLERANCE) ** 2)))
    known = f"their mean scores differ by {spread:.2f} bits/dim, so normal is known to +-{spread / people**0.5:.3f}"
    if people >= enough:
        return (
            f"enough normal data: {people} tracks of people; {known} (+-{_TOLERANCE} wanted: {enough} tracks)"
        )
    return (
        f"WARNING: {people} tracks of people are little normal data: {known}. About {enough} tracks would make that "
        f"+-{_TOLERANCE}; record more people, at other hours too."
    )
