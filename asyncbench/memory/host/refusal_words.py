"""How libraries say that they got no memory, where nobody could turn it into an error of ours."""

from typing import Final

_NO_MEMORY: Final = (
    "MemoryError",
    "annot allocate memory",
    "Memory allocation still failed",
    "Unable to allocate",
    "bad_alloc",
    "bad allocation",
    "Failed to allocate memory",
    "failed to map segment",  # the loader's words for a library that does not fit into the address space
)


def speaks_of_memory(text: str) -> bool:
    """Whether an error's text says that memory was refused."""
    return any(words in text for words in _NO_MEMORY)
