"""All checks of `daflow doctor`: one small check for each thing that can keep daflow-edge from running, none raises.

What the checks read and run goes through a `Machine`, so that a folder and a function can stand for a Jetson. To add a
check: a function that returns a `Finding`, named here or, when it is about a configuration, in `config_checks`.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from daflow.core.shipped import default_bundle
from runtime.config.schema import Config
from runtime.doctor import machine as doctor_machine
from runtime.doctor import packages as doctor_packages
from runtime.doctor import sources as doctor_sources
from runtime.doctor.config_checks import bundle_files, config_checks, written_files
from runtime.doctor.findings import Check, Finding, Requirements, requirements, run_checks
from runtime.machine.board import Machine


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
        bundle: a bundle to check; None is that of the configuration, and the default one without a configuration.
        sources: cameras and recordings to look at, by name, beside those of the configuration.
        store: a file or folder on a disk that will be written to, beside those of the configuration.
        config: what daflow-edge is to run here.
    """
    sources = sources or {}
    configured = [camera.source for camera in config.cameras.values()] if config else []
    required = requirements(config, [*configured, *sources.values()])
    checks = _machine_checks(machine, required)
    if config is None:  # of a configuration each camera's estimator is opened with its model
        checks.append(("pose model", partial(doctor_packages.pose_model, required.pictures)))
    folders = [] if store is None else [store]
    folders += written_files(config) if config else [] if store else [Path()]
    checks += [("disk", partial(doctor_machine.disk, folder)) for folder in folders]
    if config is not None:
        checks += config_checks(config, machine, connect=True, bundle=bundle)
    else:
        checks.append(("bundle", partial(bundle_files, bundle or default_bundle())))
    for name, uri in sources.items():
        checks.append((f"camera {name}", partial(doctor_sources.source, machine, f"camera {name}", uri)))
    return run_checks(checks)


def _machine_checks(machine: Machine, required: Requirements) -> list[Check]:
    loaded = doctor_packages.packages(required).items()
    return [
        ("Python", lambda: Finding("Python", "ok", f"{platform.python_version()}, {platform.machine()}")),
        ("board", lambda: doctor_machine.board(machine)),
        ("GPU", lambda: doctor_packages.gpu(machine)),
        ("CUDA", lambda: doctor_packages.cuda(machine)),
        ("TensorRT", lambda: doctor_packages.tensorrt(machine, required.tensorrt)),
        ("pycuda", lambda: doctor_packages.pycuda(machine, required.tensorrt)),
        *((name, partial(doctor_packages.package, machine, name, *how)) for name, how in loaded),
        ("pyarrow", lambda: doctor_packages.pyarrow(machine, required.parquet)),
        ("GStreamer", lambda: doctor_packages.gstreamer(machine, required.gstreamer)),
        ("power mode", lambda: doctor_machine.power_mode(machine)),
        ("clocks", lambda: doctor_machine.clocks(machine)),
        ("CPU load", lambda: doctor_machine.cpu_load(machine)),
        ("temperature", lambda: doctor_machine.heat(machine)),
        ("memory", lambda: doctor_machine.memory(machine)),
        ("clock", lambda: doctor_machine.clock(machine)),
    ]
