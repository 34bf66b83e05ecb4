"""Convolutions on maps that are narrower than their stride, in bf16 on a processor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nnkit.train.device import Arithmetic

# glibc fills memory that is freed: what a kernel leaves as it was is then no small number.
PERTURBED = {"MALLOC_PERTURB_": "128", "MALLOC_MMAP_THRESHOLD_": str(2**32 - 1)}
SMALL_PICTURES = """
import torch
from torchvision.models import resnet18
from nnkit.train.device import Arithmetic
torch.manual_seed(0)
torch.set_num_threads(1)
arithmetic = Arithmetic.of("cpu", "bf16")
model = arithmetic.place(resnet18(num_classes=4))
for size in (8, 16):
    with arithmetic.autocast():
        loss = model(torch.rand(8, 3, size, size)).float().square().mean()
    loss.backward()
print(max(float(p.grad.abs().max()) for p in model.parameters()))
"""


def placed(layer: nn.Module) -> nn.Module:
    return Arithmetic.of("cpu", "bf16").place(layer)


def in_bf16(layer: nn.Module, x: Tensor) -> Tensor:
    with Arithmetic.of("cpu", "bf16").autocast():
        found: Tensor = layer(x)
        assert torch.is_autocast_enabled("cpu")
    return found


@pytest.mark.parametrize(
    ("make", "shape", "dtype"),
    [
        (lambda: nn.Conv2d(2, 3, 3, 2, 1), (4, 2, 5, 1), torch.float32),
        (lambda: nn.Conv2d(2, 3, 3, 2, 1), (4, 2, 1, 2), torch.bfloat16),
        (lambda: nn.Conv2d(2, 3, 5, 3, 2), (4, 2, 1, 2), torch.float32),
        (lambda: nn.Conv2d(2, 3, 3, 1, 1), (4, 2, 1, 1), torch.bfloat16),
        (lambda: nn.Conv1d(2, 3, 3, 2, 1), (4, 2, 1), torch.float32),
        (lambda: nn.Conv1d(2, 3, 3, 2, 1), (4, 2, 2), torch.bfloat16),
    ],
)
def test_a_map_narrower_than_the_stride_is_convolved_in_float32(
    make: Callable[[], nn.Module], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    layer, x = make(), torch.randn(shape)
    wanted = layer(x)
    found = in_bf16(placed(layer), x)
    assert found.dtype == dtype
    assert torch.allclose(found.float(), wanted, atol=1e-6 if dtype == torch.float32 else 0.05)
    if dtype == torch.float32:  # also after a layer that has computed in bf16
        assert in_bf16(layer, x.bfloat16()).dtype == torch.float32


def test_autocast_is_back_after_an_error() -> None:
    layer = placed(nn.Conv2d(2, 3, 3, 2, 1))
    with Arithmetic.of("cpu", "bf16").autocast():
        with pytest.raises(RuntimeError, match="channels"):
            layer(torch.randn(4, 5, 1, 1))
        assert torch.is_autocast_enabled("cpu")
    assert layer(torch.randn(4, 2, 1, 1)).dtype == torch.float32


def test_names_of_the_state_stay() -> None:
    layer = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1))
    assert list(placed(layer).state_dict()) == ["0.weight", "0.bias"]


@pytest.mark.skipif(sys.platform != "linux", reason="the variables are glibc's")
def test_gradients_on_small_pictures_do_not_hang_on_what_memory_held() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SMALL_PICTURES],
        env={**os.environ, **PERTURBED},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(ended.stdout) < 1000
