"""Device, threads and precision by rule."""

from __future__ import annotations

import errno

import pytest
import torch
from torch import nn

from nnkit.assemble import assemble, prepare
from nnkit.errors import OutOfMemoryError
from nnkit.facts import told_before
from nnkit.train.device import (
    SMALL_STEP_FLOPS,
    Arithmetic,
    devices,
    pick_device,
    pick_precision,
    pick_threads,
    worded_out_of_memory,
)
from tests import real_computes_fp16
from tests.trained import config_of, run_of

NO_MEMORY = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    MemoryError("Unable to allocate 8.00 GiB for an array with shape (1073741824,) and data type float64"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 80000 bytes."),
    RuntimeError("unable to mmap 80000 bytes from file <data.bin>: Cannot allocate memory (12)"),
    RuntimeError(
        "unable to allocate shared memory(shm) for file </torch_1_2_3>: Resource temporarily unavailable (11)"
    ),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("can't start new thread"),
    RuntimeError(
        "Caught RuntimeError in DataLoader worker process 0.\nTraceback:\nunable to mmap: Cannot allocate memory"
    ),
)


@pytest.mark.parametrize("error", NO_MEMORY, ids=str)
def test_every_way_of_saying_that_memory_has_run_out_is_understood(error: Exception) -> None:
    with (
        pytest.raises(OutOfMemoryError, match=r"^out of memory reading the data with batching.batch_size=20: ") as told,
        worded_out_of_memory(config_of(), "reading the data"),
    ):
        raise error
    assert "data.limit=N" in told.value.problems[0].hint
    said = str(told.value).partition("=20: ")[2]
    assert said in (str(error) or "MemoryError")
    assert "Caught" not in said


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), OSError(errno.ENOSPC, "out of memory"), ValueError()],
    ids=str,
)
def test_what_does_not_say_so_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as told, worded_out_of_memory(config_of()):
        raise error
    assert told.value is error


@pytest.fixture(autouse=True)
def no_limit_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_every_machine_has_a_cpu_and_auto_takes_the_last_device() -> None:
    assert devices()[0] == "cpu"
    assert pick_device("auto") == devices()[-1]
    assert pick_device("cpu") == "cpu"


def test_small_networks_get_one_thread_and_large_ones_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert pick_threads("auto", SMALL_STEP_FLOPS - 1) == 1
    assert pick_threads("auto", SMALL_STEP_FLOPS) == 3
    assert pick_threads(5, 1) == 5


def test_threads_without_affinity_are_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert pick_threads("auto", SMALL_STEP_FLOPS) == 7


@pytest.mark.parametrize(
    ("words", "picked"),
    [
        (("model=cnn",), "bf16"),
        (("model=mlp",), "fp32"),
        (("model=rnn",), "fp32"),
        (("model=cnn", "trainer.precision=fp32"), "fp32"),
    ],
)
def test_auto_precision_is_bf16_for_convolutions_of_pictures_where_there_is_amx(
    words: tuple[str, ...], picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of("data=digits", *words)
    monkeypatch.setattr("nnkit.machine.cpu_flags", lambda: frozenset({"amx_tile", "amx_bf16"}))
    assert prepare(config).config.trainer.precision == picked
    monkeypatch.setattr("nnkit.machine.cpu_flags", lambda: frozenset({"avx512f", "avx512_bf16"}))
    assert prepare(config).config.trainer.precision == "fp32"


@pytest.mark.parametrize(
    ("words", "picked"),
    [(("model=rnn",), "fp32"), (("model=rnn", "model.nonlinearity=relu"), "bf16"), (("model=lstm",), "bf16")],
)
def test_auto_precision_on_a_gpu_is_bf16_but_for_a_recurrence_through_tanh(
    words: tuple[str, ...], picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)
    assert pick_precision("auto", "cuda", run_of("data=digits", *words).model) == picked


@pytest.mark.parametrize(
    ("layer", "picked"),
    [
        (nn.RNN(2, 2), "fp32"),
        (nn.RNNCell(2, 2), "fp32"),
        (nn.RNN(2, 2, nonlinearity="relu"), "bf16"),
        (nn.RNNCell(2, 2, nonlinearity="relu"), "bf16"),
        (nn.GRU(2, 2), "bf16"),
    ],
    ids=str,
)
def test_the_rule_sees_the_layers_of_a_network_of_the_users_own(
    layer: nn.Module, picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnkit.machine.cpu_flags", lambda: frozenset({"amx_tile", "amx_bf16"}))
    assert pick_precision("auto", "cpu", nn.Sequential(nn.Conv2d(1, 1, 3), layer)) == picked


@pytest.mark.parametrize(
    ("words", "flags", "is_told"),
    [
        (("model=cnn", "trainer.precision=fp16"), {"avx512_fp16"}, True),
        (("model=cnn", "trainer.precision=fp16"), {"avx512_fp16", "amx_fp16"}, False),
        (("model=cnn", "trainer.precision=fp16"), {"asimdhp"}, False),
        (("model=mlp", "trainer.precision=fp16"), {"avx512_fp16"}, False),
        (("model=cnn", "trainer.precision=bf16"), {"avx512_fp16"}, False),
    ],
)
def test_fp16_without_a_kernel_for_the_gradients_of_convolutions_is_told(
    words: tuple[str, ...], flags: set[str], is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnkit.machine.cpu_flags", lambda: frozenset(flags))
    prepared = prepare(config_of("data=digits", "data.limit=60", *words))
    notes = list(told_before(assemble(prepared, None), prepared, 1))
    assert [note for note in notes if "gradients of convolutions" in note] == notes
    assert bool(notes) is is_told


def test_processors_with_fp16_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, has in (({"avx512_bf16"}, False), ({"avx512_fp16"}, True), ({"asimdhp"}, True), (set(), False)):
        monkeypatch.setattr("nnkit.machine.cpu_flags", lambda flags=flags: frozenset(flags))
        assert real_computes_fp16() is has
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert real_computes_fp16()


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_forward_pass_computes_in_the_precision(precision: str, dtype: torch.dtype) -> None:
    arithmetic = Arithmetic.of("cpu", precision)  # type: ignore[arg-type]
    with arithmetic.autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


@pytest.mark.parametrize(("precision", "scale"), [("fp32", 1), ("bf16", 1), ("fp16", 65536)])  # torch's first scale
def test_only_fp16_scales_the_gradient(precision: str, scale: int) -> None:
    x = torch.tensor(3.0, requires_grad=True)
    Arithmetic.of("cpu", precision).differentiate(x.square())  # type: ignore[arg-type]
    assert x.grad is not None
    assert x.grad.item() == 2 * 3 * scale


@pytest.mark.parametrize(("precision", "channels_last"), [("fp32", False), ("bf16", True)])
def test_convolutions_in_reduced_precision_are_channels_last(precision: str, channels_last: bool) -> None:
    model = Arithmetic.of("cpu", precision).place(nn.Sequential(nn.Conv2d(3, 4, 3)))  # type: ignore[arg-type]
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last) is channels_last  # type: ignore[index]
