"""The program of the child process that runs a GStreamer pipeline, as gst-launch-1.0 does.

GStreamer is called through ctypes, as its Python bindings are not in the environment of daflow-edge.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_uint32, c_uint64, c_void_p
from typing import Any

from runtime.sources.child_program import begin, end, fail

LIBRARY = "libgstreamer-1.0.so.0"
"""The library of GStreamer, which must be found by the system."""

_PAUSED, _PLAYING = 3, 4  # GstState
_EOS, _ERROR, _CLOCK_LOST, _LATENCY = 1 << 0, 1 << 1, 1 << 10, 1 << 19  # GstMessageType
_FOREVER = (1 << 64) - 1  # GST_CLOCK_TIME_NONE


class _Failure(ctypes.Structure):
    """GError."""

    _fields_ = (("domain", c_uint32), ("code", c_int), ("message", c_char_p))


class _Message(ctypes.Structure):
    """The beginning of GstMessage, which all versions 1.x have in common."""

    _fields_ = (
        ("kind_of_object", c_void_p), ("references", c_int), ("lock", c_int), ("flags", c_uint), ("copy", c_void_p),
        ("dispose", c_void_p), ("free", c_void_p), ("private_number", c_uint), ("private", c_void_p),
        ("type", c_uint), ("timestamp", c_uint64), ("source", c_void_p),
    )  # fmt: skip


def main() -> None:
    """Run the pipeline that the request lists the words of, until it ends or fails.

    It ends in an fdsink, which writes to the given file descriptor.
    """
    words = [*begin(), f"fd={sys.argv[1]}"]
    try:
        library = _load()
    except OSError as error:
        fail(f"ERROR: {error}")
    _run(library, words)
    end()


def _load() -> Any:
    library = ctypes.CDLL(LIBRARY)
    failure = POINTER(POINTER(_Failure))
    for name, returned, arguments in (
        ("gst_init", None, (c_void_p, c_void_p)),
        ("gst_parse_launchv", c_void_p, (POINTER(c_char_p), failure)),
        ("gst_element_set_state", c_int, (c_void_p, c_int)),
        ("gst_element_get_bus", c_void_p, (c_void_p,)),
        ("gst_bus_timed_pop_filtered", POINTER(_Message), (c_void_p, c_uint64, c_int)),
        ("gst_message_parse_error", None, (POINTER(_Message), failure, POINTER(c_char_p))),
        ("gst_object_get_path_string", c_char_p, (c_void_p,)),
        ("gst_bin_recalculate_latency", c_int, (c_void_p,)),
        ("gst_mini_object_unref", None, (POINTER(_Message),)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = returned, arguments
    return library


def _run(library: Any, words: Sequence[str]) -> None:
    library.gst_init(None, None)
    failure = POINTER(_Failure)()
    encoded = [word.encode(errors="surrogateescape") for word in words]
    pipeline = library.gst_parse_launchv((c_char_p * (len(words) + 1))(*encoded, None), byref(failure))
    if failure:
        fail(f"WARNING: erroneous pipeline: {_text(failure.contents.message)}")
    library.gst_element_set_state(pipeline, _PLAYING)  # a failure is on the bus, too
    bus = library.gst_element_get_bus(pipeline)
    while message := library.gst_bus_timed_pop_filtered(
        bus, _FOREVER, _EOS | _ERROR | _CLOCK_LOST | _LATENCY
    ):
        kind = message.contents.type
        if kind == _EOS:
            return
        if kind == _ERROR:
            debug = c_char_p()
            library.gst_message_parse_error(message, byref(failure), byref(debug))
            path = _text(library.gst_object_get_path_string(message.contents.source))
            text = f"ERROR: from element {path}: {_text(failure.contents.message)}"
            fail(f"{text}\nAdditional debug info:\n{_text(debug.value)}")
        if kind == _LATENCY:
            library.gst_bin_recalculate_latency(pipeline)
        else:
            library.gst_element_set_state(pipeline, _PAUSED)
            library.gst_element_set_state(pipeline, _PLAYING)
        library.gst_mini_object_unref(message)


def _text(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")


if __name__ == "__main__":
    main()
