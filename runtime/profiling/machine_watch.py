"""What a machine does while it is measured: power, temperature, clocks, throttling and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from runtime.machine.board import Machine, temperature
from runtime.machine.facts import clock_mhz, throttled
from runtime.machine.power import PowerMeter

_INTERVAL = 0.25
_GPU_MEMORY = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0")
_GPU_INTERVAL = 2.0


@dataclass(frozen=True)
class Readings:
    """What a machine reported while it was watched; None for what it does not report.

    Attributes:
        meter: what measured the power.
        watts: mean power.
        temperature_c: lowest and highest.
        clock_mhz: lowest and highest.
        throttled: how often the processor slowed down because of heat.
        gpu_memory_mb: the most that all programs together used.
    """

    meter: str | None
    watts: float | None
    temperature_c: tuple[float, float] | None
    clock_mhz: tuple[float, float] | None
    throttled: int | None
    gpu_memory_mb: float | None


class MachineWatch:
    """A thread that samples the machine's sensors; a context manager.

    Args:
        machine: whose sensors.
        meter: measures the power, None for no power.
    """

    def __init__(self, machine: Machine, meter: PowerMeter | None) -> None:
        self._machine = machine
        self._meter = meter
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="watch", daemon=True)
        self._series: dict[str, list[float]] = {}
        self.joules: float | None = None
        """Energy used while it was watched."""
        self.seconds = 0.0

    def __enter__(self) -> MachineWatch:
        self._began = time.monotonic()
        self._throttled = throttled(self._machine)
        if self._meter:
            self._meter.watts()  # counters of energy begin here
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._began
        after = throttled(self._machine)
        self._slowed = None if after is None or self._throttled is None else after - self._throttled
        watts = self._series.get("watts")
        self.joules = sum(watts) / len(watts) * self.seconds if watts else None

    def readings(self) -> Readings:
        """Return what was measured."""
        watts = self._series.get("watts")
        gpu = self._series.get("gpu_memory_mb")
        return Readings(
            meter=self._meter.name if self._meter and watts else None,
            watts=sum(watts) / len(watts) if watts else None,
            temperature_c=self._range("temperature_c"),
            clock_mhz=self._range("clock_mhz"),
            throttled=self._slowed,
            gpu_memory_mb=max(gpu) if gpu else None,
        )

    def _range(self, name: str) -> tuple[float, float] | None:
        series = self._series.get(name)
        return (min(series), max(series)) if series else None

    def _sample(self) -> None:
        due: dict[str, float] = {}
        readings: dict[str, tuple[float, Callable[[], float | None]]] = {
            "temperature_c": (_INTERVAL, lambda: temperature(self._machine.root)),
            "clock_mhz": (_INTERVAL, lambda: clock_mhz(self._machine)),
            "gpu_memory_mb": (_GPU_INTERVAL, self._gpu_memory),
        }
        if self._meter:
            readings["watts"] = (self._meter.interval, self._meter.watts)
        interval = min(seconds for seconds, _ in readings.values())
        while True:
            stopped = self._stop.wait(interval)
            now = time.monotonic()
            for name, (seconds, read) in list(readings.items()):
                if due.get(name, 0.0) > now:
                    continue
                due[name] = now + seconds - interval / 2
                value = read()
                if value is not None:
                    self._series.setdefault(name, []).append(value)
                elif name != "watts":
                    del readings[name]  # what is not reported at first never is
            if stopped:
                return

    def _gpu_memory(self) -> float | None:
        try:
            return float(self._machine.run(_GPU_MEMORY).stdout.strip())
        except ValueError:
            return None


def peak_memory_mb() -> float | None:
    """Return the peak resident memory of this process in megabytes; None where there is no /proc."""
    for line in Machine().read("proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None
