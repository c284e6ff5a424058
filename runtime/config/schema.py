"""The configuration of `daflow-edge`: one TOML file, of which every field is also an option of the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, Field, FiniteFloat
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from daflow.core.alarms.calibration import CameraName
from daflow.core.alarms.zones import Zones
from daflow.core.data.track_names import TrackFormat
from daflow.core.shipped import default_bundle
from runtime.config.commissioning_options import CommissioningOptions
from runtime.config.fields import Address, Periods, Seconds, Section, TimeZone
from runtime.config.notify import NotifyOptions
from runtime.config.serve_options import ServeOptions
from runtime.config.store_options import ReplayOptions, StoreOptions
from runtime.config.weekly_schedule import WeeklySchedule, parse_period

Fps = Annotated[FiniteFloat, Field(ge=0.1, le=1000)]
Bits = Annotated[FiniteFloat, Field(gt=-1e9, lt=1e9)]

_MAX_TOPIC_BYTES = 256  # a broker takes 65,535, services for many devices no more than this

Place = tuple[str, ...]
"""The names that lead to a field, such as `("mqtt", "port")`."""


class AlarmOptions(Section):
    """When an alarm begins and ends."""

    threshold: Bits | None = Field(
        None,
        description="Score above which somebody moves abnormally, in the unit of the bundle; unset, its own.",
    )
    release: Bits | None = Field(
        None, description="Score below which an alarm may end, in the same unit; unset, the threshold."
    )
    begin_seconds: Seconds | None = Field(
        None,
        description="How long the score must stay above the threshold; unset, as calibrated, else 0.1 s.",
    )
    end_seconds: Seconds | None = Field(
        None,
        description="How long it must stay below the release to end the alarm; unset, as calibrated, else 0.5 s.",
    )
    cool_down_seconds: Seconds | None = Field(
        None, description="How long after an alarm the next one may begin; unset, as calibrated, else 0 s."
    )
    smoothing_seconds: Seconds | None = Field(
        None, description="Time constant of the causal smoothing of scores; unset, as calibrated, else 0 s."
    )
    hold_seconds: Seconds | None = Field(
        None,
        description="How long the last score of somebody counts who has none any more, since who falls is often lost; "
        "unset, as calibrated, else 1 s.",
    )
    lasting_seconds: Seconds | None = Field(
        None,
        description="Time constant of a mean of each person's scores, in which what is a little unusual for long "
        "counts as much as what is very unusual for a moment; unset, as calibrated, else 0 s, which is without.",
    )
    update_seconds: Seconds = Field(
        5.0, description="Seconds between updates while an alarm is on; 0 sends none."
    )


POSE_FIELDS = (
    "people", "max_people", "estimator", "pose_bundle", "pose_engine", "pose_precision", "pose_model",
)  # fmt: skip
"""The fields of `CameraOptions` that say how people are found in pictures."""


class CameraOptions(Section):
    """How a source is read and how people are found in it."""

    people: Literal["auto", "one", "few", "many"] = Field(
        "auto",
        description="Whom to look for. With a pose bundle: auto and many find everybody, small people too; few "
        "searches whole pictures only, and one follows a single person. With mediapipe: auto and one search whole "
        "pictures for one person; few for up to --max-people, which takes half as long again while fewer are there and "
        "misses people who are small; many needs a pose bundle.",
    )
    max_people: int | None = Field(
        None,
        ge=1,
        le=100,
        description="Largest number of people to find. Unset, 30 with a pose bundle and 4 with mediapipe.",
    )
    pose_bundle: Path | None = Field(
        None,
        description="Pose bundle that 'daflow-export pose' wrote, for --estimator bundle; unset, the folder "
        "pose.bundle among the fetched models.",
    )
    pose_engine: Literal["onnxruntime", "tensorrt"] = Field(
        "onnxruntime", description="What runs the networks of the pose bundle."
    )
    pose_precision: Literal["auto", "fp32", "fp16", "int8"] = Field(
        "auto",
        description="Precision of these networks; auto is fp32 on onnxruntime, and fp16 on tensorrt where it is there.",
    )
    pose_model: Path | None = Field(
        None,
        description="MediaPipe pose model (.task), for --estimator mediapipe; unset, the one that 'daflow models "
        "fetch' downloaded.",
    )
    estimator: str = Field(
        "auto",
        description="What finds poses: bundle (the networks of a pose bundle), mediapipe, or the name of an installed "
        "plug-in. auto is the pose bundle where one is given or there, and mediapipe elsewhere.",
    )
    policy: Literal["auto", "latest", "all"] = Field(
        "auto",
        description="What happens when frames arrive faster than they are processed: latest skips old frames and "
        "counts them, all keeps every frame; auto is latest for cameras and all for recordings.",
    )
    realtime: bool = Field(False, description="Play recordings at their own speed, as if they were cameras.")
    fps: Fps | None = Field(
        None,
        description="Frames per second of recordings: video files, folders of images, recorded tracks; for those whose "
        "rate is wrong. Unset, the recording's own, of images 25.",
    )


class ScheduleOptions(Section):
    """When a camera is armed: while it is not, what happens is scored and stored, and no alarm is delivered."""

    armed: Periods | None = Field(
        None,
        description="When the camera is armed, by the clock of the time zone, such as ['mon-fri 22:00-06:00', 'sat,sun "
        "00:00-24:00']; a period may go through midnight, and its days are those on which it begins. Unset, always.",
    )
    time_zone: TimeZone = Field(
        "UTC", description="Time zone of these hours, such as Europe/Berlin; clocks may change in it."
    )

    def weekly(self) -> WeeklySchedule | None:
        """Return the schedule; None when the camera is always armed."""
        if self.armed is None:
            return None
        return WeeklySchedule([parse_period(text) for text in self.armed], ZoneInfo(self.time_zone))


class Camera(CameraOptions):
    """One camera; fields that it does not set are taken from the top of the file."""

    source: Address = Field(
        description="A video file, a folder of images, rtsp://..., v4l2:///dev/video0, csi://0, gst:PIPELINE, "
        "tracks:FILE or synthetic:OPTIONS. ${NAME} is replaced by the environment variable, for passwords.",
    )
    alarm: AlarmOptions = AlarmOptions.model_validate({})
    schedule: ScheduleOptions = ScheduleOptions.model_validate({})
    zones: Zones = Field(
        default_factory=dict,
        description="Parts of the picture where nobody is scored, or where alone, by name.",
    )
    commission: bool = Field(
        True, description="Whether the camera is commissioned where others are ([commissioning])."
    )


def _checked_topic(topic: str) -> str:
    if (
        not topic.isprintable()
        or re.search(r"[#+]|^/|/$|^\$", topic)
        or len(topic.encode("utf-8", "replace")) > _MAX_TOPIC_BYTES
    ):
        raise PydanticCustomError(
            "topic",
            "This is not the first part of a topic: no # or +, no $ or / at its start, no / at its end, no line break "
            f"and at most {_MAX_TOPIC_BYTES} bytes",
        )
    return topic


Topic = Annotated[str, Field(min_length=1), AfterValidator(_checked_topic)]


class MqttOptions(Section):
    """An MQTT broker."""

    host: Annotated[str, Field(pattern=r"^[^\s/@]*$")] | None = Field(
        None, description="Host name of the MQTT broker, without mqtt:// and port; unset, no MQTT."
    )
    port: int = Field(1883, ge=1, le=65535, description="Its port.")
    username: str | None = Field(
        None, description="User name; the password comes from a file or the environment."
    )
    password_file: Path | None = Field(None, description="File with the password of the broker.")
    password_env: str | None = Field(
        None, description="Environment variable with the password of the broker."
    )
    tls: bool = Field(False, description="Encrypt the connection, and check the broker's certificate.")
    ca_file: Path | None = Field(
        None, description="Certificate authority of the broker; unset, the system's."
    )
    topic: Topic = Field("daflow", description="First part of the topics.")
    commands: bool = Field(
        True,
        description="Let whoever may publish to the broker arm and disarm cameras, at TOPIC/CAMERA/armed/set, and "
        "label alarms, at TOPIC/CAMERA/alarm/label/set.",
    )
    pictures: bool = Field(
        False,
        description="Publish the last alarm of each camera as an animated GIF of skeletons, at "
        "TOPIC/CAMERA/alarm/picture.",
    )
    discovery: bool = Field(True, description="Announce the cameras to Home Assistant.")
    discovery_prefix: Topic = Field("homeassistant", description="First part of Home Assistant's topics.")


class WebhookOptions(Section):
    """A server that takes events by HTTP POST."""

    url: Annotated[Address, Field(pattern=r"^(https?://|\$\{)")] | None = Field(
        None,
        description="Address that events are posted to; unset, no webhook. ${NAME} is replaced by the environment "
        "variable of that name, for secrets; the path of many services is one.",
    )
    secret_file: Path | None = Field(
        None, description="File with the secret that signs the posts (HMAC-SHA256)."
    )
    secret_env: str | None = Field(None, description="Environment variable with the secret.")
    ca_file: Path | None = Field(
        None, description="Certificate authority of the server; unset, the system's."
    )
    pictures: bool = Field(
        False,
        description="Also post each alarm as an animated GIF of skeletons, some seconds after it has ended.",
    )
    timeout_seconds: Annotated[FiniteFloat, Field(gt=0, le=600)] = Field(
        10.0,
        description="Longest time for a whole delivery, in seconds: address, connection, TLS, request and answer.",
    )


class CameraStateOptions(Section):
    """The messages about the states of cameras and of the disk."""

    hold_seconds: Seconds = Field(
        10.0,
        description="How long a camera must be lost, frozen, black, drifting or back before a message says so; each "
        "message within an hour doubles it.",
    )
    min_free_mb: Annotated[FiniteFloat, Field(ge=0, le=1e9)] = Field(
        200.0, description="Free space in megabytes below which a message says that the disk is full."
    )


class LogOptions(Section):
    """The log on standard error."""

    format: Literal["text", "json"] = Field("text", description="text for people, json for programs.")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged."
    )


class Config(CameraOptions):
    """The whole configuration of `daflow-edge`."""

    bundle: Path | None = Field(
        None,
        description="The bundle that daflow-export wrote and daflow-calibrate calibrated; unset, the model of the "
        "package, which was trained on generated people.",
    )
    scorer: Literal["onnxruntime", "tensorrt"] = Field("onnxruntime", description="What runs the model.")
    precision: Literal["auto", "fp32", "fp16", "int8"] = Field(
        "auto",
        description="Precision of the model; auto is fp32 on onnxruntime and that of the engine on tensorrt.",
    )
    cameras: dict[CameraName, Camera] = Field(min_length=1, description="The cameras by name.")
    alarm: AlarmOptions = AlarmOptions.model_validate({})
    zones_file: Path | None = Field(
        None,
        description="JSON file of the zones that were drawn on the page; a camera in it has these, and not those of "
        "the configuration. Unset, zones.json beside the store of the events; nothing can be drawn without either.",
    )
    events: Path | None = Field(None, description="Append alarm events to this JSON lines file.")
    print_events: bool = Field(False, description="Print alarm events as JSON lines on standard output.")
    scores: Path | None = Field(None, description="Append every frame's score to this CSV file.")
    record: Path | None = Field(
        None,
        description="Record the skeletons as pose tracks in this folder, to train and to calibrate with: a folder for "
        "each month, in it a file for each five minutes of a camera in which somebody was seen.",
    )
    record_format: TrackFormat = Field(
        "json",
        description="The form of what is recorded: json, with frame_sizes.json and frame_rates.json beside it; or "
        "parquet, which is smaller, faster to read and holds both itself, and needs pyarrow.",
    )
    video: Path | None = Field(
        None,
        description="Write an annotated video (MP4) to this file; with several cameras one for each, by name.",
    )
    max_frames: int | None = Field(
        None, ge=1, le=10**15, description="Stop each camera after this number of frames."
    )
    commissioning: CommissioningOptions = CommissioningOptions.model_validate({})
    replay: ReplayOptions = ReplayOptions.model_validate({})
    store: StoreOptions = StoreOptions.model_validate({})
    mqtt: MqttOptions = MqttOptions.model_validate({})
    webhook: WebhookOptions = WebhookOptions.model_validate({})
    notify: NotifyOptions = NotifyOptions.model_validate({})
    camera_states: CameraStateOptions = CameraStateOptions.model_validate({})
    serve: ServeOptions = ServeOptions.model_validate({})
    privacy: Literal["skeletons", "pictures"] = Field(
        "skeletons",
        description="What the page and the saved video show, and whether a snapshot and a clip of each alarm are kept; "
        "with skeletons no picture leaves the process.",
    )
    stall_seconds: Annotated[FiniteFloat, Field(gt=0, le=86400)] = Field(
        30.0, description="How long a camera or the scorer may be stalled before it is restarted."
    )
    log: LogOptions = LogOptions.model_validate({})

    @property
    def watched_bundle(self) -> Path | None:
        """The bundle to watch with: that of the commissioning, once it is there, else `bundle`."""
        own = self.commissioning.bundle
        return own if own and own.is_dir() else self.bundle

    @property
    def bundle_folder(self) -> Path:
        """`watched_bundle`, or the default one (`daflow.core.shipped`)."""
        return self.watched_bundle or default_bundle()

    @property
    def commissioned_cameras(self) -> tuple[str, ...]:
        """The names of the cameras that are commissioned."""
        if self.commissioning.folder is None:
            return ()
        return tuple(name for name, camera in self.cameras.items() if camera.commission)

    @property
    def drawn_zones(self) -> Path | None:
        """The file of the zones that were drawn on the page; None when none can be drawn."""
        return self.zones_file or (self.store.path.with_name("zones.json") if self.store.path else None)

    @property
    def keeps_pictures(self) -> bool:
        """Whether the pictures are needed after the poses are found, if only for the outline of the scene."""
        return self.privacy == "pictures" or self.replay.outline

    def camera(self, name: str) -> Camera:
        """Return a camera, completed with what it takes from the top of the file."""
        own = self.cameras[name]
        shared = {field: getattr(self, field) for field in CameraOptions.model_fields}
        chosen = {field: getattr(own, field) for field in own.model_fields_set}
        alarm = {**self.alarm.model_dump(), **own.alarm.model_dump(exclude_unset=True)}
        return Camera.model_validate({**shared, **chosen, "alarm": alarm})


def places() -> Iterator[tuple[Place, FieldInfo]]:
    """Yield every field but those of single cameras, with its place; the command line has an option for each."""
    yield from _places(Config, ())


def _places(model: type[BaseModel], place: Place) -> Iterator[tuple[Place, FieldInfo]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _places(kind, (*place, name))
        elif name != "cameras":
            yield (*place, name), field
