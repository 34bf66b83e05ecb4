"""Arrays of an .npz file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from nnkit.data.array import read_array, source_of_arrays
from nnkit.data.sequences import Sequences
from nnkit.data.source import Source, check_source
from nnkit.errors import DataError, OutOfMemoryError

Kind = Literal["auto", "features", "series", "image"]
PATH = Path("set.npz")


def read(x: Any, y: Any = None, *, kind: Kind = "auto", task: str = "auto") -> Source:
    """Write x and y, by default classes 0, 1, 0, …, and read them."""
    np.savez(PATH, x=x, y=np.arange(len(x)) % 2 if y is None else y)
    return read_array(PATH, None, kind=kind, task=task)


@pytest.mark.parametrize(
    ("shape", "kind", "read_as"),
    [
        ((4, 7), "auto", "features"),
        ((4, 7, 2), "auto", "series"),
        ((4, 3, 5, 6), "auto", "image"),
        ((4, 7), "features", "features"),
        ((4, 7, 2), "series", "series"),
        ((4, 2, 5, 6), "image", "image"),
    ],
)
def test_the_kind_goes_by_the_dimensions(shape: tuple[int, ...], kind: Kind, read_as: str) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    source = read(x, kind=kind)
    assert (source.specs[0].kind, source.specs[0].shape) == (read_as, shape[1:])
    np.testing.assert_array_equal(source.inputs[0], x.astype(np.float32))
    assert source.inputs[0].dtype == np.float32


@pytest.mark.parametrize(("dtype", "kind"), [(np.uint8, "auto"), (np.float32, "image"), (np.uint8, "image")])
def test_grey_images_need_no_channel(dtype: Any, kind: Kind) -> None:
    x = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(dtype)
    source = read(x, kind=kind)
    assert source.specs[0].shape == (1, 5, 6)
    np.testing.assert_array_equal(source.inputs[0], x[:, None])


def test_channels_may_come_last() -> None:
    x = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    source = read(x)
    assert source.specs[0].shape == (3, 5, 6)
    assert source.inputs[0][2, 1, 3, 4] == x[2, 3, 4, 1]


def test_channels_stay_first_where_both_ends_could_be_channels() -> None:
    assert read(np.zeros((4, 3, 5, 4))).specs[0].shape == (3, 5, 4)


@pytest.mark.parametrize(
    ("shape", "kind", "dtype"),
    [((4, 1, 2, 2), "auto", np.uint8), ((4, 2), "auto", np.float32), ((4, 2, 2), "series", np.float32)],
)
def test_bytes_stay_bytes_in_images_alone(shape: tuple[int, ...], kind: Kind, dtype: Any) -> None:
    assert read(np.ones(shape, np.uint8), kind=kind).inputs[0].dtype == dtype


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint16, np.float16, np.float64])
def test_all_real_numbers_are_read(dtype: Any) -> None:
    source = read(np.array([[0, 1], [1, 0]], dtype))
    assert source.inputs[0].tolist() == [[0, 1], [1, 0]]


def test_the_target_is_named_by_its_columns() -> None:
    assert read(np.ones((3, 2)), y=np.ones((3, 2)), task="regression").target_names == ("y0", "y1")
    assert read(np.ones((3, 2)), y=np.array([0.5, 1.5, 2.5])).target_names == ("y",)
    assert read(np.ones((3, 2)), y=np.array(["b", "a", "b"])).classes == ("a", "b")


def test_a_value_beyond_32_bits_becomes_infinite_for_the_check_to_find() -> None:
    assert read(np.array([[1e39], [1.0], [-1e39]])).inputs[0].tolist() == [[np.inf], [1.0], [-np.inf]]


@pytest.mark.parametrize(
    ("x", "y", "kind", "message"),
    [
        (np.ones(4), None, "auto", r"set\.npz: x has shape \(4,\), which is no features, series or image"),
        (np.ones((1,) * 5), None, "auto", r"x has shape \(1, 1, 1, 1, 1\), which is no features, series or image"),
        (np.ones((4, 2)), None, "series", r"set\.npz: x has shape \(4, 2\), which is no series"),
        (np.ones((4, 2)), None, "image", r"x has shape \(4, 2\), which is no image"),
        (np.ones((4, 2, 2)), None, "features", r"x has shape \(4, 2, 2\), which is no features"),
        (np.ones((4, 2)), np.ones(3), "auto", r"set\.npz: x has 4 rows, but y has shape \(3,\)"),
        (np.ones((4, 2)), np.array(3), "auto", r"set\.npz: x has 4 rows, but y has shape \(\)"),
        (np.array([["a"], ["b"]]), None, "auto", r"set\.npz: x must be numeric, got <U1"),
        (np.ones((4, 2), complex), None, "auto", r"set\.npz: x must be numeric, got complex128"),
        (np.ones((2, 2)), np.ones((2, 2, 2)), "auto", r"set\.npz: y must be numbers .* of shape \(2, 2, 2\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x: Any, y: Any, kind: Kind, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(x, y, kind=kind)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [({"x": 1, "data": 2}, "named y, only x, data"), ({"a": 1, "b": 2}, "named x or y, only a, b")],
)
def test_a_missing_array_is_named(arrays: dict[str, Any], message: str) -> None:
    np.savez(PATH, **arrays)
    with pytest.raises(DataError, match=f"set.npz has no array {message}"):
        read_array(PATH, None, kind="auto", task="auto")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DataError, match=r"^set\.npz is not there$") as raised:
        read_array(PATH, None, kind="auto", task="auto")
    assert raised.value.problems[0].hint == "data.path=FILE.npz"


def write_a_plain_array() -> None:
    with PATH.open("wb") as file:
        np.save(file, np.ones(3))


@pytest.mark.parametrize(
    "write",
    [
        lambda: PATH.write_bytes(b""),
        lambda: PATH.write_text("x,y\n1,2\n"),
        lambda: PATH.mkdir(),
        write_a_plain_array,
        lambda: np.savez(PATH, x=np.ones((3, 2)), y=np.array([{}, [], ""], dtype=object)),
    ],
    ids=["empty", "text", "folder", "npy", "objects"],
)
def test_what_is_no_file_of_plain_arrays_is_refused(write: Callable[[], object]) -> None:
    write()
    with pytest.raises(DataError, match=r"set\.npz is not an \.npz file of plain arrays: ."):
        read_array(PATH, None, kind="auto", task="auto")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_byte_is_noticed_or_does_not_matter(save: Callable[..., None]) -> None:
    save(PATH, x=np.random.default_rng(0).random((6, 2)), y=np.arange(6) % 2)
    whole, fingerprint = PATH.read_bytes(), read_array(PATH, None, kind="auto", task="auto").fingerprint()
    noticed = 0
    for place in range(len(whole)):
        PATH.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert read_array(PATH, None, kind="auto", task="auto").fingerprint() == fingerprint, place
        except DataError:
            noticed += 1
    assert noticed > len(whole) // 4


# two .npy files


def test_two_files_are_read_as_one_of_both() -> None:
    x, y = np.random.default_rng(0).normal(size=(6, 2)), np.arange(6) % 2
    np.save("x.npy", x)
    np.save("y.npy", y)
    source = read_array(Path("x.npy"), Path("y.npy"), kind="auto", task="auto")
    assert source.name == "x.npy"
    np.testing.assert_array_equal(source.inputs[0], x.astype(np.float32))
    assert source.row_target.tolist() == y.tolist()
    assert source.fingerprint() == read(x, y).fingerprint()


def write_an_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, y=np.ones(3))


def test_one_npy_file_alone_is_told_what_is_missing() -> None:
    with pytest.raises(DataError, match=r"x\.npy holds one array, but the target is needed, too") as raised:
        read_array(Path("x.npy"), None, kind="auto", task="auto")
    assert raised.value.problems[0].hint == "data.target_path=FILE.npy"


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, r"y\.npy is not there"),
        (lambda path: path.write_bytes(b"no"), r"y\.npy is not an \.npy file of plain numbers"),
        (lambda path: write_an_npz(path), r"y\.npy is not an \.npy file"),
        (lambda path: np.save(path, np.array([{}], dtype=object)), r"y\.npy is not an \.npy file of plain numbers"),
    ],
    ids=["missing", "text", "npz", "objects"],
)
def test_what_is_no_npy_file_is_refused(write: Callable[[Path], object], message: str) -> None:
    np.save("x.npy", np.ones((3, 2)))
    write(Path("y.npy"))
    with pytest.raises(DataError, match=message):
        read_array(Path("x.npy"), Path("y.npy"), kind="auto", task="auto")


# parts that the file comes with


def parts(sizes: dict[str, int], **changes: Any) -> Source:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, size in sizes.items():
        arrays |= {f"x{part}": rng.normal(size=(size, 2)), f"y{part}": np.arange(size) % 2}
    np.savez(PATH, **(arrays | changes))
    return read_array(PATH, None, kind="auto", task="auto")


@pytest.mark.parametrize(
    ("sizes", "val", "test"),
    [
        ({"": 6, "_val": 3, "_test": 2}, [6, 7, 8], [9, 10]),
        ({"": 6, "_test": 2}, None, [6, 7]),
        ({"": 6, "_val": 3}, [6, 7, 8], None),
        ({"": 6}, None, None),
    ],
)
def test_validation_and_test_arrays_are_the_parts(sizes: dict[str, int], val: Any, test: Any) -> None:
    source = parts(sizes)
    assert len(source) == sum(sizes.values())
    assert (None if source.val_rows is None else source.val_rows.tolist()) == val
    assert (None if source.test_rows is None else source.test_rows.tolist()) == test


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_val": np.ones(2)}, r"x_val has 3 rows, but y_val has shape \(2,\)"),
        ({"x_val": np.ones((3, 5))}, r": x has samples of other shapes in its parts: \(2,\), \(5,\)$"),
        ({"y_val": np.ones((3, 2))}, r": y has samples of other shapes in its parts: \(\), \(2,\)$"),
        ({"y": np.ones((6, 2)), "y_val": np.ones((3, 3))}, r": y has samples .* in its parts: \(2,\), \(3,\)$"),
        ({"x_test": np.ones((3, 2))}, "has no array named y_test, only "),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        parts({"": 6, "_val": 3}, **changes)
    assert ("call the samples x" in caught.value.hint) == ("no array" in message)


def test_other_arrays_of_the_file_are_left_alone() -> None:
    source = parts({"": 6}, x_mean=np.ones(3), notes=np.array(["a"]))
    assert len(source) == 6


def test_labels_that_are_there_or_not_are_columns_of_0_and_1() -> None:
    y = np.array([[0, 1], [1, 1], [0, 0]])
    source = read(np.ones((3, 2)), y, task="multilabel")
    assert (source.task, source.target_names, source.classes) == ("multilabel", ("y0", "y1"), ())
    assert source.row_target.tolist() == y.tolist()
    with pytest.raises(DataError, match=r"set\.npz: y must be 0 and 1 for multilabel, got 2"):
        read(np.ones((3, 2)), y * 2, task="multilabel")


# series that vary in length, and a class a step


def sequences(source: Source) -> tuple[Sequences, Sequences]:
    """Return input and target, both of them sequences."""
    x, target = source.inputs[0], source.target
    assert isinstance(x, Sequences)
    assert isinstance(target, Sequences)
    return x, target


def write(**arrays: Any) -> Source:
    np.savez(PATH, **arrays)
    return read_array(PATH, None, kind="auto", task="auto")


def test_padded_series_are_cut_to_their_lengths() -> None:
    x = np.arange(24.0).reshape(4, 3, 2)
    lengths = np.array([2, 3, 1, 3])
    source = write(x=x, y=np.arange(4) % 2, lengths=lengths)
    given = source.inputs[0]
    assert isinstance(given, Sequences)
    assert [steps.tolist() for steps in given] == [row[:n].tolist() for row, n in zip(x, lengths, strict=True)]
    assert (source.specs[0].kind, source.specs[0].shape) == ("series", (3, 2))
    assert given.values.dtype == np.float32
    assert source.task == "classification"


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e6])
def test_what_stands_behind_the_end_is_not_looked_at(garbage: float) -> None:
    x, y, lengths = np.zeros((4, 3, 1)), np.tile([0.0, 1.0, 0.0], (4, 1)), np.array([2, 3, 1, 3])
    clean = source_of_arrays("made", {"x": x, "y": y, "lengths": lengths}, kind="auto", task="tagging")
    behind = np.arange(3) >= lengths[:, None]
    x[behind] = y[behind] = garbage
    source = source_of_arrays("made", {"x": x, "y": y, "lengths": lengths}, kind="auto", task="tagging")
    check_source(source)
    assert source.fingerprint() == clean.fingerprint()
    assert source.classes == ("0", "1")
    assert [steps.tolist() for steps in sequences(source)[1]] == [[0, 1], [0, 1, 0], [0], [0, 1, 0]]


def test_a_class_a_step_is_read_with_and_without_lengths() -> None:
    x, y = np.zeros((3, 2, 1)), np.array([["b", "a"], ["a", "a"], ["c", "b"]])
    source = source_of_arrays("made", {"x": x, "y": y}, kind="auto", task="tagging")
    assert isinstance(source.inputs[0], np.ndarray)
    assert isinstance(source.target, Sequences)
    assert [steps.tolist() for steps in source.target] == [[1, 0], [0, 0], [2, 1]]
    assert (source.task, source.classes) == ("tagging", ("a", "b", "c"))


def test_parts_have_lengths_of_their_own() -> None:
    arrays: dict[str, Any] = {}
    for part, size in (("", 4), ("_test", 2)):
        arrays |= {f"x{part}": np.ones((size, 3, 1)), f"y{part}": np.arange(size) % 2}
        arrays[f"lengths{part}"] = np.arange(size) % 3 + 1
    source = write(**arrays)
    assert source.inputs[0].lengths.tolist() == [1, 2, 3, 1, 1, 2]
    assert source.test_rows is not None
    assert source.test_rows.tolist() == [4, 5]


X = np.zeros((3, 4, 1))


@pytest.mark.parametrize(
    ("arrays", "task", "message"),
    [
        ({"lengths": np.array([1, 5, 2])}, "auto", r"made: lengths must be from 1 to 4, got 5 in row 2"),
        ({"lengths": np.array([1, 4, 0])}, "auto", r"lengths must be from 1 to 4, got 0 in row 3"),
        ({"lengths": np.array([1, 2])}, "auto", r"lengths must be \(3,\) whole numbers for series, got \(2,\)"),
        ({"lengths": np.array([[1], [2], [3]])}, "auto", r"lengths must be \(3,\) whole numbers .* got \(3, 1\)"),
        ({"lengths": np.array([1.0, 2, 3])}, "auto", r"made: lengths must be whole numbers, got float64$"),
        (
            {"lengths": np.array([1, 2, 3]), "x": np.zeros((3, 4))},
            "auto",
            r"made has lengths, but x of shape \(3, 4\) is no series \(N, T, C\)$",
        ),
        (
            {"y": np.array([[0, 1, 1, 0], [1, 0, -100, -100], [1] * 4])},
            "tagging",
            r"made: y is -100 in row 2, step 3: a step that does not count is no class$",
        ),
        (
            {"lengths": np.array([1, 2, 3]), "x_test": X, "y_test": np.arange(3)},
            "auto",
            "made has lengths for 1 of its 2 parts",
        ),
        ({}, "tagging", r"made: task=tagging needs series \(N, T, C\) and y \(N, T\), got \(3, 4, 1\) and \(3,\)"),
        ({"y": np.zeros((3, 5))}, "tagging", r"task=tagging needs series .* got \(3, 4, 1\) and \(3, 5\)"),
        ({"x": np.zeros((3, 4)), "y": np.zeros((3, 4))}, "tagging", r"task=tagging needs .* got \(3, 4\) and \(3, 4\)"),
        (
            {"y": np.array([[0, np.nan, 1, 1]] * 3), "lengths": np.array([2, 2, 2])},
            "tagging",
            r"made: y ",
        ),
    ],
)
def test_lengths_and_tags_that_do_not_fit_are_refused(arrays: dict[str, Any], task: str, message: str) -> None:
    given = {"x": X, "y": np.arange(3) % 2, **arrays}
    with pytest.raises(DataError, match=message):
        source_of_arrays("made", given, kind="auto", task=task)


def test_an_archive_that_unpacks_to_more_than_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed("a.npz", x=np.zeros((1000, 2)), y=np.zeros(1000), other=np.zeros(10**6))
    monkeypatch.setattr("nnkit.regular.available_bytes", lambda: 100_000)
    assert len(read_array(Path("a.npz"), None, kind="auto", task="regression")) == 1000  # what is not read is no matter
    monkeypatch.setattr("nnkit.regular.available_bytes", lambda: 20_000)
    with pytest.raises(OutOfMemoryError, match=r"a\.npz unpacks to 24,256 bytes, more than the 20,000 that"):
        read_array(Path("a.npz"), None, kind="auto", task="regression")
