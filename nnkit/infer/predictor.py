"""`nnkit.load(run)`: a finished run as an object that predicts."""

# N rows, T steps of one, C channels, H horizon, K targets

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import numpy as np

from nnkit.config.sections.data import TableConfig
from nnkit.data.sequences import Sequences
from nnkit.data.table import text_format
from nnkit.data.tabular import TableEncoder
from nnkit.errors import ConfigError, DataError, Problem
from nnkit.infer.answers import Answers, answers_to, check_has_probabilities
from nnkit.infer.finished import Finished, open_run
from nnkit.infer.generate import generate, language_model
from nnkit.infer.hints import in_python
from nnkit.infer.history import history_part, window_of_array, windows_of_frame
from nnkit.infer.mask_files import mask_values_of, own_mask
from nnkit.infer.pictures import parts_of_pictures, picture_parts
from nnkit.infer.pixels import probabilities_to
from nnkit.infer.predict import MOST_TOLD, Part, Told
from nnkit.infer.rows import finite_rows, read_rows, samples_of, table_parts
from nnkit.infer.sequences import as_trained, tokens_of
from nnkit.runs import find_run

MOST_SHOWN = 10  # classes
NO_ROW = "there is no row to predict"


@final
class Predictor:
    """A finished run with its best weights.

    Attributes:
        classes: class names, or labels, or the vocabulary of a language; empty where values are predicted.
        run: the opened run.
    """

    def __init__(self, run: Finished) -> None:
        """Take the opened run."""
        self.run = run
        self.classes = run.spec.target.classes or (run.spec.target.names if run.spec.task == "multilabel" else ())

    def __repr__(self) -> str:
        """Return what was trained on what, for which classes, and where it lies."""
        shown = ", ".join(self.classes[:MOST_SHOWN]) + (", …" if len(self.classes) > MOST_SHOWN else "")
        classes = f" ({shown})" if shown else ""
        return f"<nnkit {self.run.spec.task} by {self.run.title}{classes}, in {self.run.folder}>"

    @in_python()
    def predict(self, rows: Any) -> Any:
        """Return the answers for some rows.

        Args:
            rows: of a run on a table: a pandas.DataFrame with its columns, in any order, or the path of a file of the
                same form; of a run on pictures an array, the path of a picture, of a folder of them or a glob, a
                picture of Pillow, or a list of either; on texts a list of texts; on series an array (N, T, C), or a
                list of arrays (T, C) where lengths vary; of a forecast the past, one step a row: a DataFrame with the
                columns of the training, an array (S, C), or the path of a file as `nnkit predict` takes it. Of other
                runs an array (N, …) of samples as in training.

        Returns:
            Class names (N,), labels (N, L) of 0 and 1, or values (N,) or (N, K) float64. Where each step has a class, a
            list of N arrays (T,); of a forecast (H, K), or (H,) where there is one target. Where each pixel has a
            class, masks as `nnkit predict` writes them, with the values of the training's masks: of pictures a list of
            N arrays (H, W), each in its picture's own size; of an array (N, H, W).

        Raises:
            ConfigError: columns are missing, or the run takes no such rows.
            DataError: a cell or a picture cannot be read, a list is empty or mixes paths with pictures, a text is
                empty, or the past is too short.
        """
        if self.run.spec.is_per_pixel:
            return self._masks(rows)
        task = self.run.spec.task
        found, lengths = self._answers(rows)
        predicted = found.predicted
        if self.run.spec.num_classes:
            predicted = np.array(self.classes, dtype=object)[predicted]
            return predicted if lengths is None else np.split(predicted, lengths.cumsum()[:-1])
        predicted = predicted[0] if task == "forecast" else predicted
        return predicted[:, 0] if task != "multilabel" and predicted.shape[1] == 1 else predicted

    @in_python()
    def predict_proba(self, rows: Any) -> Any:
        """Return the probability of each class or label, (N, C) float32; where each step has a class, N arrays (T, C).

        Where each pixel has a class, (N, C, H, W), of pictures in the size of the training.

        Raises: as `predict`; ConfigError.
        """
        if self.run.spec.is_per_pixel:
            return np.concatenate([probabilities_to(self.run, part.inputs) for part in self._parts(rows)])
        check_has_probabilities(self.run, "predict")
        found, lengths = self._answers(rows)
        return found.probabilities if lengths is None else np.split(found.probabilities, lengths.cumsum()[:-1])

    @in_python()
    def generate(
        self,
        prompt: str = "",
        length: int = 200,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
    ) -> str:
        """Return a text of a language model: the prompt, and what follows. See `nnkit.infer.generate.generate`."""
        return "".join(generate(self.run, prompt, length=length, temperature=temperature, top_k=top_k, seed=seed))

    def _masks(self, rows: Any) -> Any:
        """Return the masks of pictures, each of its own size, or of the rows of an array (N, H, W)."""
        values, found, has_sizes = mask_values_of(self.run), [], False
        for part in self._parts(rows):
            masks, has_sizes = answers_to(self.run, part.inputs).predicted, bool(part.places or part.sizes)
            found += [own_mask(self.run, part, row, mask, values) for row, mask in enumerate(masks)]
        if not found:
            raise DataError(NO_ROW)
        return found if has_sizes else np.stack(found)

    def _answers(self, rows: Any) -> tuple[Answers, Any]:
        """Return the answers of all rows; where each step has one, also the steps of each row (N,)."""
        found: list[Answers] = []
        lengths: list[Any] = []
        for part in self._parts(rows):
            found.append(answers_to(self.run, part.inputs))
            lengths.append(_lengths(part.inputs[0]) if self.run.spec.is_per_step else None)
        if not found:
            raise DataError(NO_ROW)
        names = ("predicted",) if found[0].probabilities is None else ("predicted", "probabilities")
        columns = [np.concatenate([getattr(part, name) for part in found]) for name in names]
        steps = np.concatenate(lengths) if self.run.spec.is_per_step else None
        return Answers(columns[0], columns[1] if len(columns) > 1 else None), steps

    def _parts(self, rows: Any) -> Iterator[Part]:
        if self.run.spec.task == "language":
            raise language_model()
        if self.run.spec.task == "forecast" and isinstance(rows, (str, Path)):
            yield from history_part(self.run, Path(rows).expanduser().absolute(), Told())
            return
        if self.run.spec.task == "forecast":
            array = None if hasattr(rows, "columns") else window_of_array(self.run, np.asarray(rows), "the array")
            yield Part(windows_of_frame(self.run, rows) if array is None else (array,))
            return
        if self.run.spec.inputs[0].kind == "tokens":
            yield from self._texts(rows)
            return
        encoder = self.run.preprocess.table
        if encoder is not None and isinstance(rows, (str, Path)):
            yield from table_parts(self.run, encoder, str(rows), Told(), on_bad="error")
            return
        if encoder is not None:
            inputs: Any = self._frame(rows, encoder)
        elif isinstance(rows, (str, Path)):
            yield from picture_parts(self.run, Path(rows).expanduser().absolute(), Told(), on_bad="error")
            return
        elif (pictures := _as_pictures(rows)) is not None:
            yield from parts_of_pictures(self.run, pictures)
            return
        else:
            inputs = self._samples(rows)
            if not (is_finite := finite_rows(inputs)).all():
                raise DataError(f"the array: row {int(np.flatnonzero(~is_finite)[0]) + 1} is not finite")
        if len(inputs):
            yield Part((inputs,))

    def _samples(self, rows: Any) -> Any:
        """Return an array, or a list of series, as the encoder takes them. Raises: DataError, ConfigError."""
        if self.run.spec.inputs[0].kind == "series" and isinstance(rows, (list, tuple)) and rows:
            series = [np.asarray(each) for each in rows]
            if all(map(_is_series, series)):
                if len({each.shape[1] for each in series}) > 1:
                    raise DataError(f"the list has series of {sorted({each.shape[1] for each in series})} channels")
                return as_trained(self.run, Sequences.of([each.astype(np.float32) for each in series]), "the list")
            raise _no_series(series)
        return samples_of(self.run, np.asarray(rows), "the array")

    def _texts(self, rows: Any) -> Iterator[Part]:
        if isinstance(rows, (str, bytes, Path)) or not all(isinstance(text, str) for text in rows):
            raise ConfigError(f"a run on texts predicts a list of texts, got {type(rows).__name__}", hint='["a text"]')
        texts = list(rows)
        if texts:
            yield Part((tokens_of(self.run, texts, lambda row: f"row {row + 1}", Told(), "error")[0],))

    def _frame(self, rows: Any, encoder: TableEncoder) -> Any:
        import pyarrow as pa

        section = self.run.config.data
        assert isinstance(section, TableConfig)
        if not hasattr(rows, "columns"):
            raise ConfigError(f"a run on a table predicts a DataFrame, got {type(rows).__name__}")
        missing = [name for name in encoder.names if name not in rows.columns]
        if missing:
            raise ConfigError(*(Problem(f"the DataFrame has no column {name}") for name in missing))
        try:
            batch = pa.RecordBatch.from_pandas(rows[list(encoder.names)], preserve_index=False)
        except (pa.ArrowException, ValueError) as error:
            raise DataError(f"the DataFrame cannot be read: {' '.join(str(error).split())}") from error
        with ThreadPoolExecutor(2) as threads:
            frame, bad = read_rows(
                batch, encoder.kinds, text_format(section), section.missing_values, encoder.needed, threads
            )
        if bad:
            raise DataError(*(cell.worded_at(f"the DataFrame, row {cell.row + 1}") for cell in bad[:MOST_TOLD]))
        return frame


def _is_series(array: Any) -> bool:
    return array.ndim == 2 and len(array) > 0 and array.dtype.kind in "buif"


def _no_series(given: Sequence[Any]) -> DataError:
    """Return the error of arrays that are not all series: what the first wrong one is."""
    row = next(row for row, each in enumerate(given) if not _is_series(each))
    what = f"{given[row].dtype} of shape {given[row].shape} in row {row + 1}"
    return DataError(f"the list must hold numbers (T, C), one array a series, got {what}")


def _lengths(given: Any) -> Any:
    """Return the steps (N,) of each sequence."""
    return given.lengths if isinstance(given, Sequences) else np.full(len(given), given.shape[1])


def _as_pictures(rows: Any) -> list[Any] | None:
    """Return a list of paths as such, and a picture of Pillow, or a list of them, as a list; None for anything else.

    Raises:
        DataError: the list is empty, or mixes paths or pictures with something else.
    """
    if hasattr(rows, "getbands"):
        return [rows]
    if not isinstance(rows, Sequence):
        return None
    if not rows:
        raise DataError(NO_ROW)
    kinds = ["path" if isinstance(row, (str, Path)) else "picture" if hasattr(row, "getbands") else "" for row in rows]
    if len(set(kinds)) > 1 and any(kinds):
        other = next(row for row, kind in enumerate(kinds) if kind != kinds[0])
        types = f"{type(rows[0]).__name__} in row 1, {type(rows[other]).__name__} in row {other + 1}"
        raise DataError(f"the list must hold paths alone, or pictures of Pillow alone, got {types}")
    if kinds[0] == "path":
        return [Path(row).expanduser() for row in rows]
    return list(rows) if kinds[0] else None


@in_python()
def load(run: str | Path, *, trust: bool = False) -> Predictor:
    """Return a finished run, ready to predict.

    Args:
        run: a run folder, a sweep folder (its best run), or "last".
        trust: whether code that the run names may be run, where it names the user's own, and links out of it followed.

    Raises:
        ConfigError: there is no such run.
        CheckpointError: its weights are missing or damaged.
    """
    folder = find_run(str(Path(run).expanduser()), Path("outputs"), "followed" if trust else "refused")
    return Predictor(open_run(folder, trust=trust))
