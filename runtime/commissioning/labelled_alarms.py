"""Labelled alarms in the recordings of a camera: false ones count as normal, real ones do not.

Only alarms have labels. What raised none counts as normal, whatever it was, and nobody knows what was missed. So labels
may take from the recordings what was not normal, and false alarms are in them as they were recorded, once, and with
their share of the time: whoever calibrated on false alarms alone would get a threshold that nothing exceeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from daflow.core.alarms.calibration import duration_text
from runtime.commissioning.recordings import Span

Part = Literal["train", "calibrate", "check"]

PARTS: tuple[Part, ...] = ("train", "train", "calibrate", "calibrate", "check")
"""What each of five recordings is for."""

_FALSE_PARTS: tuple[Part, ...] = ("calibrate", "train", "calibrate", "check", "train")
"""The same of five recordings with false alarms: as many for each, but the first is calibrated on."""

_AROUND_S = 10.0
"""Seconds around an alarm that count as a part of it: names of recordings have whole seconds, and scores lag behind."""


@dataclass(frozen=True)
class RealAlarm:
    """An alarm that is labelled real, and whose recording is there.

    Attributes:
        id: of the alarm.
        began: seconds since 1970.
        ended: seconds since 1970.
        spans: of the recordings that hold it.
    """

    id: str
    began: float
    ended: float
    spans: tuple[Span, ...]

    def __str__(self) -> str:
        return f"that of {datetime.fromtimestamp(self.began).astimezone():%Y-%m-%d %H:%M:%S} ({self.id[:12]})"

    def is_raised(self, times: Mapping[str, Sequence[Sequence[float]]]) -> bool:
        """Whether an alarm is on while this one was.

        Args:
            times: when alarms began and ended in a replay, by recording, in seconds since its first frame with people.
        """
        for span in self.spans:
            for begin, end in times.get(span.clip, ()):
                start = span.begin + span.first
                if not span.live or (
                    start + begin <= self.ended + _AROUND_S and start + end >= self.began - _AROUND_S
                ):
                    return True
        return False


@dataclass(frozen=True)
class LabelledRecordings:
    """What labels say about the recordings of a camera.

    Attributes:
        real: alarms that are labelled real.
        false_alarms: how many alarms are labelled false.
        unlabelled: how many alarms have no label.
        false_clips: the recordings that hold false alarms, and no real one.
        spans: of all recordings, by name.
    """

    real: tuple[RealAlarm, ...] = ()
    false_alarms: int = 0
    unlabelled: int = 0
    false_clips: frozenset[str] = frozenset()
    spans: Mapping[str, Span] = field(default_factory=dict)

    @property
    def real_clips(self) -> frozenset[str]:
        """The recordings that hold real alarms."""
        return frozenset(span.clip for alarm in self.real for span in alarm.spans)

    def deal(self, names: Sequence[str]) -> dict[str, Part]:
        """Return what each recording is for; those that hold real alarms are left out.

        A recording is for the same each time, unless an alarm in it was labelled meanwhile. Where there are so few that
        nothing would be left for one purpose, false alarms change nothing.
        """
        parts = {
            name: PARTS[number % len(PARTS)]
            for number, name in enumerate(names)
            if name not in self.real_clips
        }
        false = [name for name in parts if name in self.false_clips]
        dealt = parts | {name: _FALSE_PARTS[number % len(PARTS)] for number, name in enumerate(false)}
        return dealt if set(dealt.values()) == set(PARTS) else parts

    def words(self, parts: Mapping[str, Part]) -> str | None:
        """Say how the labels were used; None where there is no alarm in the recordings."""
        if not (self.real or self.false_alarms or self.unlabelled):
            return None
        calibrated = [name for name, part in parts.items() if part == "calibrate"]
        of_false = self._seconds(name for name in calibrated if name in self.false_clips)
        of_all = self._seconds(calibrated)
        share = f": {duration_text(of_false / 3600)} of the {duration_text(of_all / 3600)} calibrated on"
        return (
            f"labelled false: {_alarms(self.false_alarms)} (normal, as recorded{share if of_false else ''}); "
            f"labelled real: {_alarms(len(self.real))} (left out); without a label: {_alarms(self.unlabelled)} "
            "(counted as normal). Only alarms have labels: what raised none counts as normal, and what was missed is "
            "not known"
        )

    def _seconds(self, names: Iterable[str]) -> float:
        found = (self.spans[name] for name in names if name in self.spans)
        return sum(span.seconds for span in found)


def find_labelled(alarms: Iterable[Mapping[str, Any]], spans: Sequence[Span]) -> LabelledRecordings:
    """Find the recordings of stored alarms.

    Args:
        alarms: as `runtime.events.stored_alarms.read_alarms` returns them.
        spans: of the recordings.
    """
    real: list[RealAlarm] = []
    false_clips: set[str] = set()
    false_alarms = unlabelled = 0
    for alarm in alarms:
        began, ended = _utc(alarm.get("began_utc")), _utc(alarm.get("ended_utc"))
        if began is None:
            continue
        ended = began if ended is None else ended
        found = tuple(
            span
            for span in spans
            if span.camera == alarm["camera"] and span.overlaps(began - _around(span), ended + _around(span))
        )
        if not found:
            continue
        if alarm.get("label") == "real":
            real.append(RealAlarm(str(alarm["id"]), began, ended, found))
        elif alarm.get("label") == "false":
            false_alarms += 1
            false_clips.update(span.clip for span in found)
        else:
            unlabelled += 1
    of_real = {span.clip for each in real for span in each.spans}
    return LabelledRecordings(
        tuple(real),
        false_alarms,
        unlabelled,
        frozenset(false_clips - of_real),
        {span.clip: span for span in spans},
    )


def _around(span: Span) -> float:
    return _AROUND_S if span.live else 1.0  # seconds of the machine, in which a minute may have been watched


def _alarms(number: int) -> str:
    return f"{number} alarm{'' if number == 1 else 's'}"


def _utc(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
