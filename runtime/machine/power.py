"""Power meters of the machine: INA sensors of a Jetson, NVIDIA's driver, and RAPL of x86 processors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.machine.board import Machine

_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "--id=0")
_INPUT_RAILS = ("VDD_IN", "POM_5V_IN")
"""Rails of Jetson modules that feed all others."""
_IGNORED_RAILS = ("VDDQ_VDD2_1V8AO", "NC")  # fed by another rail that is measured too, or not connected


@dataclass(frozen=True)
class PowerMeter:
    """A power meter.

    Attributes:
        name: what it measures.
        part: of the machine that it measures.
        watts: reads it; None when there is no reading at the moment.
        interval: useful time between two readings, in seconds.
    """

    name: str
    watts: Callable[[], float | None]
    interval: float = 0.1
    part: Literal["board", "GPU", "processor"] = "board"

    def sees(self, on_gpu: bool) -> bool:
        """Whether it measures what a network takes that runs on the GPU, or on the processor."""
        return self.part in {"board", "GPU" if on_gpu else "processor"}


def find_power_meter(machine: Machine, on_gpu: bool) -> PowerMeter | None:
    """Return the power meter of the whole board, else of the part that does the work; None without one.

    Args:
        machine: whose meters.
        on_gpu: networks run on a GPU; else the power of a GPU says nothing about them.
    """
    return _ina(machine) or (_nvidia(machine) if on_gpu else _rapl(machine))


def _ina(machine: Machine) -> PowerMeter | None:
    """The INA3221 of Jetson modules: millivolts and milliamperes of each rail."""
    rails: dict[str, tuple[Path, Path]] = {}
    for label in sorted(machine.root.glob("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*/in[1-9]_label")):
        number = label.name[2]
        voltage, current = label.with_name(f"in{number}_input"), label.with_name(f"curr{number}_input")
        name = _text(label)
        if (
            name
            and name not in _IGNORED_RAILS
            and _number(voltage) is not None
            and _number(current) is not None
        ):
            rails[name] = voltage, current
    chosen = [name for name in _INPUT_RAILS if name in rails] or list(rails)
    if not chosen:
        return None

    def watts() -> float | None:
        pairs = [(_number(voltage), _number(current)) for voltage, current in (rails[n] for n in chosen)]
        known = [
            volts * amperes / 1e6 for volts, amperes in pairs if volts is not None and amperes is not None
        ]
        return sum(known) if len(known) == len(chosen) else None

    return PowerMeter(f"board, INA3221 {' + '.join(chosen)}", watts)


def _nvidia(machine: Machine) -> PowerMeter | None:
    def watts() -> float | None:
        try:
            return float(machine.run(_NVIDIA_SMI).stdout.strip())
        except ValueError:  # absent, or [N/A] as on Jetson
            return None

    found = PowerMeter("GPU, nvidia-smi", watts, interval=1.0, part="GPU")
    return found if watts() is not None else None


def _rapl(machine: Machine) -> PowerMeter | None:
    """Intel's and AMD's running energy counters of whole packages, microjoules that restart at a maximum."""
    zones = [
        zone for zone in sorted(machine.root.glob("sys/class/powercap/intel-rapl:[0-9]*"))
        if zone.name.count(":") == 1 and _number(zone / "energy_uj") is not None
    ]  # fmt: skip
    if not zones:
        return None
    last: dict[Path, float] = {}
    at = 0.0

    def watts() -> float | None:
        nonlocal at
        now, joules, complete = time.monotonic(), 0.0, True
        for zone in zones:
            value = _number(zone / "energy_uj")
            if value is None:
                complete = False
                continue
            if zone in last:
                step = value - last[zone]
                joules += (step + (_number(zone / "max_energy_range_uj") or 0.0) if step < 0 else step) / 1e6
            else:
                complete = False
            last[zone] = value
        seconds, at = now - at, now
        return joules / seconds if complete and seconds > 0 else None

    return PowerMeter("processor, RAPL", watts, part="processor")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None
