"""Masks as picture files, beside a table of how much of each picture is of which class.

Each file carries a seal, the digest of its values: by it an answer is told from a mask that somebody drew, or has set
right since. Only an answer is ever overwritten.
"""

# N pictures, H height, W width

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, final

import numpy as np

from nnkit.config.sections.data import MasksConfig
from nnkit.data.images import looks_like_picture
from nnkit.data.picture import UNREADABLE, mask_out, quiet, read_header
from nnkit.errors import ConfigError
from nnkit.infer.finished import Finished
from nnkit.infer.pictures import image_format
from nnkit.infer.places import is_within
from nnkit.infer.predict import Part
from nnkit.storage import make_folder, write_bytes

if TYPE_CHECKING:
    import pyarrow as pa

MASK, SHARE = "mask", "share"
SEAL = "nnkit"  # the text of a PNG file that holds the digest of its values
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
            ConfigError: a file that nnkit did not write is in the way.
        """
        import pyarrow as pa

        classes = self._run.spec.target.classes
        files = [self._write(mask, part, row) for row, mask in enumerate(masks)]
        shares = np.stack([(masks == number).mean((1, 2)) for number in range(len(classes))], 1)
        named = {f"{SHARE}_{name}": pa.array(shares[:, k]) for k, name in enumerate(classes)}
        return {MASK: pa.array(files), **named}

    def _write(self, mask: Any, part: Part, row: int) -> str:
        values = own_mask(self._run, part, row, mask, self._values)
        name = self._free(part.names[row] if part.names else str(self.count + 1))
        path = self.path / name
        make_folder(path.parent)
        if os.path.lexists(path) and not is_answer(path):  # it came meanwhile, or lies behind a link
            raise _in_the_way(self.path, path)
        write_bytes(path, png_of(values))
        self.count += 1
        return str(path)

    def _free(self, given: str) -> str:
        """Return the name of a mask below the folder, for a picture's: another ending where that is taken."""
        plain = PurePosixPath(*(part for part in PurePosixPath(given).parts if part not in ("..", "/")))
        name = str(plain.with_suffix(".png"))
        name = f"{plain}.png" if name in self._taken else name
        self._taken.add(name)
        return name


def check_place(run: Finished, place: Path) -> None:
    """Refuse a folder for masks that is not for answers.

    Raises:
        ConfigError: it lies among the pictures or masks that the run was trained on, or holds a picture that nnkit did
            not write as an answer, or that has changed since.
    """
    section = run.config.data
    if isinstance(section, MasksConfig) and not section.is_arrays:
        for kept, what in ((section.masks, "masks"), (section.images, "pictures")):
            if kept is not None and (is_within(place, Path(kept)) or is_within(Path(kept), place)):
                told = f"the answers would come among the {what} that the run learned from, and overwrite them: {place}"
                raise ConfigError(told, hint=f"--masks {_beside(Path(kept))}")
    other = next((path for path in _pictures_in(place) if not is_answer(path)), None)
    if other is not None:
        raise _in_the_way(place, other)


def is_answer(path: Path) -> bool:
    """Tell whether a file is a mask that `png_of` made, of which nobody has changed a pixel since."""
    from PIL import Image

    try:
        with quiet(), open(path, "rb") as file, Image.open(file, formats=("PNG",)) as picture:
            picture.load()
            return bool(picture.info.get(SEAL) == _digest(np.asarray(picture)))
    except (*UNREADABLE, Image.DecompressionBombError):
        return False


def _pictures_in(folder: Path) -> Iterator[Path]:
    """Yield the picture files of a folder at any depth; what is behind links is looked at when it is written."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted(names) if looks_like_picture(name))


def _in_the_way(place: Path, path: Path) -> ConfigError:
    told = f"{path} is no mask that nnkit wrote, or was changed since: answers would come among such files"
    return ConfigError(told, hint=f"--masks {_beside(place)}, or another folder that is new or has answers alone")


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-predicted")


def own_mask(run: Finished, part: Part, row: int, mask: Any, values: Any) -> Any:
    """Return a mask of class numbers as a picture's own: in its size, of rows of an array in theirs.

    Args:
        run: that answers.
        part: of which it is an answer.
        row: of the part.
        mask: (H, W), in the size that the network sees.
        values: (C,) that stand for the classes, of `mask_values_of`.
    """
    if part.places or part.sizes:
        with quiet():
            height, width = part.sizes[row] if part.sizes else read_header(part.places[row])[:2]
        mask = mask_out(mask, image_format(run), height, width)
    return values[mask]


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
    """Return values (H, W) uint8 or uint16 as a grey PNG file, with their seal."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    file, seal = io.BytesIO(), PngInfo()
    seal.add_text(SEAL, _digest(values))
    Image.fromarray(values).save(file, "png", pnginfo=seal)
    return file.getvalue()


def _digest(values: Any) -> str:
    """Return 128 bits of BLAKE2b of values (H, W), and of their shape, in hexadecimal."""
    plain = f"{values.shape}".encode() + values.astype("<u2").tobytes()
    return hashlib.blake2b(plain, digest_size=16).hexdigest()
