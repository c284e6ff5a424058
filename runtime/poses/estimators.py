"""Pose estimators, which find skeletons in pictures: a pose bundle's networks, MediaPipe, or a plug-in.

A plug-in is an entry point of the group `daflow.pose_estimators`: a callable that takes the camera's options and
returns a `PoseEstimator`. docs/pose-estimators.md shows one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from daflow.core.errors import InputError
from daflow.core.pose_bundle import is_pose_bundle, read_pose_bundle
from runtime.config.schema import CameraOptions
from runtime.models.folder import default_pose_bundle, find_pose_model, missing_pose_model
from runtime.sources.frames import Frame, Keypoints

GROUP = "daflow.pose_estimators"
BUNDLE, MEDIAPIPE = "bundle", "mediapipe"
_BUILT_IN = (BUNDLE, MEDIAPIPE)
_MAX_PEOPLE, _MAX_PEOPLE_MEDIAPIPE = 30, 4
_LAYOUTS = (17, 18, 33)
_MAX_COORDINATE = 1e9  # pixels, far outside any picture; the comparison is also false for NaN

Options = TypeVar("Options", bound=CameraOptions)


class PoseEstimator(Protocol):
    """Finds skeletons in pictures, and owns the model that does it."""

    def estimate(self, frame: Frame) -> Keypoints:
        """Find everybody in `frame.image`, `(H, W, 3)` uint8 RGB.

        Returns:
            `(N, J, 3)` floating point, N may be 0: x and y in pixels and a confidence from 0 to 1, for J = 17 (COCO),
            18 (OpenPose) or 33 (BlazePose) joints. A joint that is not visible has the place that the
            estimator guesses, never 0, 0.
        """
        ...

    def close(self) -> None:
        """Release the model."""
        ...


@runtime_checkable
class Follower(PoseEstimator, Protocol):
    """An estimator that knows people again.

    Attributes:
        ids: of whom `estimate` returned last, in that order; a number stays with its person.
    """

    ids: Sequence[int]


def resolved(options: Options) -> Options:
    """Return the options with what `auto` stands for here, and with the files that the estimator reads.

    It needs no package and opens nothing: which model is missing shows when the estimator is opened.
    """
    estimator = options.estimator
    if estimator == "auto":
        wants_mediapipe = options.pose_bundle is None and (
            options.pose_model is not None or not is_pose_bundle(default_pose_bundle())
        )
        estimator = MEDIAPIPE if wants_mediapipe else BUNDLE
    chosen: dict[str, Any] = {"estimator": estimator}
    if estimator == BUNDLE:
        chosen["pose_bundle"] = (options.pose_bundle or default_pose_bundle()).resolve()
    elif estimator == MEDIAPIPE:
        model = options.pose_model or find_pose_model()
        chosen["pose_model"] = None if model is None else model.resolve()
    if options.max_people is None:
        chosen["max_people"] = _MAX_PEOPLE if estimator == BUNDLE else _MAX_PEOPLE_MEDIAPIPE
    if options.people == "auto" and estimator != BUNDLE:
        chosen["people"] = "one"
    return options.model_copy(update=chosen)


def open_estimator(options: CameraOptions) -> PoseEstimator:
    """Open the estimator that `options.estimator` names, for the pictures of one camera in order.

    Args:
        options: need not be resolved.

    Raises:
        InputError: there is no such estimator, it cannot be loaded, or its model is missing.
    """
    options = resolved(options)
    if options.estimator == BUNDLE:
        return _bundle(options)
    return _mediapipe(options) if options.estimator == MEDIAPIPE else _plugin(options)


def installed() -> Mapping[str, EntryPoint]:
    """Return the plug-ins of installed packages, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def _bundle(options: CameraOptions) -> PoseEstimator:
    from runtime.poses.follower import PeopleFollower
    from runtime.poses.opened_networks import finds_joints, open_detector, open_networks
    from runtime.poses.search import MAX_ACROSS
    from runtime.poses.whole_pictures import WholePictures

    assert options.pose_bundle is not None
    bundle = read_pose_bundle(options.pose_bundle)
    most = 1 if options.people == "one" else options.max_people or _MAX_PEOPLE
    if finds_joints(bundle):
        return WholePictures(open_detector(bundle, options.pose_engine, options.pose_precision), most)
    networks = open_networks(bundle, options.pose_engine, options.pose_precision)
    try:
        return PeopleFollower(networks, most, MAX_ACROSS if options.people in ("auto", "many") else 1)
    except InputError:
        networks.close()
        raise


def _mediapipe(options: CameraOptions) -> PoseEstimator:
    from runtime.poses.mediapipe import MediaPipePoses

    if options.people == "many":
        raise InputError(
            "MediaPipe finds one person, or a few who are large in the picture (--people few). For many, and for small "
            "ones, export a pose bundle with 'daflow-export pose', and give it as --pose-bundle."
        )
    if options.pose_model is None:
        raise missing_pose_model(", or give --pose-model FILE")
    most = options.max_people or _MAX_PEOPLE_MEDIAPIPE
    return MediaPipePoses(options.pose_model, max_people=most if options.people == "few" else 1)


def _plugin(options: CameraOptions) -> PoseEstimator:
    plugins = installed()
    if options.estimator not in plugins:
        there = ", ".join([*_BUILT_IN, *sorted(plugins)])
        raise InputError(f"There is no pose estimator {options.estimator}; installed are: {there}.")
    return Plugin(options.estimator, _load(plugins[options.estimator], options))


def _load(point: EntryPoint, options: CameraOptions) -> PoseEstimator:
    where = f"The pose estimator {point.name} ({point.value})"
    others = ", ".join([*_BUILT_IN, *sorted(set(installed()) - {point.name})])
    try:
        estimator = point.load()(options)
    except InputError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise InputError(
            f"{where} cannot be opened: {reason}. Other installed estimators: {others}."
        ) from error
    missing = [name for name in ("estimate", "close") if not callable(getattr(estimator, name, None))]
    if missing:
        raise InputError(
            f"{where} has no {' and no '.join(missing)}(). Other installed estimators: {others}."
        )
    return estimator  # type: ignore[no-any-return]  # an entry point may give anything


class Plugin:
    """An estimator of another package; its results are checked.

    Args:
        name: its name in error messages.
        estimator: what its entry point returned.
    """

    def __init__(self, name: str, estimator: PoseEstimator) -> None:
        self._name = name
        self._estimator = estimator

    def estimate(self, frame: Frame) -> Keypoints:
        """Return what the plug-in found, `(N, J, 3)` float32.

        Raises:
            InputError: the plug-in failed, or did not return keypoints.
        """
        try:
            found = self._estimator.estimate(frame)
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            raise InputError(
                f"The pose estimator {self._name} failed in frame {frame.index}: {type(error).__name__}: {reason}"
            ) from error
        if wrong := _what_is_wrong(found):
            raise InputError(f"The pose estimator {self._name} returned {wrong} for frame {frame.index}.")
        return np.asarray(found, dtype=np.float32)

    def close(self) -> None:
        """Release the plug-in's model."""
        self._estimator.close()


def _what_is_wrong(found: Any) -> str:
    """Return what is wrong with keypoints, empty when they are valid."""
    if not isinstance(found, np.ndarray):
        return f"{type(found).__name__} instead of a numpy array"
    if found.ndim != 3 or found.shape[1] not in _LAYOUTS or found.shape[2] != 3:
        return f"an array of shape {found.shape} instead of (N, 17, 3), (N, 18, 3) or (N, 33, 3)"
    if not np.issubdtype(found.dtype, np.floating):
        return f"numbers of the type {found.dtype} instead of floating point"
    if not (np.abs(found) < _MAX_COORDINATE).all():
        return "NaN or infinite keypoints"
    return ""
