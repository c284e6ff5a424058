"""Compare each graph of a pose bundle with the network as it was published, on pictures of people."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from daflow.core.errors import InputError
from daflow.core.pose_bundle import NetworkName, PoseComparison, PoseLimits, PoseVerdict
from daflow.core.scoring.comparison import Precision
from export.pose.assembly import Normalisation, head_alone
from export.pose.layouts import BLAZEPOSE_JOINTS, COCO_JOINTS, IMAGES, Layout
from export.pose.nodes import PREFIX
from export.pose.originals import Original, first_line
from export.pose.people_pictures import FOUND, SAME, distinct
from runtime.poses.boxes import matches, overlaps

BATCH = 8
_BODY = 8.0  # pixels; the least height of a body that errors are divided by

Images = npt.NDArray[np.uint8]
Results = dict[str, npt.NDArray[np.float32]]

LIMITS: dict[NetworkName, dict[Precision, PoseLimits]] = {
    "landmarks": {
        "fp32": PoseLimits(median_error=0.01, p99_error=0.1, visibility_error=0.001, agreement=0.995),
        "fp16": PoseLimits(median_error=0.2, p99_error=2, visibility_error=0.01, agreement=0.98),
        "int8": PoseLimits(median_error=1.5, p99_error=10, visibility_error=0.05, agreement=0.95),
    },
    "detector": {  # the errors of joints are those of yolo-pose, which may be as large as the overlap lets boxes move
        "fp32": PoseLimits(
            median_error=0.05,
            p99_error=0.5,
            visibility_error=0.001,
            agreement=0.995,
            overlap=0.999,
            score_error=0.001,
        ),
        "fp16": PoseLimits(
            median_error=1, p99_error=5, visibility_error=0.01, agreement=0.97, overlap=0.98, score_error=0.01
        ),
        "int8": PoseLimits(
            median_error=5, p99_error=20, visibility_error=0.05, agreement=0.9, overlap=0.9, score_error=0.05
        ),
    },
}


def parse_pose_limits(settings: Mapping[str, float]) -> dict[NetworkName, dict[Precision, PoseLimits]]:
    """Return the default limits with some replaced.

    Args:
        settings: `{"landmarks.fp16.median_error": 0.3}`.

    Raises:
        InputError: a limit does not exist.

    >>> parse_pose_limits({"detector.int8.overlap": 0.8})["detector"]["int8"].overlap
    0.8
    """
    limits = {network: dict(precisions) for network, precisions in LIMITS.items()}
    for name, value in settings.items():
        network, _, rest = name.partition(".")
        precision, _, field = rest.partition(".")
        default = limits.get(network, {}).get(precision)  # type: ignore[call-overload]
        if default is None or getattr(default, field, None) is None:
            raise InputError(
                f"{name!r} is not a limit. Use landmarks.PRECISION.NAME=VALUE, where NAME is one of median_error, "
                "p99_error, visibility_error, agreement, or detector.PRECISION.NAME=VALUE, where NAME is one of "
                "agreement, overlap, score_error, and with yolo-pose also one of those of landmarks. PRECISION is "
                "fp32, fp16 or int8."
            )
        limits[network][precision] = default.model_copy(update={field: value})  # type: ignore[index]
    return limits


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn the errors of ONNX Runtime, which has a class for each reason, into one sentence."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  ONNX Runtime has many classes
        raise InputError(f"ONNX Runtime cannot compute the graph: {first_line(error)}.") from None


class GraphRunner:
    """Runs a graph of a pose bundle with ONNX Runtime.

    Args:
        model: the graph, or the content of its file.

    Raises:
        InputError: ONNX Runtime cannot compute it.
    """

    def __init__(self, model: onnx.ModelProto | bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        content = model if isinstance(model, bytes) else model.SerializeToString()
        with _explained():
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, images: Images) -> Results:
        """Return the outputs by name for images `(N, H, W, 3)`."""
        return self.feed({IMAGES: images})

    def feed(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Results:
        """Return the outputs by name for inputs by name, computed in batches."""
        count = len(next(iter(inputs.values())))
        with _explained():
            parts = [
                self._session.run(
                    self._names, {name: value[first : first + BATCH] for name, value in inputs.items()}
                )
                for first in range(0, count, BATCH)
            ]
        return {
            name: np.concatenate(values)
            for name, values in zip(self._names, zip(*parts, strict=True), strict=True)
        }


def run_original(original: Original, layout: Layout, normalisation: Normalisation, images: Images) -> Results:
    """Return what the network as it was published makes of images `(N, H, W, 3)`, in the outputs of the layout."""
    head = GraphRunner(head_alone(original.network, layout))
    mean, std = np.array(normalisation.mean, np.float32), np.array(normalisation.std, np.float32)
    results = []
    for first in range(0, len(images), BATCH):
        pixels = images[first : first + BATCH]
        pixels = pixels[..., ::-1] if normalisation.channels == "bgr" else pixels
        raw = original.run(np.ascontiguousarray((pixels.astype(np.float32) - mean) / std))
        results.append(head.feed({PREFIX + name: value.astype(np.float32) for name, value in raw.items()}))
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def compare_landmarks(expected: Results, found: Results, joints: int) -> PoseComparison:
    """Compare the landmarks of crops; errors are those of crops in which the original sees a person."""
    seen = seen_presence(joints)
    person = expected["presence"] >= seen
    agreement = float(np.mean(person == (found["presence"] >= seen)))
    non_finite = _non_finite(found)
    if non_finite or not person.any():
        return PoseComparison(
            pictures=len(person), people=int(person.sum()), non_finite=non_finite, agreement=agreement
        )
    return PoseComparison(
        pictures=len(person),
        people=int(person.sum()),
        agreement=agreement,
        **_joint_errors(expected, found, person, joints),
    )


def seen_presence(joints: int) -> float:
    """Return the presence from which on a person counts as seen.

    It is a probability with the joints of BlazePose, and the mean confidence of the joints with others.
    """
    return 0.5 if joints == BLAZEPOSE_JOINTS else 0.3


def landmark_errors(expected: Results, found: Results, joints: int) -> npt.NDArray[np.float32]:
    """Return the distance of each point from where it is expected, `(..., K)`, in percent of the body's height."""
    points = expected["keypoints"][..., :2]
    body = np.maximum(np.ptp(points[..., :joints, :], axis=-2).max(axis=-1), _BODY)
    distance = np.linalg.norm(points - found["keypoints"][..., :2], axis=-1)
    errors: npt.NDArray[np.float32] = 100 * distance / body[..., None]
    return errors


def mean_difference(expected: Results, found: Results, layout: Layout) -> float:
    """Return one number for how much outputs differ, in percent, to order the operations of a network by."""
    if _non_finite(found):
        return float("inf")
    if layout.role == "landmarks":
        presence = 100 * np.abs(expected["presence"] - found["presence"]).mean()
        person = expected["presence"] >= seen_presence(layout.joints)
        points = landmark_errors(expected, found, layout.joints)[person]
        return float(presence + (points.mean() if points.size else 0.0))
    strong = expected["scores"] >= FOUND
    if not strong.any():
        return float(100 * np.abs(expected["scores"] - found["scores"]).mean())
    boxes, others = expected["boxes"][strong], found["boxes"][strong]
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1).mean(axis=1)
    scores = np.abs(expected["scores"] - found["scores"])[strong]
    moved = 0.0
    if "keypoints" in expected:
        moved = float(landmark_errors(expected, found, layout.joints)[strong].mean())
    return float(100 * (scores.mean() + (np.abs(boxes - others).mean(axis=1) / size).mean())) + moved


def compare_detectors(expected: Results, found: Results) -> PoseComparison:
    """Compare the boxes of pictures, without those that overlap a better one, and the joints where there are some."""
    non_finite = _non_finite(found)
    pictures = len(expected["scores"])
    if non_finite:
        return PoseComparison(pictures=pictures, people=0, non_finite=non_finite)
    pairs, expected_boxes, found_boxes = [], 0, 0
    for index in range(pictures):
        theirs, ours = (distinct(r["scores"][index], r["boxes"][index]) for r in (expected, found))
        expected_boxes, found_boxes = expected_boxes + len(theirs), found_boxes + len(ours)
        shared = overlaps(theirs, ours)
        pairs += [float(shared[pair]) for pair in matches(theirs, ours, SAME)]
    strong = expected["scores"] >= FOUND
    scores = np.abs(expected["scores"] - found["scores"])[strong]
    return PoseComparison(
        pictures=pictures,
        people=expected_boxes,
        agreement=2 * len(pairs) / max(expected_boxes + found_boxes, 1),
        overlap=float(np.median(pairs)) if pairs else 0.0,
        score_error=float(scores.mean()) if len(scores) else 0.0,
        **(
            _joint_errors(expected, found, strong, COCO_JOINTS)
            if "keypoints" in expected and strong.any()
            else {}
        ),
    )


def _joint_errors(
    expected: Results, found: Results, person: npt.NDArray[np.bool_], joints: int
) -> dict[str, Any]:
    """The errors of the joints of those crops or boxes that are of a person."""
    errors = landmark_errors(expected, found, joints)[person]
    visibility = np.abs(expected["keypoints"][..., 2] - found["keypoints"][..., 2])[person]
    return {
        "median_error": float(np.median(errors)),
        "p99_error": float(np.quantile(errors, 0.99)),
        "visibility_error": float(visibility.mean()),
    }


def check_pose_limits(comparison: PoseComparison, limits: PoseLimits) -> PoseVerdict:
    """Check a comparison against limits; an output that is not finite always misses."""
    missed = [f"{comparison.non_finite} outputs are NaN or infinite"] if comparison.non_finite else []
    for name, limit in limits.model_dump(exclude_none=True).items():
        value = getattr(comparison, name)
        if value is None:
            continue
        if name.endswith("error") and not value <= limit:
            missed.append(f"{name} is {value:.3g}, at most {limit:g} is allowed")
        if not name.endswith("error") and not value >= limit:
            missed.append(f"{name} is {value:.4f}, at least {limit:g} is required")
    return PoseVerdict(comparison=comparison, limits=limits, missed=tuple(missed))


def _non_finite(results: Results) -> int:
    return sum(int((~np.isfinite(value)).sum()) for value in results.values())


@dataclass(frozen=True)
class VerificationPictures:
    """What a network is verified on.

    Attributes:
        images: `(N, H, W, 3)`: crops of people for landmarks, whole pictures for a detector.
        expected: what the network as it was published makes of them.
        compare: the outputs of a graph with these.
    """

    images: Images
    expected: Results
    compare: Callable[[Results], PoseComparison]


def verification_pictures(
    original: Original, layout: Layout, normalisation: Normalisation, images: Images
) -> VerificationPictures:
    """Run the original on images.

    Raises:
        InputError: the original sees nobody in them.
    """
    expected = run_original(original, layout, normalisation, images)

    def compare(found: Results) -> PoseComparison:
        if layout.role == "detector":
            return compare_detectors(expected, found)
        return compare_landmarks(expected, found, layout.joints)

    if compare(expected).people == 0:
        raise InputError(
            f"{original.path} sees nobody in the pictures to verify on. Give pictures in which people are seen, and "
            "check the layout and the normalisation."
        )
    return VerificationPictures(images, expected, compare)
