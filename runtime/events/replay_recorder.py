"""Stores what can be replayed of the alarms of all cameras, while they are on and shortly after."""

from __future__ import annotations

from runtime.config.store_options import ReplayOptions
from runtime.events.message import EventMessage, alarm_evidence
from runtime.events.picture_recorder import PictureRecorder
from runtime.events.store_writer import StoreWriter
from runtime.pipeline.results import FrameResult
from runtime.replays.outline import SceneOutline
from runtime.replays.recorder import SkeletonRecorder, Snapshot
from runtime.replays.skeletons import encode

SKELETONS = "skeletons"
"""The part of a replay with the skeletons."""


class ReplayRecorder:
    """Records the replays of the alarms of all cameras; used by one thread at a time.

    A replay is stored when the alarm begins, while it is on after 1, 2, 4 seconds and so on, at most a minute apart,
    when it ends and when the seconds after it are over; then an `alarm_evidence` message follows.

    Args:
        store_writer: stores them.
        options: the section `replay` of the configuration.
        pictures: whether pictures of the camera are kept too.

    Raises:
        InputError: pictures are to be kept or an outline is to be taken, and OpenCV is missing.
    """

    def __init__(self, store_writer: StoreWriter, options: ReplayOptions, pictures: bool = False) -> None:
        self._store_writer = store_writer
        self._options = options
        self._pictures = PictureRecorder(store_writer, options.before_seconds) if pictures else None
        self._outlines: dict[str, SceneOutline] = {}
        if options.outline:
            SceneOutline()  # fail now rather than at the first frame
        self._recorders: dict[str, SkeletonRecorder] = {}
        self._ends: dict[str, EventMessage] = {}
        """The ends of the alarms whose replay is not whole, by id."""

    def see(self, result: FrameResult) -> None:
        """Take the result of a frame, before the messages that it causes."""
        recorder = self._recorders.get(result.camera)
        if recorder is None:
            options = self._options
            recorder = SkeletonRecorder(result.camera, options.before_seconds, options.after_seconds)
            self._recorders[result.camera] = recorder
        if self._pictures:
            self._pictures.see(result)
        if self._options.outline:
            self._outline(result.camera).see(result)
        for snapshot in recorder.see(result):
            self._store(snapshot, finished=snapshot.complete)

    def follow(self, message: EventMessage, result: FrameResult | None) -> None:
        """Take a message about an alarm.

        Args:
            message: it.
            result: that caused it; None for an end that no frame has caused.
        """
        recorder = self._recorders.get(message.camera)
        if recorder is None:
            return
        if message.kind == "begin" and result is not None:
            if self._pictures:
                self._pictures.begin(message.id, message.camera, result.frame.time)
            outline = self._outline(message.camera).png if self._options.outline else None
            self._store(recorder.begin(message.id, result, message.utc, outline))
        elif message.kind == "end":
            self._ends[message.id] = message
            reason = message.content["reason"]
            absent = reason in ("camera_lost", "source_ended")
            snapshot = recorder.end(message.id, reason == "source_ended" if absent else None)
            if snapshot is not None:
                self._store(snapshot, finished=absent)

    def remove_camera(self, camera: str, complete: bool = False) -> None:
        """Store what was recorded of a camera that gives no more frames.

        Args:
            camera: its name.
            complete: whether nothing is missing, because its recording has ended.
        """
        self._outlines.pop(camera, None)
        recorder = self._recorders.pop(camera, None)
        for snapshot in recorder.close(complete) if recorder else ():
            self._store(snapshot, finished=True)

    def _outline(self, camera: str) -> SceneOutline:
        if camera not in self._outlines:
            self._outlines[camera] = SceneOutline()
        return self._outlines[camera]

    def close(self) -> None:
        """Finish the pictures."""
        if self._pictures:
            self._pictures.close()

    def _store(self, snapshot: Snapshot, finished: bool = False) -> None:
        end = self._ends.pop(snapshot.id, None) if finished else None
        evidence = alarm_evidence(end) if end else None
        self._store_writer.put_replay(snapshot.id, SKELETONS, lambda: encode(snapshot.skeletons()), evidence)
        if self._pictures:
            self._pictures.store(snapshot.id, finished)
