from __future__ import annotations

from daflow.core.errors import unusable_package


def test_a_package_that_lacks_a_system_library_is_not_called_missing() -> None:
    error = ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
    message = unusable_package(error, "cv2", "edge").message
    assert "cannot be loaded (libGL.so.1" in message
    assert "apt-get install libegl1 libgles2 libgl1" in message
    assert "not installed" not in message
