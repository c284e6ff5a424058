"""What a configuration of the service names: its bundle, pose model, store, page, broker and web server."""

from __future__ import annotations

import http.client
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from daflow.core.bundle import read_bundle
from daflow.core.errors import InputError
from runtime.config.schema import Config
from runtime.config.secrets import read_secret
from runtime.doctor.findings import Finding, lacking
from runtime.doctor.sources import unreachable
from runtime.pipeline.alarm_rule import alarm_rule
from runtime.web.server import check_serving

_TIMEOUT_S = 3.0


def bundle_files(folder: Path, config: Config | None = None) -> Finding:
    """A bundle: its hashes, and whether each camera has a threshold."""
    try:
        bundle = read_bundle(folder)
    except InputError as error:
        return Finding("bundle", "problem", error.message)
    found = f"{folder}, {', '.join(bundle.manifest.precisions)}"
    if config is not None:
        try:
            rules = [alarm_rule(bundle, name, config.camera(name).alarm) for name in config.cameras]
        except InputError as error:
            return Finding("bundle", "problem", error.message)
        thresholds = sorted({rule.threshold for rule in rules})
    elif bundle.manifest.alarm is None:
        advice = "Without a threshold there is no alarm: daflow-calibrate alarm, or --threshold"
        return Finding("bundle", "warning", f"{found}, no threshold", advice)
    else:
        thresholds = [bundle.manifest.alarm.threshold]
    shown = ", ".join(f"{threshold:.3f}" for threshold in thresholds)
    return Finding("bundle", "ok", f"{found}, threshold {shown}")


def pose_model(needed: bool | None = None) -> Finding:
    """The pose model that is taken when none is named."""
    from runtime.poses.models import find_pose_model, models_directory

    path = find_pose_model()
    if path is not None:
        return Finding("pose model", "ok", str(path))
    state = lacking(needed, "problem")
    advice = "Cameras and videos need one: daflow models fetch; $DAFLOW_MODELS names another folder"
    return Finding(
        "pose model", state, f"none in {models_directory()}", None if state == "absent" else advice
    )


def named_pose_models(config: Config) -> list[Path]:
    """Return the pose models that a configuration names."""
    models = {config.camera(name).pose_model for name in config.cameras}
    return sorted(model for model in models if model is not None)


def named_pose_model(path: Path) -> Finding:
    """A pose model that a configuration names."""
    name = f"pose model {path.name}"
    if not path.is_file():
        return Finding(name, "problem", f"there is no file {path}", "Bring one here: daflow models fetch")
    return Finding(name, "ok", str(path))


def written_files(config: Config) -> list[Path]:
    """Return a file, or a folder, on each place that a run writes to."""
    files = [
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
        return Finding("store", "warning", "a temporary file, gone after the run", advice)
    if config.store.path.is_dir():
        return Finding("store", "problem", f"{config.store.path} is a folder", "Name a file in it")
    return Finding("store", "ok", str(config.store.path))


def page(config: Config) -> Finding:
    """The live page: its token, and whether its port is free."""
    address = config.serve.address or ""
    try:
        host, token = check_serving(config.serve)
    except InputError as error:
        return Finding("live page", "problem", error.message)
    guarded = "with a token" if token else "without a token, for this machine alone"
    port = int(address.rpartition(":")[2])
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if _is_daflow(host, port):
                return Finding("live page", "ok", f"{address}, {guarded}; daflow-edge answers there")
            advice = "End the program that listens there, or serve at another port"
            return Finding("live page", "problem", f"{address}: {error.strerror}", advice)
    return Finding("live page", "ok", f"{address}, {guarded}")


def _is_daflow(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(
        {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host),  # noqa: S104  asked, not bound
        port,
        timeout=_TIMEOUT_S,
    )
    try:
        connection.request("GET", "/health")
        return connection.getresponse().read(100) in (b'{"ok":true}', b'{"ok":false}')
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def broker(config: Config) -> Finding:
    """The MQTT broker: its password, and whether it listens."""
    options, host = config.mqtt, config.mqtt.host or ""
    try:
        read_secret("the password of the MQTT broker", options.password_file, options.password_env)
    except InputError as error:
        return Finding("MQTT broker", "problem", error.message)
    closed = unreachable("MQTT broker", host, options.port)
    return (
        _kept(host, closed)
        if closed
        else Finding("MQTT broker", "ok", f"{host}, port {options.port} answers")
    )


def webhook(config: Config) -> Finding:
    """The web server of the events: its secret, and whether it listens."""
    options = config.webhook
    try:
        read_secret("the secret of the webhook", options.secret_file, options.secret_env)
        address = urlsplit(options.url or "")
        host, port = address.hostname or "", address.port or {"http": 80, "https": 443}[address.scheme]
    except InputError as error:
        return Finding("webhook", "problem", error.message)
    except (ValueError, KeyError):
        return Finding("webhook", "problem", "its address is not one", "Write it as https://host/path")
    closed = unreachable("webhook", host, port)
    return _kept(host, closed) if closed else Finding("webhook", "ok", f"{host}, port {port} answers")


def _kept(host: str, closed: Finding) -> Finding:
    """Events wait in the store meanwhile, so that this stops nothing."""
    advice = f"{closed.advice}; events wait in the store meanwhile"
    return Finding(closed.name, "warning", f"{host}, {closed.found}", advice)
