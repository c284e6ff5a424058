from __future__ import annotations

import json
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.events.home_assistant_discovery import announcements
from runtime.events.readable_id import readable_id

# Of few letters, so that names that differ only in what is replaced, and in where they end, are common.
NAMES = st.text("ab_-/客 1é", min_size=1, max_size=5) | st.text(min_size=1)


@given(NAMES, NAMES)
def test_two_names_have_two_ids(one: str, other: str) -> None:
    assume(one != other)
    assert readable_id(one) != readable_id(other)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_two_cameras_of_any_devices_have_two_ids(one: tuple[str, str], other: tuple[str, str]) -> None:
    assume(one != other)
    assert readable_id(*one) != readable_id(*other)


@given(NAMES)
def test_an_id_of_an_id_is_another(name: str) -> None:
    """Somebody who names a device after the id of another does not get that id."""
    hashed = readable_id(name)
    assert hashed == name or readable_id(hashed) != hashed


@given(NAMES, NAMES)
def test_ids_have_letters_that_every_receiver_takes(topic: str, camera: str) -> None:
    assert re.fullmatch("[A-Za-z0-9_-]+", readable_id(topic, camera))


@pytest.mark.parametrize("name", ["daflow", "a_b", "shop-2", "daflow_001122aabbcc"])
def test_plain_names_keep_their_ids(name: str) -> None:
    assert readable_id(name) == name


def test_what_home_assistant_knows_already_is_as_before() -> None:
    (topic, text), *_ = announcements("daflow", "homeassistant", ["front_door"])
    assert topic == "homeassistant/binary_sensor/daflow_daflow/front_door_alarm/config"
    entity = json.loads(text)
    assert entity["unique_id"] == "daflow_daflow_front_door_alarm"
    assert entity["device"]["identifiers"] == ["daflow_daflow_front_door"]
