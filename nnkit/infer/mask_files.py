"""Masks as picture files, beside a table of how much of each picture is of which class."""

# N pictures, H height, W width

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, final

import numpy as np

from nnkit.config.sections.data import MasksConfig
from nnkit.data.picture import mask_out, quiet, read_header
from nnkit.infer.finished import Finished
from nnkit.infer.pictures import image_format
from nnkit.infer.predict import Part
from nnkit.storage import make_folder, write_bytes

if TYPE_CHECKING:
    import pyarrow as pa

MASK, SHARE = "mask", "share"
WHITE = 255
LARGEST_VALUE = 0xFFFF


@final
class MaskFolder:
    """The folder that the masks of a prediction go to.

    Attributes:
        path: of the folder.
        count: masks written.
    """

    def __init__(self, run: Finished, path: Path) -> None:
        """Take the run that predicts, and the folder, which is made with the first mask."""
        self.path, self.count = path, 0
        self._run, self._values = run, mask_values_of(run)
        self._taken: set[str] = set()

    def columns(self, part: Part, masks: Any) -> dict[str, pa.Array]:
        """Write the masks (N, H, W) of class numbers, each as large as its own picture, and return their columns.

        Returns:
            `mask`, the file, and `share_<class>`, of the pixels that the network sees.

        Raises:
            StorageError: the file system refused.
        """
        import pyarrow as pa

        classes = self._run.spec.target.classes
        files = [self._write(mask, part, row) for row, mask in enumerate(masks)]
        shares = np.stack([(masks == number).mean((1, 2)) for number in range(len(classes))], 1)
        named = {f"{SHARE}_{name}": pa.array(shares[:, k]) for k, name in enumerate(classes)}
        return {MASK: pa.array(files), **named}

    def _write(self, mask: Any, part: Part, row: int) -> str:
        if part.places:
            with quiet():
                height, width, _ = read_header(part.places[row])
            mask = mask_out(mask, image_format(self._run), height, width)
        name = self._free(part.names[row] if part.names else str(self.count + 1))
        path = self.path / name
        make_folder(path.parent)
        write_bytes(path, png_of(self._values[mask]))
        self.count += 1
        return str(path)

    def _free(self, given: str) -> str:
        """Return the name of a mask below the folder, for a picture's: another ending where that is taken."""
        plain = PurePosixPath(*(part for part in PurePosixPath(given).parts if part not in ("..", "/")))
        name = str(plain.with_suffix(".png"))
        name = f"{plain}.png" if name in self._taken else name
        self._taken.add(name)
        return name


def mask_values_of(run: Finished) -> Any:
    """Return the value (C,) that stands for each class in a mask: as in the masks of the training, uint8 or uint16."""
    section, classes = run.config.data, run.spec.target.classes
    if isinstance(section, MasksConfig):
        values = section.values if isinstance(section.values, list) else [0, WHITE]
    else:
        are_values = all(name.isdecimal() and int(name) <= LARGEST_VALUE for name in classes)
        values = [int(name) for name in classes] if are_values else list(range(len(classes)))
    return np.array(values, np.uint8 if max(values) <= WHITE else np.uint16)


def png_of(values: Any) -> bytes:
    """Return values (H, W) uint8 or uint16 as a grey PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(values).save(file, "png")
    return file.getvalue()
