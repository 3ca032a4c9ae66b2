"""Sizes and compressions in the footer of a Parquet file, without pyarrow.

pyarrow ends the process when it is asked for a column chunk whose metadata is damaged. The footer is a structure in
Thrift's compact protocol, https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md, whose
fields are those of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from typing import Any, NamedTuple

MAGIC, TAIL = b"PAR1", 8  # a file ends with the length of the footer, 4 bytes, and the magic
NUM_ROWS, ROW_GROUPS = 3, 4  # numbers of the fields of a file
COLUMNS, GROUP_ROWS = 1, 3  # of a row group
FILE_PATH, META_DATA = 1, 3  # of a column chunk
CODEC, UNCOMPRESSED_SIZE = 4, 6  # of its metadata
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
INTEGERS = (4, 5, 6)
DEEPEST = 20


class Footer(NamedTuple):
    """The rows and columns of a file, the bytes of all its columns when decompressed, and the codecs of its chunks."""

    rows: int
    columns: int
    decoded: int
    codecs: frozenset[int]


def footer_of(content: bytes) -> Footer:
    """What the footer says; ValueError if it is damaged or names another file."""
    length = int.from_bytes(content[-TAIL:-4], "little")
    if content[-4:] != MAGIC or length + TAIL + len(MAGIC) > len(content):
        raise ValueError("its footer is cut off")
    try:
        file = _Reader(content[-TAIL - length : -TAIL]).struct(0)
        groups = file[ROW_GROUPS]
        chunks = [chunk for group in groups for chunk in group[COLUMNS]]
        sizes = [(chunk[META_DATA][UNCOMPRESSED_SIZE], chunk[META_DATA][CODEC]) for chunk in chunks]
        rows, columns = [group[GROUP_ROWS] for group in groups], {len(group[COLUMNS]) for group in groups}
        if sum(rows) != file[NUM_ROWS] or min(rows, default=0) < 0 or len(columns) > 1:
            raise ValueError("its footer contradicts itself")
    except (IndexError, KeyError, TypeError):
        raise ValueError("its footer is damaged") from None
    if any(FILE_PATH in chunk for chunk in chunks) or not all(size >= 0 for size, _ in sizes):
        raise ValueError("its data is in another file, or of negative size")
    decoded, codecs = sum(size for size, _ in sizes), frozenset(codec for _, codec in sizes)
    return Footer(sum(rows), max(columns, default=0), decoded, codecs)


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
