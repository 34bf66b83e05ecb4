"""What this machine offers, as far as it can be told without torch."""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def cpu_flags() -> frozenset[str]:
    """Return what the processor says that it can do, in Linux's words; empty where it does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # no Linux
        return frozenset()
    told = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return frozenset(told.partition(":")[2].split())


def multiplies_bf16_in_tiles() -> bool:
    """Tell whether the processor has AMX: matrix products in bf16 are several times as fast as in fp32 there."""
    return {"amx_tile", "amx_bf16"} <= cpu_flags()


def computes_fp16() -> bool:
    """Tell whether the processor computes in fp16; where it does not, torch converts back and forth, slowly."""
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return bool({"avx512_fp16", "amx_fp16", "asimdhp"} & cpu_flags())


def convolves_back_in_fp16() -> bool:
    """Tell whether gradients of convolutions are computed in fp16; for AVX-512 alone there is no such kernel."""
    return "avx512_fp16" not in cpu_flags() or "amx_fp16" in cpu_flags()


def available_bytes() -> int:
    """Return how much memory this process may still take: what the system has, and its group and its limit leave."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # macOS tells the size of its memory, not how much of it is free
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(0, min([free, *_left_by_limits()]))


def _left_by_limits() -> Iterator[int]:
    """Yield what each limit leaves: that of a container or a job of a cluster, and that of `ulimit -v`."""
    try:
        group = Path("/sys/fs/cgroup") / Path("/proc/self/cgroup").read_text().strip().rpartition("::/")[2]
        yield int((group / "memory.max").read_text()) - _used_bytes(group)
    except (OSError, ValueError):  # no such group, or "max"
        pass
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY:
        try:
            yield limit - int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:  # no Linux
            yield limit


def _used_bytes(group: Path) -> int:
    """Return what a control group holds, without the copies of files, which it gives up when it has to."""
    try:
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int((group / "memory.current").read_text()) - int(stat["inactive_file"])
    except (OSError, ValueError, KeyError):
        return 0
