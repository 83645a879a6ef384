"""Networks as the command line names them: a built-in name, a file, or both."""

import os
import subprocess

import pytest

from asyncbench.cli.sweep import read_configs
from asyncbench.errors import BadInputError
from asyncbench.models.catalog import MODELS
from asyncbench.models.model_argument import model_keys, model_keys_of_each
from asyncbench.sweep.loading import read_flags

NAMES = [model.name for model in MODELS]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with some files."""
    for name in ("net.onnx", "NET.ONNX", "plain", "mobilenet", "sub/a.onnx", "sub/b.onnx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "name", ["net.onnx", "NET.ONNX", "./net.onnx", "sub/a.onnx", "plain", "./mobilenet", "absent.onnx", "sub/../plain"]
)
def test_an_argument_that_is_a_file_or_ends_like_one_is_the_model_file(folder, name):
    assert model_keys(name, None) == {"model_file": name}
    assert model_keys(str(folder / name), None) == {"model_file": str(folder / name)}


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_name_is_the_network_also_beside_a_file_called_like_it(folder, name):
    assert model_keys(name, None) == {"model": name}
    assert model_keys(name, "net.onnx") == {"model": name, "model_file": "net.onnx"}


def test_without_an_argument_only_the_file_is_named():
    assert model_keys(None, None) == {}
    assert model_keys(None, "net.onnx") == {"model_file": "net.onnx"}


@pytest.mark.parametrize("name", ["mobilnet", "MobileNet", "resnet", "vgg", ""])
def test_what_is_neither_a_name_nor_a_file_is_answered_with_the_names(folder, name):
    with pytest.raises(BadInputError) as refused:
        model_keys(name, None)

    assert repr(name) in refused.value.message
    assert all(known in refused.value.remedy for known in NAMES)


def test_a_near_miss_is_answered_with_the_closest_name(folder):
    with pytest.raises(BadInputError, match=r"did you mean mobilenet\?"):
        model_keys("mobilnet", None)
    with pytest.raises(BadInputError, match=r"'net.onx' is neither .*did you mean net.onnx\?"):
        model_keys("net.onx", None)


def test_a_folder_is_answered_with_the_networks_in_it(folder):
    with pytest.raises(BadInputError) as refused:
        model_keys("sub", None)

    assert str(refused.value) == "sub is a folder: name an ONNX file: sub/a.onnx, sub/b.onnx"


def test_two_files_for_one_network_are_refused(folder):
    with pytest.raises(BadInputError, match=r"net.onnx and --model sub/a.onnx are two files: give one of them"):
        model_keys("net.onnx", "sub/a.onnx")


def test_several_networks_are_told_one_by_one(folder):
    assert model_keys_of_each(["resnet50", "net.onnx"], None) == [{"model": "resnet50"}, {"model_file": "net.onnx"}]
    assert model_keys_of_each([], None) == [{}]


def test_one_file_beside_several_networks_is_refused():
    with pytest.raises(BadInputError, match=r"--model net.onnx is one file, and 2 networks"):
        model_keys_of_each(["resnet50", "mobilenet"], "net.onnx")


def test_two_networks_that_the_records_could_not_tell_apart_are_refused(folder):
    with pytest.raises(BadInputError, match="two of the networks would both be called a"):
        model_keys_of_each(["sub/a.onnx", "a.onnx"], None)


def test_a_configuration_that_comes_through_a_pipe_is_read_once_for_all_networks(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", f"echo '{{\"batch\": [4, 1]}}' > {pipe}"]):
        configs = read_configs(pipe, read_flags({"model": "mobilenet"}), read_flags({"model": "resnet50"}))

    assert [(config.model, config.batch) for config in configs] == [("mobilenet", (4, 1)), ("resnet50", (4, 1))]
