"""The path that modules are looked for on: without the current folder, which is the user's.

Nothing is imported here but what every Python has loaded before the first line of a program.
"""

import os


def without_current_folder(path: list[str]) -> list[str]:
    """Return an import path without the current folder, if only an empty entry of PYTHONPATH has put it there.

    `PYTHONPATH=$PYTHONPATH:/more` makes such an entry by accident. A folder that is named is the user's own will, `.`
    included. What Python and the script that starts us import before this line cannot be helped.
    """
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    here = current_folder()
    is_named = any(folder and os.path.abspath(folder) == here for folder in folders)  # noqa: PTH100 # no pathlib yet
    if len(folders) == 1 or "" not in folders or is_named:
        return path
    return [folder for folder in path if folder not in ("", here)]


def current_folder() -> str:
    """Return the current folder; nothing where it was deleted."""
    try:
        return os.getcwd()  # noqa: PTH109 # pathlib is not imported yet, and may be a file of the user
    except OSError:
        return ""
