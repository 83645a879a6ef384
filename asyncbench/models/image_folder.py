"""Folders of images: the user's, and the one that comes with the package."""

from __future__ import annotations

from pathlib import Path

from asyncbench.errors import BadInputError

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


def find_images(folder: Path) -> tuple[Path, ...]:
    """Return what `list_images` does, and refuse to go on without an image.

    Raises:
        BadInputError: There is no such folder, it cannot be read, or it holds no image.
    """
    found = list_images(folder)
    if not found:
        kinds = ", ".join(sorted(_SUFFIXES))
        inner = " itself, and folders in it are not looked into" if any(map(Path.is_dir, folder.iterdir())) else ""
        raise BadInputError(f"no image ({kinds}) in {folder}{inner}", remedy="name a folder that has some")
    return found


def list_images(folder: Path) -> tuple[Path, ...]:
    """Return the images directly in `folder`, sorted by name, so that a batch has the same ones everywhere.

    Raises:
        BadInputError: There is no such folder, or it cannot be read.
    """
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    except OSError as error:
        raise BadInputError(
            f"cannot list the image folder {folder} ({error.strerror})", remedy="name a folder of images"
        ) from error
    return tuple(found)


def sample_image_folder() -> Path:
    """Return the folder of the packaged images, with their `labels.json` and `ATTRIBUTION.md`."""
    return Path(__file__).parent / "sample_images"
