"""What differs between versions, on stand-ins for those whose real bindings cannot be had here."""

from __future__ import annotations

from enum import IntEnum
from types import ModuleType, SimpleNamespace

import pytest

from asyncbench.backends.tensorrt.bindings.variant import variant_of
from asyncbench.backends.tensorrt.bindings.versions import Bindings, Severity
from asyncbench.errors import BackendUnavailableError, BadInputError, DoesNotFitError
from asyncbench.sweep.cell import Precision


class Flags(IntEnum):
    TF32 = 0
    FP16 = 1
    INT8 = 2
    FP8 = 3


class Config:
    """Records the settings of a build."""

    def __init__(self) -> None:
        self.flags = {Flags.TF32}
        self.features: set[str] = set()

    def set_flag(self, flag: Flags) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: Flags) -> None:
        self.flags.discard(flag)

    def set_preview_feature(self, feature: str, enable: bool) -> None:  # noqa: FBT001 - TensorRT's signature
        assert enable
        self.features.add(feature)


class Engine8:
    device_memory_size = 640

    def __init__(self, exec_context: object) -> None:
        self._exec_context = exec_context

    def create_execution_context_without_device_memory(self) -> object:
        return self._exec_context


class Engine11:
    def __init__(self, exec_context: object) -> None:
        self._exec_context = exec_context

    def create_execution_context(self, strategy: str) -> object:
        assert strategy == "user managed"
        return self._exec_context

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        return 100 * (profile_index + 1)


class Context11:
    activation: tuple[int, int] | None = None

    def update_device_memory_size_for_shapes(self) -> int:
        return 16

    def set_device_memory(self, memory: int, size: int) -> None:
        self.activation = (memory, size)


@pytest.fixture
def trt8() -> Bindings:
    module = ModuleType("tensorrt")
    module.__version__ = "8.6.0"
    module.BuilderFlag = Flags
    module.Builder = lambda _logger: raise_type_error()
    module.Runtime = lambda _logger: raise_type_error()
    module.PreviewFeature = SimpleNamespace(PROFILE_SHARING_0806="sharing", FASTER_DYNAMIC_SHAPES_0805="faster")
    module.NetworkDefinitionCreationFlag = SimpleNamespace(EXPLICIT_BATCH=0)
    return Bindings(module)


@pytest.fixture
def trt11() -> Bindings:
    module = ModuleType("tensorrt")
    module.__version__ = "11.4.0.106"
    module.BuilderFlag = SimpleNamespace(TF32=Flags.TF32)
    module.Builder = object
    module.IProgressMonitor = object
    module.PreviewFeature = SimpleNamespace(RUNTIME_ACTIVATION_RESIZE_10_10="resize")
    module.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
    module.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")
    return Bindings(module)


def raise_type_error() -> None:
    raise TypeError("pybind11::init(): factory function returned nullptr")


@pytest.mark.parametrize(
    ("precision", "flags"),
    [
        (Precision.FP32, set()),
        (Precision.FP16, {Flags.TF32, Flags.FP16}),
        (Precision.INT8, {Flags.TF32, Flags.INT8, Flags.FP16}),
    ],
)
def test_precision_is_a_flag_up_to_10_and_fp32_excludes_tf32(trt8, precision, flags):
    config = Config()

    trt8.enable_precision(config, precision)

    assert config.flags == flags


def test_precision_is_in_the_graph_from_11_on(trt11):
    config = Config()

    trt11.enable_precision(config, Precision.FP16)

    assert config.flags == {Flags.TF32}


def test_the_fp8_flag_of_8_6_is_for_plugins_only(trt8):
    assert not trt8.variant.can_build(Precision.FP8)
    assert trt8.variant.can_build(Precision.INT8)


def test_networks_are_made_as_each_version_wants_them(trt8, trt11):
    builder = SimpleNamespace(create_network=lambda flags: flags)

    assert trt8.create_network(builder) == 1 << 0  # an explicit batch axis
    assert trt11.create_network(builder) == 1 << 1  # strongly typed


def test_lanes_share_profiles_and_activation_memory_follows_the_batch_where_that_is_optional(trt8, trt11):
    eight, eleven = Config(), Config()

    trt8.prepare_for_lanes(eight)
    trt11.prepare_for_lanes(eleven)

    assert (eight.features, eleven.features) == ({"sharing"}, {"resize"})


def test_8_6_takes_the_address_of_activation_memory_of_the_largest_shapes(trt8):
    exec_context = SimpleNamespace(device_memory=None)
    engine = Engine8(exec_context)

    made = trt8.create_user_managed_context(engine)
    trt8.set_activation(made, address=4096, size_bytes=640)

    assert made.device_memory == 4096
    assert trt8.activation_bytes(engine, made) == trt8.profile_activation_bytes(engine, 0) == 640


def test_11_takes_address_and_size_of_activation_memory_for_the_shapes_that_are_set(trt11):
    engine = Engine11(Context11())

    made = trt11.create_user_managed_context(engine)
    trt11.set_activation(made, address=4096, size_bytes=16)

    assert made.activation == (4096, 16)
    assert trt11.activation_bytes(engine, made) == 16
    assert trt11.profile_activation_bytes(engine, 1) == 200


def test_a_context_that_tensorrt_cannot_make_does_not_fit(trt11):
    with pytest.raises(DoesNotFitError, match="lower --concurrency"):
        trt11.create_user_managed_context(Engine11(None))


@pytest.mark.parametrize("create", ["create_builder", "create_runtime"])
def test_a_machine_without_gpu_is_told_so_in_words(trt8, create):
    with pytest.raises(BackendUnavailableError, match="nvidia-smi"):
        getattr(trt8, create)(object())


def test_a_calibration_cache_needs_a_version_with_calibrators(trt11):
    with pytest.raises(BadInputError, match="quantize the graph"):
        trt11.use_calibration_cache(Config(), b"")


def test_messages_of_the_real_logger_arrive_without_the_verbose_ones(rtx):
    heard: list[tuple[Severity, str]] = []
    severities = rtx.module.ILogger.Severity
    logger = rtx.create_logger(lambda severity, text: heard.append((severity, text)))

    for severity in (severities.INTERNAL_ERROR, severities.WARNING, severities.VERBOSE):
        logger.log(severity, str(severity))

    assert [severity for severity, _ in heard] == [Severity.ERROR, Severity.WARNING]


def test_the_timing_cache_of_rtx_which_does_nothing_is_left_alone(rtx):
    assert not variant_of(rtx.module).has_timing_cache
    assert rtx.merged_timing_cache(Config(), b"x") == b""
