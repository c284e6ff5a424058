"""The pages of a Parquet file, counted before they are unpacked.

A page header says how many bytes its page has once it is unpacked, and a reader makes that much room: a file of a few
kilobytes may ask for gigabytes. Headers are read here without unpacking anything. They are structs of Thrift's compact
protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), and their fields are those
of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TRUE, _FALSE, _BYTE, _SHORT, _INT, _LONG, _DOUBLE, _BINARY = range(1, 9)
_STRUCT = 12
_MAX_FIELD = 16
_MAX_DEPTH = 4  # a page header holds a struct that holds statistics
_MAX_VARINT = 10  # bytes of 64 bits
_UNPACKED, _PACKED = 2, 3  # fields of PageHeader
_DATA_HEADERS = (5, 8)  # DataPageHeader and DataPageHeaderV2, whose first field is the number of values


@dataclass(frozen=True)
class Page:
    """What the header of a page says.

    Attributes:
        unpacked: bytes of the page once it is unpacked.
        values: of a page of data; 0 for a dictionary.
    """

    unpacked: int
    values: int


def pages(chunk: memoryview) -> Iterator[Page]:
    """Yield the pages of a column chunk.

    Args:
        chunk: its bytes, from the first page to the end of the last one.

    Raises:
        ValueError: they are not pages.
    """
    place = 0
    while place < len(chunk):
        header = _Header(chunk, place)
        fields = header.struct(0)
        packed, unpacked = _count(fields.get(_PACKED)), _count(fields.get(_UNPACKED))
        data = [fields[number] for number in _DATA_HEADERS if isinstance(fields.get(number), dict)]
        yield Page(unpacked, sum(_count(each.get(1)) for each in data))
        place = header.place + packed


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a page does not say its size")
    return value


class _Header:
    """A struct of the compact protocol: 32-bit integers and structs by field number, all else is passed over.

    It is stricter than other readers, so that they see the same: each field is there once.
    """

    def __init__(self, content: memoryview, place: int) -> None:
        self._content = content
        self.place = place

    def struct(self, depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            if number in fields or not 0 < number <= _MAX_FIELD:
                raise ValueError(f"a page header has a field {number}")
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("a page header is nested too deep")
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind in (_SHORT, _INT, _LONG):
            value = self._zigzag()
            return value if kind == _INT else None
        if kind in (_BYTE, _DOUBLE):
            return self._pass(1 if kind == _BYTE else 8)
        if kind == _BINARY:
            return self._pass(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError("a page header has a field of an unknown kind")  # lists and maps are in none

    def _byte(self) -> int:
        if self.place >= len(self._content):
            raise ValueError("a page header is cut off")
        self.place += 1
        return self._content[self.place - 1]

    def _pass(self, size: int) -> None:
        self.place += size

    def _varint(self) -> int:
        value = 0
        for number in range(_MAX_VARINT):
            byte = self._byte()
            value |= (byte & 127) << (7 * number)
            if byte < 128:
                return value
        raise ValueError("a page header holds a number of too many bytes")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
