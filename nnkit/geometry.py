"""Sizes of feature maps, known before a network is built."""

from __future__ import annotations

from collections.abc import Sequence

KernelSize = int | Sequence[int | Sequence[int]]  # of all blocks, of each, or several side by side in one


def padding_of(padding: int | str, kernel_size: int) -> int:
    """Return the number of zeros on each side; "same" keeps the size at stride 1 and an odd kernel."""
    return kernel_size // 2 if isinstance(padding, str) else padding


def each_block(kernel_size: KernelSize, blocks: int) -> list[list[int]]:
    """Return the kernel sizes, side by side, of each block."""
    each = [kernel_size] * blocks if isinstance(kernel_size, int) else kernel_size
    return [[kernels] if isinstance(kernels, int) else list(kernels) for kernels in each]


def map_sizes(
    size: int,
    *,
    blocks: int,
    kernel_size: KernelSize,
    stride: int,
    padding: int | str,
    pool_size: int | None,
) -> list[int]:
    """Return the size of one spatial dimension after each block of convolution and pooling.

    Args:
        size: before the first block, in pixels or time steps.
        blocks: number of blocks.
        kernel_size: of the convolutions, of all or of each; those side by side leave the same size.
        stride: of the convolutions.
        padding: zeros on each side, or "same".
        pool_size: window and stride of the pooling; None without pooling.

    Returns:
        One size a block; 0 or less where the map has vanished.

    Raises: nothing.
    Source: the output size in the documentation of torch.nn.Conv2d, dilation 1.
    """
    sizes = []
    for kernel, *_ in each_block(kernel_size, blocks):
        size = (size + 2 * padding_of(padding, kernel) - kernel) // stride + 1
        if pool_size is not None:
            size //= pool_size
        sizes.append(size)
    return sizes
