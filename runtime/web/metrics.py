"""The health of the service as metrics for Prometheus; docs/metrics.md lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_CAMERA_COUNTERS = {
    "frames": ("daflow_frames", "Frames that were scored."),
    "dropped": ("daflow_frames_dropped", "Frames skipped because the device was slower than the camera."),
    "reconnects": ("daflow_camera_reconnects", "Times that the camera came back after it was lost."),
    "restarts": ("daflow_camera_restarts", "Times that the service restarted the camera."),
    "unusable": ("daflow_windows_unusable", "Windows of poses that could not be scored."),
    "hidden": ("daflow_windows_hidden", "Those of them that do not show the shoulders and hips."),
    "alarms": ("daflow_alarms", "Alarms that began while the camera was armed."),
}
_CAMERA_GAUGES = {
    "fps": ("daflow_frames_per_second", "Recent frames per second."),
    "stream_fps": (
        "daflow_stream_frames_per_second",
        "The same by the time stamps of the frames, which the model's rate is compared with.",
    ),
    "people": ("daflow_people", "People in the last frame."),
    "drifting": (
        "daflow_camera_drifting",
        "1 when recent scores do not fit the calibration; absent without one.",
    ),
    "score": (
        "daflow_score",
        "Smoothed score of the worst person, in the unit of the bundle; absent without people.",
    ),
    "p_value": (
        "daflow_p_value",
        "How often normal people score as high or higher; absent without a calibration.",
    ),
    "threshold": ("daflow_threshold", "Alarm threshold, in the unit of the bundle."),
    "provisional": (
        "daflow_threshold_provisional",
        "1 while the alarm threshold is a guess that promises no rate of false alarms, else 0.",
    ),
    "alarm": ("daflow_alarm", "1 while the alarm is on, armed or not, else 0."),
    "labelled_real": ("daflow_alarms_labelled_real", "Alarms of this week that are labelled real."),
    "labelled_false": ("daflow_alarms_labelled_false", "Alarms of this week that are labelled false."),
    "precision": (
        "daflow_alarm_precision",
        "Share of the labelled alarms of this week that is real; absent without labels.",
    ),
    "armed": ("daflow_camera_armed", "1 while the alarms of the camera are delivered, else 0."),
}
_DELIVERY_COUNTERS = {
    "delivered": ("daflow_events_delivered", "Messages that were delivered."),
    "refused": (
        "daflow_events_refused",
        "Messages that the receiver refused for good, and that are skipped.",
    ),
    "failures": ("daflow_events_failures", "Attempts to deliver that failed."),
}


def render(snapshot: Mapping[str, Any]) -> bytes:
    """Return the metrics of a health snapshot in Prometheus' text format.

    Raises:
        InputError: the package prometheus_client is missing.
    """
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Once(Collector):
        def collect(self) -> Iterator[Metric]:
            return _metrics(snapshot)

    # A registry of its own: the global one would add metrics of the Python process.
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    return generate_latest(registry)


def _metrics(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    cameras = snapshot.get("cameras", {})
    up = GaugeMetricFamily("daflow_camera_up", "1 while the camera streams, else 0.", labels=["camera"])
    for name, camera in cameras.items():
        up.add_metric([name], float(camera.get("state") == "streaming"))
    yield up
    yield from _by_label("camera", cameras, CounterMetricFamily, _CAMERA_COUNTERS)
    yield from _by_label("camera", cameras, GaugeMetricFamily, _CAMERA_GAUGES)

    stages = snapshot.get("stages", {})
    seconds = HistogramMetricFamily(
        "daflow_stage_seconds",
        "Duration of a stage; delay is from the camera to the result.",
        labels=["stage"],
    )
    for stage, figures in stages.items():
        if figures.get("buckets") is not None:
            buckets = [(str(bound), count) for bound, count in figures["buckets"]]
            seconds.add_metric([stage], [*buckets, ("+Inf", figures["count"])], figures["sum_s"])
    yield seconds
    runs = {"count": ("daflow_stage_runs", "Times that a stage ran.")}
    yield from _by_label("stage", stages, CounterMetricFamily, runs)

    queue, events = snapshot.get("queue", {}), snapshot.get("events", {})
    deliveries = events.get("deliveries", {})
    pending = {"pending": ("daflow_events_pending", "Messages that are stored but not yet delivered.")}
    yield from _by_label("delivery", deliveries, GaugeMetricFamily, pending)
    yield from _by_label("delivery", deliveries, CounterMetricFamily, _DELIVERY_COUNTERS)
    singles = [
        (GaugeMetricFamily, "daflow_queue_length", "Frames that wait to be scored.", queue.get("length")),
        (
            GaugeMetricFamily,
            "daflow_queue_capacity",
            "Frames that may wait to be scored.",
            queue.get("capacity"),
        ),
        (GaugeMetricFamily, "daflow_events_stored", "Messages stored since the start.", events.get("stored")),
        (
            GaugeMetricFamily,
            "daflow_events_waiting",
            "Messages that are not yet on the disk.",
            events.get("waiting"),
        ),
        (
            CounterMetricFamily,
            "daflow_events_lost",
            "Messages lost before they were delivered.",
            events.get("lost"),
        ),
        (
            GaugeMetricFamily,
            "daflow_temperature_celsius",
            "Temperature of the hottest sensor.",
            snapshot.get("temperature_c"),
        ),
        (
            GaugeMetricFamily,
            "daflow_uptime_seconds",
            "Time since the service was started.",
            snapshot.get("uptime_s"),
        ),
        (
            GaugeMetricFamily,
            "daflow_model_frames_per_second",
            "Frames per second that the model was trained at; absent when not known.",
            snapshot.get("bundle", {}).get("fps"),
        ),
        (
            GaugeMetricFamily,
            "daflow_ready",
            "1 when the service is ready, else 0.",
            snapshot.get("ready", False),
        ),
    ]
    for family, name, text, value in singles:
        if value is not None:
            yield family(name, text, value=float(value))
    memory = snapshot.get("memory_mb")
    if memory is not None:
        yield GaugeMetricFamily("daflow_memory_bytes", "Memory of the process.", value=memory * 1e6)
    info = GaugeMetricFamily(
        "daflow_build_info",
        "Always 1; the labels say what is running.",
        labels=["version", "scorer", "bundle"],
    )
    bundle = snapshot.get("bundle", {}).get("hash", "")
    info.add_metric([snapshot.get("version", ""), snapshot.get("scorer", ""), bundle], 1)
    yield info


def _by_label(
    label: str,
    rows: Mapping[str, Mapping[str, Any]],
    family: Any,
    metrics: Mapping[str, tuple[str, str]],
) -> Iterator[Metric]:
    """One metric for each field, one sample for each row in which the field is known."""
    for field, (name, text) in metrics.items():
        metric = family(name, text, labels=[label])
        for row, fields in rows.items():
            if fields.get(field) is not None:
                metric.add_metric([row], float(fields[field]))
        yield metric
