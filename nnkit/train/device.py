"""Device, threads and precision: chosen by rule, never by a clock, so that the same words give the same run."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

from nnkit.config.schema import Config
from nnkit.config.sections.model import network_of
from nnkit.data.batches import Batches
from nnkit.errors import ConfigError, OutOfMemoryError
from nnkit.machine import convolves_back_in_fp16, cores, multiplies_bf16_in_tiles
from nnkit.train.narrow import guard_narrow

# Below so many multiplications a step (forward), a second thread costs more than it saves: measured on 2 cores.
SMALL_STEP_FLOPS = 30_000_000

Doing = Literal["training", "reading the data", "building the network"]
# What torch, its kernels, its threads and the system say, in lower case.
NO_MEMORY = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "allocate shared memory",
    "alloc_failed",
    "allocation_failed",
    "bad_alloc",
    "can't start new thread",
)
ONE_VALUE = "Expected more than 1 value per channel"  # torch's words
AGAINST_IT: dict[Doing, str] = {
    "training": "a smaller batching.batch_size, with batching.accumulate to keep the step's size; "
    "or batching.auto_batch_size=true",
    "reading the data": "fewer samples with data.limit=N, or a machine with more memory",
    "building the network": "a smaller network (the settings of model), or a machine with more memory",
}

Precision = Literal["fp32", "bf16", "fp16"]


def devices() -> tuple[str, ...]:
    """Return the devices that this machine has, the best one last."""
    found = ["cpu"]
    if torch.backends.mps.is_available():
        found.append("mps")  # pragma: no cover - macOS
    if torch.cuda.is_available():
        found.append("cuda")  # pragma: no cover - needs a GPU
    return tuple(found)


def pick_device(wanted: str) -> str:
    """Return the device: as wanted, or for "auto" the best one there is."""
    return devices()[-1] if wanted == "auto" else wanted


def pick_threads(wanted: int | Literal["auto"], flops_a_step: int) -> int:
    """Return the number of CPU threads: as wanted, or for "auto" one for small networks, else one a core.

    The environment variable OMP_NUM_THREADS, where it is set, is the most for "auto".
    """
    if wanted != "auto":
        return wanted
    if flops_a_step < SMALL_STEP_FLOPS:
        return 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores(), int(limit))) if limit.isdigit() else cores()


def pick_precision(wanted: str, device: str, model: nn.Module) -> Precision:
    """Return the precision: as wanted, or for "auto" bf16 where it is faster and loses nothing, else fp32.

    That is on a GPU that computes in bf16, and for convolutions of pictures on a processor with AMX. A plain recurrence
    through tanh is slower in bf16, and its rounding adds up over the steps: it stays in fp32.
    """
    if wanted != "auto":
        return wanted  # type: ignore[return-value]
    if any(_goes_through_tanh(part) for part in model.modules()):
        return "fp32"
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    has_pictures = any(isinstance(part, nn.Conv2d) for part in model.modules())
    return "bf16" if device == "cpu" and has_pictures and multiplies_bf16_in_tiles() else "fp32"


def _goes_through_tanh(part: nn.Module) -> bool:
    """Tell whether a layer is a plain recurrence through tanh: nnkit's, or torch's in a network of the user's own."""
    if isinstance(part, nn.RNN):
        return part.mode == "RNN_TANH"
    if isinstance(part, nn.RNNCell):
        return part.nonlinearity == "tanh"
    return getattr(part, "kind", "") == "rnn_tanh"


def multiplies_back_slowly(arithmetic: Arithmetic, model: nn.Module) -> bool:
    """Tell whether the gradients of convolutions have no kernel here, in the precision that was wanted."""
    if arithmetic.precision != "fp16" or arithmetic.device.type != "cpu" or convolves_back_in_fp16():
        return False
    return any(isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) for part in model.modules())


@final
@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How the forward pass computes.

    Attributes:
        device: where.
        precision: in which floats; weights and their updates are float32 always.
        scaler: keeps small fp16 gradients from vanishing; None in other precisions.
    """

    device: torch.device
    precision: Precision
    scaler: torch.amp.GradScaler | None

    @classmethod
    def of(cls, device: str, precision: Precision) -> Arithmetic:
        """Return the arithmetic of a device and a precision."""
        scaler = torch.amp.GradScaler(device) if precision == "fp16" else None
        return cls(torch.device(device), precision, scaler)

    def anew(self) -> Arithmetic:
        """Return the same with a scaler that has seen no step: one that a step has left half-way refuses the next."""
        return Arithmetic.of(self.device.type, self.precision)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16 if self.precision == "bf16" else torch.float16)

    def differentiate(self, loss: Tensor) -> None:
        """Add the gradients of a loss, scaled up in fp16."""
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device; convolutions in reduced precision are laid out channels last.

        Those whose gradients a processor gets wrong in bf16 stay in float32.
        """
        if self.precision != "fp32" and any(isinstance(m, nn.Conv2d) for m in model.modules()):
            model = model.to(memory_format=torch.channels_last)
        if self.precision == "bf16" and self.device.type == "cpu":
            guard_narrow(model)
        return model.to(self.device)


@contextmanager
def worded_out_of_memory(config: Config, doing: Doing = "training") -> Iterator[None]:
    """Turn the ways of saying that memory has run out into one error, which says during what.

    Args:
        config: of the run.
        doing: what is done meanwhile.

    Raises:
        OutOfMemoryError: memory has run out.
    """
    where = "" if doing == "training" else f" {doing}"
    with _worded(f"{where} with batching.batch_size={config.batching.batch_size}", AGAINST_IT[doing]):
        yield


@contextmanager
def worded_norms(config: Config) -> Iterator[None]:
    """Turn what torch says of batch norm on a single value into an error that names the size of the batches.

    Whether a network makes maps of one pixel is known once it does.

    Raises:
        ConfigError: a batch is too small for the network.
    """
    try:
        yield
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        told = f"batching.batch_size={config.batching.batch_size} leaves a batch norm of {network_of(config.model)}"
        hint = "batching.batch_size=2 or more, or a network without batch norm"
        raise ConfigError(f"{told} one value a channel, which has no deviation", hint=hint) from error


@contextmanager
def worded_while_measuring(batches: Batches) -> Iterator[None]:
    """Turn the ways of saying that memory has run out into one error, which names the size of these batches.

    Args:
        batches: of a part that is measured.

    Raises:
        OutOfMemoryError: memory has run out.
    """
    largest = max((stop - start for start, stop in batches.spans), default=1)
    name = "batching.batch_size" if batches.is_stream else "batching.eval_batch_size"
    hint = f"{name}={largest // 4}" if largest >= 4 else AGAINST_IT["building the network"]
    with _worded(f" measuring with {name}={batches.size}", hint):
        yield


@contextmanager
def _worded(where: str, hint: str) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError, OSError) as error:
        if (said := of_no_memory(error)) is None:
            raise
        raise OutOfMemoryError(f"out of memory{where}: {said}", hint=hint) from error


def of_no_memory(error: Exception) -> str | None:
    """Return the line of an error that says that memory has run out; None where none does.

    Args:
        error: of torch, its kernels, its workers, Python or the system.
    """
    lines = str(error).splitlines()
    said = next((line for line in lines if any(words in line.lower() for words in NO_MEMORY)), None)
    if isinstance(error, OSError):
        return str(error) if error.errno == errno.ENOMEM else None
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return said or (lines[0] if lines else type(error).__name__)
    return said
