from __future__ import annotations

import resource

import pytest

from asyncbench.errors import BadInputError, OutputError
from asyncbench.models.graphs import write_model
from asyncbench.models.inspection import inspect_model


def test_a_network_is_written_under_its_name_seed_and_format(tmp_path):
    path = write_model("mobilenet", tmp_path / "new" / "folder", 5)

    assert path == tmp_path / "new" / "folder" / "mobilenet-seed5-v1.onnx"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_valid_file_is_reused(tmp_path):
    before = write_model("mobilenet", tmp_path, 0).stat()

    after = write_model("mobilenet", tmp_path, 0).stat()

    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("kept_ratio", [0.0, 0.5, 0.9999])
def test_a_file_that_was_cut_off_is_written_again(tmp_path, kept_ratio):
    path = write_model("mobilenet", tmp_path, 0)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept_ratio)])

    assert write_model("mobilenet", tmp_path, 0).read_bytes() == whole


def test_another_network_under_that_name_is_replaced(tmp_path):
    other = write_model("ssdmobilenet", tmp_path, 0)
    other.rename(tmp_path / "mobilenet-seed0-v1.onnx")

    path = write_model("mobilenet", tmp_path, 0)

    assert inspect_model(path).outputs[0].item_shape == (1001,)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match=r"cannot write the model .*file/models/mobilenet-seed0-v1\.onnx"):
        write_model("mobilenet", tmp_path / "file" / "models", 0)


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))

    try:
        with pytest.raises(OutputError, match="File too large") as caught:
            write_model("mobilenet", tmp_path, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert str(tmp_path) in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_an_unknown_network_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(BadInputError, match="there is no model 'vgg'"):
        write_model("vgg", tmp_path, 0)

    assert not list(tmp_path.iterdir())
