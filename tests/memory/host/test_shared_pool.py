import pytest

from asyncbench.memory.host.shared_pool import is_tegra


@pytest.mark.parametrize(
    ("compatible", "expected"),
    [
        ("nvidia,p3737-0000+p3701-0000\0nvidia,p3701-0000\0nvidia,tegra234\0", True),  # Jetson AGX Orin
        ("raspberrypi,4-model-b\0brcm,bcm2711\0", False),
        ("", False),
    ],
)
def test_a_tegra_says_so_in_its_device_tree(kernel, compatible, expected):
    kernel.write("proc/device-tree/compatible", compatible)

    assert is_tegra(kernel.root) is expected


def test_a_machine_without_a_device_tree_is_no_tegra(tmp_path):
    assert is_tegra(tmp_path) is False
