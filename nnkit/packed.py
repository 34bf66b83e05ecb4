"""What `torch.save` has written, unpacked as data: nothing in it is executed, and it is no larger than its file."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import torch

_REASON = re.compile(r"WeightsUnpickler error:\s+(.+?)(?:\. Please .*)?$", re.MULTILINE)


def unpacked(data: bytes) -> dict[str, Any]:
    """Return the plain containers and tensors in the bytes of a file.

    Raises:
        ValueError: it is no such file, holds anything else, or more than its size says.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            entries = file.infolist()
        # torch packs nothing: what is packed was made by somebody who wants it to be much larger than it looks.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed")
        if sum(entry.file_size for entry in entries) > len(data):
            raise ValueError("its parts are larger than the whole")
        found = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:  # whatever zipfile, pickle and torch can raise for a file that is none
        raise ValueError(reason_of(error)) from error
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}")
    return found


def reason_of(error: Exception) -> str:
    """Return why a file could not be read, in a line: without torch's advice to trust it all the same."""
    said = _REASON.search(str(error))
    return said[1] if said is not None else (str(error) or type(error).__name__).splitlines()[0]
