"""Hashes of texts and bytes, the same for equal ones whatever type of Arrow they came in."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lossctl.stats.fingerprint import Hashes, mix

WORD = 8
LONG = 32 * WORD
"""Letters from which on a text is hashed by itself, as few texts are so long."""
MASKS = np.array([(1 << (8 * count)) - 1 for count in range(WORD + 1)], dtype=np.uint64)


def of_texts(column: pa.Array) -> Hashes:
    """Hash texts or bytes without nulls by all of their letters."""
    starts, stops, letters = _letters(column)
    lengths = stops - starts
    hashes = mix(lengths.astype(np.uint64))
    long = np.flatnonzero(lengths > LONG)
    rows = np.flatnonzero((lengths > 0) & (lengths <= LONG))
    # A word may start at any letter, and the last one may reach beyond the last text.
    padded = np.concatenate([letters, np.zeros(WORD, dtype=np.uint8)])
    words = np.ndarray((len(letters) + 1,), dtype="<u8", buffer=padded, strides=(1,))
    for done in range(0, LONG, WORD):
        if not len(rows):
            break
        left = lengths[rows] - done
        word = words[starts[rows] + done] & MASKS[np.minimum(left, WORD)]
        hashes[rows] = mix(hashes[rows] ^ word)
        rows = rows[left > WORD]
    for row in long.tolist():
        text = letters[starts[row] : stops[row]].tobytes()
        hashes[row] = int.from_bytes(hashlib.blake2b(text, digest_size=WORD).digest(), "little")
    return hashes


def _letters(
    column: pa.Array,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Give where each text starts and stops, and the letters of all."""
    kind = column.type
    _, offsets, *rest = column.buffers()
    data = np.frombuffer(rest[0], dtype=np.uint8) if rest and rest[0] else np.zeros(0, np.uint8)
    large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    width = np.int64 if large else np.int32
    if not len(column):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), data
    raw = np.frombuffer(offsets, dtype=width)[column.offset : column.offset + len(column) + 1]
    ends: npt.NDArray[np.int64] = raw.astype(np.int64)
    low, high = int(ends[0]), int(ends[-1])
    return ends[:-1] - low, ends[1:] - low, data[low:high]
