"""What on a machine stands in the way of watching a camera: one small check for each thing, none of which raises.

What the checks read and run goes through a `Machine`, so that a folder and a function can stand for a Jetson.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from runtime.config.schema import Config
from runtime.doctor import machine as doctor_machine
from runtime.doctor import packages as doctor_packages
from runtime.doctor import service as doctor_service
from runtime.doctor import sources as doctor_sources
from runtime.doctor.findings import Finding, needs_of
from runtime.machine.board import Machine

Check = Callable[[], Finding]

_AT_ONCE = 8


def diagnose(
    machine: Machine,
    bundle: Path | None = None,
    sources: Mapping[str, str] | None = None,
    store: Path | None = None,
    config: Config | None = None,
) -> list[Finding]:
    """Make all checks, several at a time, and return their findings in a fixed order.

    Args:
        machine: what is looked at.
        bundle: a bundle to check; that of the configuration when None.
        sources: cameras and recordings to look at, by name, beside those of the configuration.
        store: a file or folder on a disk that will be written to, beside those of the configuration.
        config: what daflow-edge is to run here.
    """
    cameras = {name: camera.source for name, camera in config.cameras.items()} if config else {}
    cameras.update(sources or {})
    checks = _of_the_machine(machine, config, cameras)
    folders = [] if store is None else [store]
    folders += doctor_service.written_files(config) if config else [] if store else [Path()]
    checks += [("disk", partial(doctor_machine.disk, folder)) for folder in folders]
    if bundle is None and config is not None:
        bundle = config.bundle
    if bundle is not None:
        checks.append(("bundle", partial(doctor_service.bundle_files, bundle, config)))
    if config is not None:
        checks += _of_the_service(config)
    for name, uri in cameras.items():
        checks.append((f"camera {name}", partial(doctor_sources.source, machine, f"camera {name}", uri)))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda check: _unfailing(*check), checks))


def _of_the_machine(
    machine: Machine, config: Config | None, cameras: Mapping[str, str]
) -> list[tuple[str, Check]]:
    needs = needs_of(config, cameras.values())
    loaded = doctor_packages.packages(needs).items()
    return [
        ("Python", lambda: Finding("Python", "ok", f"{platform.python_version()}, {platform.machine()}")),
        ("board", lambda: doctor_machine.board(machine)),
        ("GPU", lambda: doctor_packages.gpu(machine)),
        ("CUDA", lambda: doctor_packages.cuda(machine)),
        ("TensorRT", lambda: doctor_packages.tensorrt(machine, needs.tensorrt)),
        ("pycuda", lambda: doctor_packages.pycuda(machine, needs.tensorrt)),
        *((name, partial(doctor_packages.package, machine, name, *how)) for name, how in loaded),
        ("pose model", lambda: doctor_service.pose_model(needs.pose_model)),
        ("GStreamer", lambda: doctor_packages.gstreamer(machine, needs.gstreamer)),
        ("power mode", lambda: doctor_machine.power_mode(machine)),
        ("clocks", lambda: doctor_machine.clocks(machine)),
        ("CPU load", lambda: doctor_machine.cpu_load(machine)),
        ("temperature", lambda: doctor_machine.heat(machine)),
        ("memory", lambda: doctor_machine.memory(machine)),
        ("clock", lambda: doctor_machine.clock(machine)),
    ]


def _of_the_service(config: Config) -> list[tuple[str, Check]]:
    checks: list[tuple[str, Check]] = [
        (f"pose model {path.name}", partial(doctor_service.named_pose_model, path))
        for path in doctor_service.named_pose_models(config)
    ]
    checks.append(("store", partial(doctor_service.store, config)))
    if config.serve.address:
        checks.append(("live page", partial(doctor_service.page, config)))
    if config.mqtt.host:
        checks.append(("MQTT broker", partial(doctor_service.broker, config)))
    if config.webhook.url:
        checks.append(("webhook", partial(doctor_service.webhook, config)))
    return checks


def _unfailing(name: str, check: Check) -> Finding:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - the other findings are worth more than this one
        return Finding(name, "warning", f"could not be checked ({type(error).__name__})")
