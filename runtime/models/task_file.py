"""Assembles a `.task` model file from its networks: an uncompressed zip, and metadata about the scaling of pixels.

Both are written here and not by a library, so that the bytes do not depend on a library's version: the finished
file is pinned by its SHA-256.
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

_ALIGNMENT = 64  # bytes, that of the weights in a TensorFlow Lite file


def assemble(detector: bytes, landmarks: bytes) -> bytes:
    """Return the bytes of a `.task` file.

    Args:
        detector: the network that finds people, with its metadata.
        landmarks: the network that finds landmarks, without metadata.
    """
    return _zipped(
        {
            "pose_detector.tflite": detector,
            "pose_landmarks_detector.tflite": _with_metadata(landmarks, _SCALING_OF_LANDMARKS),
        }
    )


def _zipped(entries: dict[str, bytes]) -> bytes:
    """An uncompressed zip whose bytes depend on nothing but the entries.

    MediaPipe maps the file into memory, so the entries start where weights may lie in memory.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.create_system = 3
            # 30 bytes of a local header, the name, and 4 bytes that introduce the padding
            padding = -(file.tell() + 30 + len(name) + 4) % _ALIGNMENT
            entry.extra = struct.pack("<HH", 0xFFFF, padding) + bytes(padding)
            archive.writestr(entry, content)
    return file.getvalue()


class _ExistingObject(int):
    """The position of an object in the existing flatbuffer, to which the new one refers."""


# A node of a flatbuffer: bytes as they are, a vector of nodes, or a table {slot: scalar or node}.
_Node = bytes | list[Any] | dict[int, Any] | _ExistingObject


def _text(text: str) -> bytes:
    return struct.pack(f"<I{len(text)}sx", len(text), text.encode())


def _number(value: float) -> bytes:
    return struct.pack("<If", 1, value)


# The metadata of a landmark network, by the slots of TensorFlow Lite's metadata schema: its image
# is RGB (property type 2, colour space 1), and a pixel x goes in as (x - mean) / std (unit type 1).
_SCALING_OF_LANDMARKS: _Node = {
    3: [
        {
            2: [
                {
                    0: _text("image"),
                    3: {0: 2, 1: {0: 1}},
                    4: [{0: 1, 1: {0: _number(0.0), 1: _number(255.0)}}],
                }
            ]
        }
    ],
    7: _text("1.0.0"),
}


def _with_metadata(network: bytes, metadata: _Node) -> bytes:
    """Give a network the metadata that MediaPipe looks for.

    A new root is written before the network. It refers to everything that the old root referred to, and to one more
    buffer and its name. So the network itself does not change, and the bytes do not depend on a library that might
    write a flatbuffer differently in its next version.

    Source: the schemas of TensorFlow Lite and the format of FlatBuffers, flatbuffers.dev/internals.
    """
    root = _ExistingObject(_uint32(network, 0))
    fields: dict[int, Any] = {slot: _reference(network, root, slot) for slot in range(1, 8)}
    buffers, entries = _vector(network, fields[4]), _vector(network, fields[6])
    content = _flatbuffer(metadata, b"M001")
    fields[0] = _uint32(network, _field(network, root, 0))  # the version of the schema
    fields[4] = [*buffers, {0: struct.pack("<I", len(content)) + content}]
    fields[6] = [*entries, {0: _text("TFLITE_METADATA"), 1: len(buffers)}]
    return _flatbuffer({slot: node for slot, node in fields.items() if node}, b"TFL3", network)


def _uint32(content: bytes, position: int) -> int:
    value: int = struct.unpack_from("<I", content, position)[0]
    return value


def _field(content: bytes, table: int, slot: int) -> int:
    """The position of a field of a table, or 0 when the table does not have it."""
    vtable = table - struct.unpack_from("<i", content, table)[0]
    size, offset = struct.unpack_from("<H2x", content, vtable)[0], 4 + 2 * slot
    if offset >= size:
        return 0
    within: int = struct.unpack_from("<H", content, vtable + offset)[0]
    return table + within if within else 0


def _reference(content: bytes, table: int, slot: int) -> _ExistingObject:
    """What a field of a table refers to."""
    field = _field(content, table, slot)
    return _ExistingObject(field + _uint32(content, field) if field else 0)


def _vector(content: bytes, vector: int) -> list[_ExistingObject]:
    """What the elements of a vector refer to; no vector is an empty one."""
    places = range(vector + 4, vector + 4 + 4 * _uint32(content, vector), 4) if vector else ()
    return [_ExistingObject(place + _uint32(content, place)) for place in places]


def _flatbuffer(root: _Node, identifier: bytes, existing: bytes = b"") -> bytes:
    """Write a flatbuffer, which may refer to objects of an existing one that follows it unchanged."""

    def written(shift: int) -> bytes:
        out = bytearray(4) + identifier
        struct.pack_into("<I", out, 0, _append(out, root, shift))
        return bytes(out) + bytes(-len(out) % _ALIGNMENT)

    shift = len(written(1 << 30))  # any large one: the length does not depend on it
    return written(shift) + existing


def _append(out: bytearray, node: _Node, shift: int) -> int:
    """Append a node and then everything that it refers to, since references only point forward.

    Returns:
        The position of the node.
    """
    if isinstance(node, _ExistingObject):
        return node + shift
    if isinstance(node, bytes):
        out += bytes((-len(out) - 4) % 16)  # what follows the length is aligned
        out += node
        return len(out) - len(node)
    out += bytes(-len(out) % 4)
    if isinstance(node, list):
        position, places = _append_vector(out, node)
    else:
        position, places = _append_table(out, node)
    for place, value in places.items():
        target = value if type(value) is int else _append(out, value, shift) - place
        struct.pack_into("<I", out, place, target)
    return position


def _append_vector(out: bytearray, nodes: list[Any]) -> tuple[int, dict[int, Any]]:
    """Append a vector; return its position and which nodes its places are to refer to."""
    position = len(out)
    out += struct.pack("<I", len(nodes)) + bytes(4 * len(nodes))
    return position, {position + 4 + 4 * index: node for index, node in enumerate(nodes)}


def _append_table(out: bytearray, fields: dict[int, Any]) -> tuple[int, dict[int, Any]]:
    """Append a table, with its vtable before it; every field takes four bytes."""
    offsets = {slot: 4 + 4 * index for index, slot in enumerate(sorted(fields))}
    vtable = [offsets.get(slot, 0) for slot in range(max(fields) + 1)]
    size = 4 + 2 * len(vtable)
    out += bytes(-size % 4)
    position = len(out) + size
    out += struct.pack(f"<{2 + len(vtable)}Hi", size, 4 + 4 * len(fields), *vtable, size)
    out += bytes(4 * len(fields))
    return position, {position + offset: fields[slot] for slot, offset in offsets.items()}
