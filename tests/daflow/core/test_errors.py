from __future__ import annotations

import pytest

from daflow.core.errors import InputError, unusable_package


@pytest.mark.parametrize("letter", ["a", "\x1b", "\U000e0001"])
def test_a_long_message_is_shown_in_short_also_when_its_letters_are_escaped(letter: str) -> None:
    message = InputError(f"begin {letter * 900} {letter * 900} end").message
    assert len(message) < 800
    assert message.startswith("begin ")
    assert message.endswith(" end")


def test_a_package_that_lacks_a_system_library_is_not_called_missing() -> None:
    error = ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
    message = unusable_package(error, "cv2", "edge").message
    assert "cannot be loaded (libGL.so.1" in message
    assert "apt-get install libegl1 libgles2 libgl1" in message
    assert "not installed" not in message


def test_a_package_that_was_built_for_other_libraries_is_to_be_installed_again() -> None:
    error = ImportError("_driver.so: undefined symbol: mempcpy_v9")
    message = unusable_package(error, "pycuda", "jetson").message
    assert "apt-get" not in message
    assert "--force-reinstall --no-cache-dir pycuda" in message
    lost = unusable_package(ImportError("libcuda.so.1: cannot open shared object file"), "pycuda", "jetson")
    assert "NVIDIA's driver" in lost.message
