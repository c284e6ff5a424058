"""The checks of a configuration: `daflow-edge --check-config` shows their errors, `daflow doctor` all their findings.

They look at what the configuration names: the bundle and its alarm thresholds, each camera's source and pose
estimator, the store, the live page, the MQTT broker and the webhook. Only with `connect` is anything asked over the
network: the camera for a picture, the broker for a login, the web server for a connection, and the page's port whether
it is free.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from daflow.core.bundle import read_bundle
from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.errors import InputError
from runtime.commissioning.bundle_maker import can_train
from runtime.config.drawn_zones import DrawnZones
from runtime.config.schema import POSE_FIELDS, CameraOptions, Config
from runtime.deadline import Deadline, http_request
from runtime.doctor import receivers, sources
from runtime.doctor.findings import Check, Finding, run_checks
from runtime.doctor.packages import failure
from runtime.machine.board import Machine
from runtime.pipeline.alarm_rule import alarm_rule
from runtime.poses.estimators import BUNDLE, MEDIAPIPE, resolved
from runtime.sources.uri import needs_poses
from runtime.web.server import check_serving

_NO_RATE = "Its model was trained without a frame rate and takes any rate for its own: train with --fps"

_TIMEOUT_S = 3.0  # for an answer of our own page on this machine

# MediaPipe and plug-ins run native code, so they are opened in a process of their own, as packages are.
_OPEN_PEOPLE = """
from daflow.core.errors import InputError
from runtime.config.schema import CameraOptions
from runtime.poses.people import open_people
try:
    with open_people(CameraOptions.model_validate_json({options!r}), {fps}, needs_poses=True):
        pass
except InputError as error:
    print(error.message)
    sys.exit(1)
"""


def config_errors(config: Config, machine: Machine) -> list[str]:
    """Return a line for each thing that is wrong with a configuration; nothing is started or connected to."""
    findings = run_checks(config_checks(config, machine, connect=False))
    return [
        f"{finding.name}: {finding.found}" + (f" {finding.advice}." if finding.advice else "")
        for finding in findings
        if finding.state == "problem"
    ]


def config_checks(
    config: Config, machine: Machine, *, connect: bool, bundle: Path | None = None
) -> list[Check]:
    """Return the checks of a configuration.

    Args:
        config: what daflow-edge is to run.
        machine: where it is to run.
        connect: whether to ask cameras for a picture, to log in at the broker, to connect to the web server, and to try
            the page's port.
        bundle: check this bundle instead of that of the configuration.
    """
    checks: list[Check] = [("bundle", partial(bundle_files, bundle or config.bundle_folder, config))]
    for options, names in _people(config):
        name = f"poses {', '.join(names)}"
        checks.append((name, partial(people, machine, name, options)))
    checks.append(("store", partial(store, config)))
    if config.commissioning.folder:
        checks.append(("commissioning", partial(commissioning, config)))
    if config.serve.address:
        checks.append(("live page", partial(page, config, connect=connect)))
    if config.mqtt.host:
        checks.append(("MQTT broker", partial(receivers.broker, config, connect=connect)))
    if config.webhook.url:
        checks.append(("webhook", partial(receivers.webhook, config, connect=connect)))
    if config.notify.urls or config.notify.urls_file:
        checks.append(("notify", partial(receivers.notify, config)))
    model_fps = _model_fps(bundle or config.bundle_folder) if connect else None
    for camera in config.cameras:
        name, uri = f"camera {camera}", config.cameras[camera].source
        look = sources.first_picture if connect else None
        checks.append((name, partial(sources.source, machine, name, uri, look, model_fps)))
    return checks


def _model_fps(folder: Path) -> float | None:
    with contextlib.suppress(InputError):  # which the check of the bundle reports
        return read_bundle(folder).manifest.fps
    return None


def bundle_files(folder: Path, config: Config | None = None) -> Finding:
    """A bundle: its hashes, and whether each camera has a threshold."""
    try:
        bundle = read_bundle(folder)
    except InputError as error:
        return Finding("bundle", "problem", error.message)
    found = f"{folder}, {', '.join(bundle.manifest.precisions)}"
    misfits: list[str] = []
    if config is not None:
        rules, errors = set(), []
        try:
            config = DrawnZones(config.drawn_zones).apply(config)
        except InputError as error:
            return Finding("bundle", "problem", error.message)
        for name in config.cameras:
            try:
                options, calibration = config.camera(name), bundle.alarm_for(name)
                rules.add(alarm_rule(bundle, name, options.alarm, options.zones))
                if calibration and (misfit := calibration.misfit(options.zones)):
                    misfits.append(f"Camera {name}: {misfit}; calibrate it with --camera and --zones")
            except InputError as error:
                errors.append(error.message)
        if errors:
            return Finding("bundle", "problem", " ".join(dict.fromkeys(errors)))
    elif bundle.manifest.alarm is None:
        advice = "Without a threshold there is no alarm: daflow-calibrate alarm, or --threshold"
        return Finding("bundle", "warning", f"{found}, no threshold", advice)
    else:
        rules = {bundle.manifest.alarm.rule()}
    shown = ", ".join(sorted({rule.threshold_text for rule in rules}))
    fps = bundle.manifest.fps
    rate = f"{fps:.3g} frames per second" if fps else "no frame rate"
    reasons = [*misfits] if fps else [_NO_RATE, *misfits]
    if any(rule.provisional for rule in rules):
        reasons.append(
            "A provisional threshold promises no rate of false alarms: set it with daflow-calibrate alarm"
        )
    return Finding("bundle", "warning" if reasons else "ok", f"{found}, {shown}, {rate}", ". ".join(reasons))


def _people(config: Config) -> list[tuple[CameraOptions, list[str]]]:
    """Return each way in which people are found in pictures, with its cameras; cameras with the same way share one."""
    groups: dict[str, tuple[CameraOptions, list[str]]] = {}
    for name in config.cameras:
        camera = config.camera(name)
        if needs_poses(camera.source):
            options = CameraOptions(**{field: getattr(camera, field) for field in POSE_FIELDS})
            groups.setdefault(options.model_dump_json(), (options, []))[1].append(name)
    return list(groups.values())


def people(machine: Machine, name: str, options: CameraOptions) -> Finding:
    """The pose estimator and its model, opened as a camera's run opens them."""
    ran = machine.python(_OPEN_PEOPLE.format(options=options.model_dump_json(), fps=DEFAULT_FPS))
    if ran.returncode == 0:
        options = resolved(options)
        model = {BUNDLE: options.pose_bundle, MEDIAPIPE: options.pose_model}.get(options.estimator)
        with_model = "" if model is None else f" with {model}"
        return Finding(name, "ok", f"{options.estimator}{with_model}, people = {options.people}")
    return Finding(name, "problem", ran.stdout.strip() or failure(ran) or "cannot be opened")


def written_files(config: Config) -> list[Path]:
    """Return a file, or a folder, for each folder that a run writes to."""
    files: Sequence[Path | None] = [
        config.store.path or Path(tempfile.gettempdir()),
        config.events,
        config.scores,
        config.video,
        config.record,
    ]
    folders: dict[Path, Path] = {}
    for file in files:
        if file is not None:
            folders.setdefault(file if file.is_dir() else file.absolute().parent, file)
    return list(folders.values())


def store(config: Config) -> Finding:
    """Whether events outlive the run."""
    if config.store.path is None:
        advice = "Set store.path, so that events outlive a restart"
        return Finding("store", "warning", "a temporary file, which is deleted after the run", advice)
    if config.store.path.is_dir():
        return Finding("store", "problem", f"{config.store.path} is a folder.", "Name a file in it")
    return Finding("store", "ok", str(config.store.path))


def commissioning(config: Config) -> Finding:
    """The commissioning: which cameras, and whether their model can be trained here."""
    folder, names = config.commissioning.folder, config.commissioned_cameras
    if folder is not None and folder.exists() and not folder.is_dir():
        return Finding("commissioning", "problem", f"{folder} is a file.", "Name a folder")
    if not names:
        advice = "Remove commission = false from a camera, or commissioning.folder"
        return Finding("commissioning", "warning", "no camera is commissioned", advice)
    how = "trained and calibrated" if can_train() else "calibrated and not trained, as torch is not installed"
    return Finding("commissioning", "ok", f"{folder}, {', '.join(names)}: {how}")


def page(config: Config, connect: bool = True) -> Finding:
    """The live page: its address, its token, and whether its port is free."""
    address = config.serve.address or ""
    try:
        host, tokens = check_serving(config.serve)
    except InputError as error:
        return Finding("live page", "problem", error.message)
    shown = f"{address}, {'with a token' if tokens.operator else 'without a token, for this machine only'}"
    port = int(address.rpartition(":")[2])
    blocked = _why_not_free(host, port) if connect else None
    if blocked is None:
        return Finding("live page", "ok", shown)
    if _is_daflow(host, port):
        return Finding("live page", "ok", f"{shown}; daflow-edge answers there")
    advice = "End the program that listens there, or use another port for serve.address"
    return Finding("live page", "problem", f"{address}: {blocked}", advice)


def _why_not_free(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or "it cannot be used"
    return None


def _is_daflow(host: str, port: int) -> bool:
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  asked, not bound
    try:
        _, body = http_request("GET", asked, port, "/health", Deadline(_TIMEOUT_S), max_body=100)
    except (OSError, http.client.HTTPException):
        return False
    return body in (b'{"ok":true}', b'{"ok":false}')
