"""What is announced to Home Assistant has the keys that its documentation of MQTT discovery lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.config.schema import ServeOptions
from runtime.events.camera_topics import ARMED_SET, LABEL_SET, PARTS
from runtime.events.home_assistant_discovery import announcements

# https://www.home-assistant.io/integrations/mqtt/ and the pages of its platforms, as of 2026
COMMON = {
    "availability", "availability_mode", "availability_template", "availability_topic", "device",
    "enabled_by_default", "encoding", "entity_category", "entity_picture", "icon", "json_attributes_template",
    "json_attributes_topic", "name", "object_id", "default_entity_id", "origin", "payload_available",
    "payload_not_available", "platform", "qos", "unique_id", "device_class",
}  # fmt: skip
KEYS = {
    "binary_sensor": {"expire_after", "force_update", "off_delay", "payload_off", "payload_on", "state_topic",
                      "value_template"},
    "sensor": {"expire_after", "force_update", "last_reset_value_template", "options", "state_class", "state_topic",
               "suggested_display_precision", "unit_of_measurement", "value_template"},
    "switch": {"command_template", "command_topic", "optimistic", "payload_off", "payload_on", "retain", "state_off",
               "state_on", "state_topic", "value_template"},
    "button": {"command_template", "command_topic", "payload_press", "retain"},
    "event": {"event_types", "state_topic", "value_template"},
}  # fmt: skip
REQUIRED = {
    "binary_sensor": {"state_topic"},
    "sensor": {"state_topic"},
    "switch": {"command_topic"},
    "button": {"command_topic"},
    "event": {"state_topic", "event_types"},
}
DEVICE = {
    "configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model", "model_id", "name",
    "serial_number", "suggested_area", "sw_version", "via_device",
}  # fmt: skip
ORIGIN = {"name", "sw_version", "support_url"}
DEVICE_CLASSES = {"binary_sensor": {"safety"}, "sensor": {"enum"}}


@pytest.fixture
def announced() -> dict[str, dict[str, Any]]:
    """The payloads of two cameras, by component and object."""
    found = announcements(
        "shop", "homeassistant", ["door", "hall"], (ARMED_SET, LABEL_SET), "https://watch.example.org/"
    )
    return {topic: json.loads(text) for topic, text in found}


def component_of(topic: str) -> str:
    return topic.split("/")[1]


def test_every_key_is_documented_and_none_is_missing(announced: dict[str, dict[str, Any]]) -> None:
    assert {component_of(topic) for topic in announced} == set(KEYS)
    for topic, payload in announced.items():
        component = component_of(topic)
        assert set(payload) <= COMMON | KEYS[component], topic
        assert set(payload) >= REQUIRED[component] | {"unique_id", "name", "device", "origin"}, topic
        assert set(payload["device"]) <= DEVICE
        assert set(payload["origin"]) <= ORIGIN
        assert payload.get("device_class") in {None, *DEVICE_CLASSES.get(component, set())}
        for where in payload["availability"]:
            assert set(where) <= {"topic", "payload_available", "payload_not_available", "value_template"}
        assert payload.get("entity_category") in (None, "diagnostic", "config")
        if payload.get("device_class") == "enum":
            assert payload["options"]
            assert "state_class" not in payload


def test_a_camera_is_a_device_and_a_lost_one_is_unavailable(announced: dict[str, dict[str, Any]]) -> None:
    devices = {payload["device"]["identifiers"][0]: payload["device"] for payload in announced.values()}
    assert {device["name"] for device in devices.values()} == {"door", "hall"}
    for device in devices.values():
        assert device["configuration_url"] == "https://watch.example.org/"
        assert device["sw_version"]
    assert len({payload["unique_id"] for payload in announced.values()}) == len(announced)
    for topic, payload in announced.items():
        streams = [where["topic"] for where in payload["availability"] if where["topic"].endswith("/status")]
        watched = component_of(topic) == "binary_sensor" or topic.endswith("_score/config")
        assert bool(streams) == watched, topic
        assert payload["availability"][0] == {"topic": "shop/available"}


def test_entities_read_and_write_topics_that_there_are(announced: dict[str, dict[str, Any]]) -> None:
    read = {f"shop/{camera}/{part}" for camera in ("door", "hall") for part in (*PARTS, "events")}
    written = {f"shop/{camera}/{part}" for camera in ("door", "hall") for part in (ARMED_SET, LABEL_SET)}
    for payload in announced.values():
        assert payload.get("state_topic") in read | {None}
        assert payload.get("command_topic") in written | {None}
    pressed = {p["payload_press"] for topic, p in announced.items() if component_of(topic) == "button"}
    assert pressed == {"false", "real"}


def test_the_event_is_the_begin_or_the_end_of_an_alarm(announced: dict[str, dict[str, Any]]) -> None:
    jinja2 = pytest.importorskip("jinja2")
    (payload,) = (p for topic, p in announced.items() if topic.endswith("door_alarm_event/config"))
    environment = jinja2.Environment(autoescape=False)
    environment.filters["tojson"] = json.dumps
    template = environment.from_string(payload["value_template"])
    message = {"event": "begin", "id": "a", "score": 5.5, "people": [1], "peak": {"skeletons": []}}
    event = json.loads(template.render(value_json=message))
    assert event["event_type"] in payload["event_types"]
    assert (event["score"], event["reason"]) == (5.5, None)
    assert "peak" not in event
    assert template.render(value_json={**message, "event": "update"}) == ""
    end = json.loads(template.render(value_json={**message, "event": "end", "reason": "camera_lost"}))
    assert (end["event_type"], end["reason"]) == ("end", "camera_lost")


def test_without_commands_and_an_address_there_are_neither() -> None:
    payloads = [json.loads(text) for _, text in announcements("shop", "homeassistant", ["door"])]
    assert not [payload for payload in payloads if "command_topic" in payload]
    assert not [payload for payload in payloads if "configuration_url" in payload["device"]]


@pytest.mark.parametrize(
    ("serve", "url"),
    [
        ({}, None),
        ({"address": "127.0.0.1:8080"}, None),
        ({"address": "0.0.0.0:8080"}, None),
        ({"address": "[::]:8080"}, None),
        ({"address": "10.0.0.7:8080"}, "http://10.0.0.7:8080/"),
        (
            {"address": "127.0.0.1:8080", "page_url": "https://watch.example.org"},
            "https://watch.example.org/",
        ),
    ],
)
def test_the_address_of_the_page_is_one_that_others_can_open(serve: dict[str, str], url: str | None) -> None:
    assert ServeOptions.model_validate(serve).known_url == url


@pytest.mark.parametrize(
    "url", ["watch.example.org", "ftp://a/", "https://", "https://u:p@a/", "http://a:99999/"]
)
def test_what_is_no_address_of_a_page_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="This is no address of a page"):
        ServeOptions.model_validate({"page_url": url})
