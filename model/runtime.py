"""The machine that a model runs on: memory, threads, device, number type."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Names of glibc's malloc.h."""


def keep_memory() -> bool:
    """Tell glibc to keep freed memory instead of giving it back and faulting it in again at the next step.

    Returns whether the C library is one that can be told. For the whole process, and at any time: measured on the xs
    model at one thread 1.65 times the tokens per CPU-second, 100 page faults a step instead of 16 000; setting
    MALLOC_MMAP_MAX_ and its like before the process starts gives the same.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 256 << 20))
    n_taken = sum(libc.mallopt(name, value) for name, value in settings)  # 1 for each that it takes
    return bool(n_taken == len(settings))


@contextmanager
def deterministic(threads: int, device: torch.device) -> Iterator[None]:
    """Run the block with this many threads and, on CUDA, with kernels that give the same bits each time.

    On CPUs torch's kernels do so anyway for a fixed number of threads (measured; two runs are compared in the tests).
    """
    n_threads, was_on = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
        torch.use_deterministic_algorithms(was_on)


def best_device() -> torch.device:
    """A CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 multiplications are native, and so about twice as fast as float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return any(
        bool(getattr(torch.cpu, name, bool)())  # private, so it may be gone: then float32, which is always right
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )


def number_type(device: torch.device, precision: str) -> torch.dtype:
    """What is multiplied in: `auto` is bfloat16 where it is native; else `bfloat16` or `float32` as it says."""
    is_bfloat16 = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    return torch.bfloat16 if is_bfloat16 else torch.float32


def autocast(device: torch.device, *, precision: str = "auto") -> AbstractContextManager[object]:
    """Multiply in `number_type` inside the block."""
    dtype = number_type(device, precision)
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def machine(precision: str) -> dict[str, str]:
    """What the bits of a training depend on beside its settings and data, for keys."""
    device = best_device()
    return {
        "torch": torch.__version__,
        "processor": platform.machine() if device.type == "cpu" else torch.cuda.get_device_name(device),
        "numbers": str(number_type(device, precision)),
    }
