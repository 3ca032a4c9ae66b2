"""The compression of every column in the footer of a Parquet file, without pyarrow.

pyarrow ends the process when it is asked for the name of a compression that it does not know. The footer is a structure
in Thrift's compact protocol, https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md, whose
fields are those of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from typing import Any

MAGIC, TAIL = b"PAR1", 8  # a file ends with the length of the footer, 4 bytes, and the magic
ROW_GROUPS, COLUMNS, FILE_PATH, META_DATA, CODEC = 4, 1, 1, 3, 4  # numbers of fields
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
INTEGERS = (4, 5, 6)
DEEPEST = 20


def codecs(content: bytes) -> set[int]:
    """The numbers of the compressions of all columns; ValueError if the footer is damaged or names another file."""
    length = int.from_bytes(content[-TAIL:-4], "little")
    if content[-4:] != MAGIC or length + TAIL + len(MAGIC) > len(content):
        raise ValueError("its footer is cut off")
    try:
        footer = _Reader(content[-TAIL - length : -TAIL]).struct(0)
        chunks = [chunk for group in footer[ROW_GROUPS] for chunk in group[COLUMNS]]
        if any(FILE_PATH in chunk for chunk in chunks):
            raise ValueError("its data is in another file")
        return {int(chunk[META_DATA][CODEC]) for chunk in chunks}
    except (IndexError, KeyError, TypeError):
        raise ValueError("its footer is damaged") from None


class _Reader:
    """Reads values one after another; IndexError at the end of the bytes."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 63:
                raise IndexError

    def zigzag(self) -> int:
        number = self.varint()
        return (number >> 1) ^ -(number & 1)

    def struct(self, depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.zigzag()
            kind = head & 15
            fields[number] = kind == TRUE if kind in (TRUE, FALSE) else self.value(kind, depth)
        return fields

    def value(self, kind: int, depth: int) -> Any:
        if depth > DEEPEST:
            raise IndexError
        if kind in INTEGERS:
            return self.zigzag()
        if kind in (TRUE, FALSE, BYTE):
            return self.byte()
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            head = self.byte()
            size = head >> 4 if head >> 4 < 15 else self.varint()
            return [self.value(head & 15, depth + 1) for _ in range(size)]
        if kind in (BINARY, DOUBLE):
            size = self.varint() if kind == BINARY else 8
            self.at += size
            if self.at > len(self.content):
                raise IndexError
            return None
        raise IndexError  # a map, which a footer does not have
