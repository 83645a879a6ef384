"""Ctrl-C and its like where no command of ours takes them: exit code 130, and no traceback."""

import signal
import subprocess
import sys

import pytest

# A command as a user of the package could add one, that sends itself a Ctrl-C.
INTERRUPTED_COMMAND = """
import signal, sys
import trio
from asyncbench.cli.main import app, main

@app.command()
def plain() -> int:
    signal.raise_signal(signal.SIGINT)
    return 0

@app.command()
def nursery() -> int:
    async def wait() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()
    trio.run(wait)
    return 0

@app.command()
def terminated() -> int:
    signal.raise_signal(signal.SIGTERM)
    return 0

@app.command()
def hung_up() -> int:
    async def wait() -> None:
        signal.raise_signal(signal.SIGHUP)
        await trio.sleep_forever()
    trio.run(wait)
    return 0

@app.command()
def broken() -> int:
    async def fail() -> None:
        async with trio.open_nursery():
            raise ValueError("ours")
    trio.run(fail)
    return 0

main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("imported", ["typer", "pydantic", "trio", "asyncbench.wire.messages"])
def test_a_signal_during_the_imports_ends_with_130_and_no_traceback(tool, imported, number):
    # -X importtime says of each module when it is there: most of the others are still to come.
    command = [sys.executable, "-X", "importtime", *tool.command("doctor")[1:]]
    process = subprocess.Popen(command, cwd=tool.folder, env=tool.environment, stderr=subprocess.PIPE, text=True)
    with process:
        said = read_until_imported(process, imported)

        process.send_signal(number)
        said += process.communicate(timeout=30)[1]

    assert process.returncode == 130, said
    assert "Traceback" not in said


def read_until_imported(process, module):
    said = ""
    for line in process.stderr:
        said += line
        if line.rpartition("|")[2].strip() == module:
            return said
    return pytest.fail(f"{module} was not imported: {said}")


@pytest.mark.parametrize("command", ["plain", "nursery", "terminated", "hung-up"])
def test_a_signal_that_nobody_takes_ends_with_130_and_no_traceback(tool, command):
    done = run_added_command(tool, command)

    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr


def test_another_error_out_of_a_nursery_keeps_its_traceback(tool):
    done = run_added_command(tool, "broken")

    assert done.returncode == 1
    assert "ValueError: ours" in done.stderr


def run_added_command(tool, command):
    return subprocess.run(
        [sys.executable, "-c", INTERRUPTED_COMMAND, command],
        cwd=tool.folder,
        env=tool.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
