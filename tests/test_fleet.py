"""The centre of a fleet agrees with the code: metrics, labels, settings; and its files have the form that they must."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.web.metrics import render

FLEET = Path(__file__).parents[1] / "deploy" / "fleet"
DASHBOARD = FLEET / "grafana" / "dashboards" / "daflow.json"
OF_PROMETHEUS = {"up": {"instance", "job"}}
ADDED = {"instance", "job", "site"}  # by Prometheus and by devices.json, to every metric

SNAPSHOT = {
    "ready": True, "version": "1.0", "scorer": "onnxruntime fp32", "bundle": {"hash": "ab", "fps": 25.0},
    "temperature_c": 50.0, "memory_mb": 400.0, "uptime_s": 9.0, "queue": {"length": 0, "capacity": 8},
    "cameras": {"door": {
        "state": "streaming", "frames": 1, "dropped": 0, "reconnects": 0, "restarts": 0, "unusable": 0, "hidden": 0,
        "alarms": 0, "fps": 25.0, "stream_fps": 25.0, "people": 1, "drifting": False, "score": 1.0, "p_value": 0.5,
        "threshold": 5.0, "provisional": False, "alarm": False, "armed": True,
    }},
    "stages": {"delay": {"count": 1, "sum_s": 0.1, "buckets": [[0.1, 1]]}},
    "events": {"stored": 1, "waiting": 0, "lost": 0, "deliveries": {"mqtt": {
        "pending": 0, "delivered": 1, "refused": 0, "failures": 0,
    }}},
}  # fmt: skip


def rendered() -> dict[str, set[str]]:
    """The labels of each metric that `/metrics` has when everything is known."""
    found: dict[str, set[str]] = dict(OF_PROMETHEUS)
    for line in render(SNAPSHOT).decode().splitlines():
        if not line.startswith("#"):
            name, _, labels = line.partition(" ")[0].partition("{")
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def load(name: str) -> Any:
    return yaml.safe_load((FLEET / name).read_text(encoding="utf-8"))


def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return content


def queries() -> list[str]:
    """All queries of the dashboard and of the alerts."""
    content = dashboard()
    asked = [target["expr"] for panel in content["panels"] for target in panel["targets"]]
    asked += [
        re.sub(r"label_values\((.*), (\w+)\)", r"\1", each["query"]["query"])
        for each in content["templating"]["list"]
    ]
    return asked + [
        rule["expr"] for group in load("prometheus/alerts.yml")["groups"] for rule in group["rules"]
    ]


def selectors(query: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of a query, each with the labels that it is selected by."""
    for name, labels in re.findall(r"\b(daflow_\w+|up)\b(?:\{([^}]*)\})?", query):
        yield name, set(re.findall(r"(\w+)\s*=~?", labels))


def unknown(query: str) -> list[str]:
    """What a query names that no device has."""
    known = rendered()
    wrong = [
        f"{name}{{{label}}}"
        for name, labels in selectors(query)
        for label in (labels - known.get(name, set()) - ADDED or ({""} if name not in known else set()))
    ]
    grouped = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in re.split(r",\s*", group)}
    of_any = set().union(*(known.get(name, set()) for name, _ in selectors(query))) | ADDED
    return wrong + sorted(grouped - of_any)


def test_what_no_device_has_is_found() -> None:
    assert unknown('sum by (floor) (daflow_alarms{camera="x"})') == ["daflow_alarms{camera}", "floor"]
    assert unknown('daflow_alarms_total{stage="x"}') == ["daflow_alarms_total{stage}"]
    assert unknown("daflow_nothing") == ["daflow_nothing{}"]


def test_every_query_names_metrics_and_labels_that_a_device_has() -> None:
    asked = queries()
    assert len(asked) > 25
    for query in asked:
        assert list(selectors(query)), query
        assert unknown(query) == [], query
        assert query.count("(") == query.count(")")


def test_the_dashboard_has_what_grafana_needs() -> None:
    content = dashboard()
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time", "refresh", "timezone"} <= set(
        content
    )
    assert content["timezone"] == "browser", "times are local"
    (source,) = load("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    panels = content["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert {"id", "type", "title", "gridPos", "datasource", "targets", "fieldConfig", "options"} <= set(
            panel
        )
        assert panel["type"] in {"stat", "timeseries", "state-timeline", "table"}
        assert {"defaults", "overrides"} == set(panel["fieldConfig"])
        grid = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for target in panel["targets"]:
            assert {"refId", "expr", "datasource"} <= set(target)
            assert target["datasource"] == {"type": source["type"], "uid": source["uid"]}
    names = {each["name"] for each in content["templating"]["list"]}
    assert set(re.findall(r"\$(\w+)", json.dumps([p["targets"] for p in panels]))) <= names


def test_the_services_find_their_files_and_secrets_and_are_pinned() -> None:
    compose = load("compose.yaml")
    for name, service in compose["services"].items():
        image, _, tag = service["image"].partition(":")
        assert re.search(r"\d+\.\d+", tag), f"{image} is pinned"
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert (FLEET / source).exists() if source.startswith("./") else source in compose["volumes"], (
                name
            )
        for secret in service["secrets"]:
            assert secret["source"] in compose["secrets"]
    targets = {
        secret["target"] for service in compose["services"].values() for secret in service.get("secrets", ())
    }
    scraped = load("prometheus/prometheus.yml")["scrape_configs"][0]
    assert scraped["authorization"]["credentials_file"] in targets
    assert compose["services"]["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"] in targets
    assert scraped["file_sd_configs"][0]["files"] == ["devices.json"]
    for rule in load("prometheus/prometheus.yml")["rule_files"]:
        assert (FLEET / "prometheus" / rule).is_file()
    devices = json.loads((FLEET / "prometheus" / "devices.json").read_text(encoding="utf-8"))
    assert all({"targets", "labels"} == set(device) and device["labels"]["device"] for device in devices)
    assert "secrets/" in (FLEET / ".gitignore").read_text(encoding="utf-8")


def test_mosquitto_takes_its_configuration_and_lets_nobody_in_without_a_password(tmp_path: Path) -> None:
    programs = [shutil.which(name) for name in ("mosquitto", "mosquitto_passwd")]
    if not all(programs):
        pytest.skip("mosquitto is not here")
    paho = pytest.importorskip("paho.mqtt.client")
    passwords = tmp_path / "passwords"
    subprocess.run([str(programs[1]), "-b", "-c", str(passwords), "gate-1", "open sesame"], check=True)
    passwords.chmod(0o644)
    tmp_path.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = (FLEET / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8")
    for old, new in (
        ("listener 1883", f"listener {port} 127.0.0.1"),
        ("/mosquitto/passwords", str(passwords)),
        ("/mosquitto/data/", f"{tmp_path}/"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mosquitto.conf").write_text(f"user root\n{text}", encoding="utf-8")

    def code(**login: str) -> int:
        codes: list[int] = []
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.on_connect = lambda *words: codes.append(words[3].value)
        if login:
            client.username_pw_set(**login)
        client.connect("127.0.0.1", port)
        while not codes:
            client.loop(0.1)
        client.disconnect()
        return codes[0]

    with subprocess.Popen(
        [str(programs[0]), "-c", str(tmp_path / "mosquitto.conf")], stderr=subprocess.PIPE
    ) as broker:
        try:
            deadline = time.monotonic() + 30
            while not _answers(port):
                assert time.monotonic() < deadline, "the broker does not begin"
                assert broker.poll() is None, broker.stderr.read() if broker.stderr else ""
                time.sleep(0.05)
            assert code(username="gate-1", password="open sesame") == 0  # noqa: S106
            assert code() != 0
        finally:
            broker.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
