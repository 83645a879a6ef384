"""`python -m asyncbench.stress.hog_child`: takes and gives back memory as it is told on stdin; burns no processor time.

A number on a line is how many bytes it shall hold from then on; it answers with a line once it does.
"""

from __future__ import annotations

import mmap
import sys

_CHUNK_BYTES = 1 << 20


def main() -> None:
    """Obey until stdin closes."""
    held: mmap.mmap | None = None
    for line in sys.stdin:
        if held is not None:
            held.close()  # unmapped: the memory is free at once
        held = _take(int(line))
        sys.stdout.write("done\n")
        sys.stdout.flush()


def _take(size_bytes: int) -> mmap.mmap | None:
    if size_bytes <= 0:
        return None
    memory = mmap.mmap(-1, size_bytes)
    chunk = b"\1" * _CHUNK_BYTES
    for _ in range(size_bytes // _CHUNK_BYTES):
        memory.write(chunk)  # pages count once they were written
    return memory


if __name__ == "__main__":
    main()
