"""What can be found wrong with a configuration before anything runs."""

from __future__ import annotations

from collections.abc import Callable

from daflow.core.bundle import read_bundle
from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.errors import InputError
from runtime.config.schema import Config
from runtime.config.secrets import read_secret
from runtime.pipeline.alarm_rule import alarm_rule
from runtime.poses.people import open_people
from runtime.sources.uri import needs_poses, open_source
from runtime.web.server import check_serving


def faults(config: Config) -> list[str]:
    """Open what can be opened without starting anything, and return a sentence for each part that cannot.

    Cameras are not connected to: `daflow doctor --source` does that.
    """
    found: list[str] = []

    def attempt(where: str, action: Callable[[], object]) -> None:
        try:
            action()
        except InputError as error:
            found.append(f"{where}: {error.message}")

    try:
        bundle = read_bundle(config.bundle)
    except InputError as error:
        bundle = None
        found.append(f"bundle: {error.message}")
    for name in config.cameras:
        camera = config.camera(name)
        if bundle is not None:
            attempt(f"cameras.{name}", lambda c=camera, n=name, b=bundle: alarm_rule(b, n, c.alarm))  # type: ignore[misc]
        attempt(f"cameras.{name}.source", lambda c=camera: open_source(c.source).__exit__(None, None, None))  # type: ignore[misc]
        if needs_poses(camera.source):
            attempt(f"cameras.{name}", lambda c=camera: open_people(c, DEFAULT_FPS, True).__exit__())  # type: ignore[misc]
    secrets = (
        ("mqtt", "the password of the MQTT broker", config.mqtt.password_file, config.mqtt.password_env),
        ("webhook", "the secret of the webhook", config.webhook.secret_file, config.webhook.secret_env),
    )
    for where, what, file, variable in secrets:
        attempt(where, lambda w=what, f=file, v=variable: read_secret(w, f, v))  # type: ignore[misc]
    if config.serve.address:
        attempt("serve", lambda: check_serving(config.serve))
    return found
