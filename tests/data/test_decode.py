"""Many picture files: what they share, the bad ones together, and the cache."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.data.decode import (
    ENTRIES_KEPT,
    Decoded,
    auto_format,
    decode_all,
    decode_each,
    digests_of,
    read_headers,
    verify_all,
)
from nnkit.data.images import Files
from nnkit.data.picture import ImageFormat, decode
from nnkit.errors import DataError
from tests.data.pictures import files_of, made, png_of_size, write_classes, write_picture

ROOT, CACHE = Path("set"), Path("cache")
FORM = ImageFormat(5, 4, 1, "squash")


def headers_of(**pictures: Any) -> Any:
    """Write a picture a name, and return what their headers say."""
    for name, pixels in pictures.items():
        write_picture(ROOT / f"{name}.png", pixels)
    return read_headers(files_of(ROOT), cache=None, progress=False)


def read(files: Files | None = None, **choices: Any) -> Decoded:
    """Decode all files below ROOT."""
    settings = {"cache": CACHE, "progress": False, "on_bad": "error", **choices}
    return decode_all(files or files_of(ROOT), settings.pop("form", FORM), **settings)


def blackened(path: Path) -> None:
    """Make a picture black without its size or its time telling, as nobody does."""
    before = path.stat()
    black = write_picture(path, np.zeros((5, 4), np.uint8)).read_bytes()
    path.write_bytes(black + b"\0" * (before.st_size - len(black)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_all_pictures_are_decoded_in_their_order() -> None:
    write_classes(ROOT, {"a": 70, "b": 70})  # more than one thread takes at once
    files = files_of(ROOT)[::-1]
    decoded = read(files)
    np.testing.assert_array_equal(decoded.pixels, [decode(files.place(row), FORM) for row in range(140)])
    assert (decoded.pixels.dtype, decoded.rows.tolist()) == (np.uint8, list(range(140)))
    assert (decoded.bad, decoded.notes) == ((), ())


# Headers


def test_the_size_is_the_one_that_all_share() -> None:
    headers = headers_of(a=made(6, 9, 1), b=made(6, 9, 1))
    assert auto_format(headers, height=None, width=None, channels=None, resize="pad") == ImageFormat(6, 9, 1, "pad")


def test_else_it_is_the_median_rounded() -> None:
    headers = headers_of(a=made(6, 9), b=made(8, 9), c=made(30, 20), d=made(9, 14))
    assert (headers.height, headers.width) == (8, 12)  # of 6, 8, 9, 30 and 9, 9, 14, 20: 8.5 and 11.5, to even


def test_one_picture_in_colour_makes_all_three_channels() -> None:
    grey = {"a": made(5, 5, 1), "b": made(5, 5, 1) > 99, "c": made(5, 5, 1).astype(np.uint16)}
    assert headers_of(**grey).channels == 1
    assert headers_of(d=made(5, 5)).channels == 3


def test_what_is_asked_for_is_not_taken_from_the_headers() -> None:
    headers = headers_of(a=made(6, 9, 1))
    asked = auto_format(headers, height=32, width=None, channels=3, resize="crop")
    assert asked == ImageFormat(32, 9, 3, "crop")


def test_files_that_no_header_can_be_read_of_are_named() -> None:
    write_classes(ROOT, {"a": 3})
    (ROOT / "a/1.png").write_bytes(b"")
    headers = read_headers(files_of(ROOT), cache=None, progress=False)
    assert (headers.bad, headers.height) == ({1: "is empty"}, 5)
    for path in ROOT.rglob("*.png"):
        path.write_bytes(b"")
    headers = read_headers(files_of(ROOT), cache=None, progress=False)
    with pytest.raises(DataError, match="none of the pictures can be read; for one, it is empty"):
        auto_format(headers, height=None, width=None, channels=None, resize="pad")


def test_headers_are_read_once() -> None:
    write_classes(ROOT, {"a": 2})
    (ROOT / "a/2.png").write_bytes(b"no picture")
    files = files_of(ROOT)
    first = read_headers(files, cache=CACHE, progress=False)
    for path in ROOT.rglob("*.png"):
        path.unlink()
    assert read_headers(files, cache=CACHE, progress=False) == first
    assert first.bad == {2: "is no picture, whatever its name says"}


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"bad": {}}', b'{"bad": {"7": "x"}, "height": 1, "width": 1}'])
def test_damaged_headers_in_the_cache_are_read_again(content: bytes) -> None:
    write_classes(ROOT, {"a": 2})
    first = read_headers(files_of(ROOT), cache=CACHE, progress=False)
    (entry,) = CACHE.glob("pictures/*/headers-*/entry.json")
    entry.write_bytes(content)
    assert read_headers(files_of(ROOT), cache=CACHE, progress=False) == first


# Bad files


def test_all_bad_files_are_named_together_before_any_is_decoded() -> None:
    write_classes(ROOT, {"a": 5})
    (ROOT / "a/0.png").write_bytes(b"")
    (ROOT / "a/1.png").write_text("<html>")
    (ROOT / "a/2.png").write_bytes(png_of_size(10_000, 5_000))
    (ROOT / "a/3.png").write_bytes(png_of_size(5, 4))  # its header is fine
    with pytest.raises(DataError) as raised:
        read()
    assert [problem.text for problem in raised.value.problems] == [
        "3 of 5 pictures cannot be read",
        "set/a/0.png is empty",
        "set/a/1.png is no picture, whatever its name says",
        "set/a/2.png is too large: 10000 x 5000 pixels, more than 40 megapixels",
    ]
    assert "data.on_bad=skip" in raised.value.problems[0].hint
    assert raised.value.exit_code == 3


def test_files_that_break_while_they_are_decoded_are_named_together() -> None:
    write_classes(ROOT, {"a": 130})
    for number in (3, 77):
        path = ROOT / f"a/{number}.png"
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError) as raised:
        read()
    counted, *named = [problem.text for problem in raised.value.problems]
    assert counted == "2 of 130 pictures cannot be read"
    assert [text.split(":")[0] for text in named] == [f"set/a/{n}.png cannot be decoded" for n in (3, 77)]


def test_after_twenty_bad_files_the_others_are_counted() -> None:
    write_classes(ROOT, {"a": 30})
    for path in ROOT.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError) as raised:
        read()
    assert len(raised.value.problems) == 21
    assert raised.value.problems[-1].text == "and 11 more"


@pytest.mark.parametrize("cache", [None, CACHE], ids=["no cache", "cache"])
def test_one_bad_file_in_a_hundred_may_be_skipped(cache: Path | None) -> None:
    write_classes(ROOT, {"a": 200})
    files = files_of(ROOT)
    good = read(files, cache=None).pixels
    bad = [5, 199]
    (ROOT / files.paths[5]).write_bytes(b"")
    (ROOT / files.paths[199]).write_bytes(png_of_size(5, 4))
    for _ in range(2):
        decoded = read(on_bad="skip", cache=cache)
        np.testing.assert_array_equal(decoded.pixels, np.delete(good, bad, axis=0))
        assert decoded.rows.tolist() == [row for row in range(200) if row not in bad]
        assert [path for path, _ in decoded.bad] == [files.paths[row] for row in bad]
        assert decoded.bad[0][1] == "is empty"
        assert decoded.notes == (f"2 of 200 pictures cannot be read, left out: {files.paths[5]} is empty, …",)
    with pytest.raises(DataError, match=r"of 200 pictures cannot be read; set/a/\d+.png is empty"):
        read(cache=cache)


@pytest.mark.parametrize("content", [b"", png_of_size(5, 4)], ids=["header", "pixels"])
def test_more_bad_files_are_refused_even_so(content: bytes) -> None:
    write_classes(ROOT, {"a": 100})
    for number in (1, 2):
        (ROOT / f"a/{number}.png").write_bytes(content)
    with pytest.raises(DataError, match="2 of 100 pictures cannot be read, more than the 1% that may be skipped"):
        read(on_bad="skip")


# The cache


def test_what_was_decoded_is_not_decoded_again() -> None:
    write_classes(ROOT, {"a": 3})
    first = read()
    blackened(ROOT / "a/1.png")
    np.testing.assert_array_equal(read().pixels, first.pixels)
    assert read(cache=None).pixels[1].max() == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda: os.utime(ROOT / "a/0.png", ns=(1, 1)),
        lambda: (ROOT / "a/0.png").rename(ROOT / "a/00.png"),
        lambda: write_classes(ROOT, {"b": 1}),
        lambda: (ROOT / "a/2.png").unlink(),
    ],
    ids=["another time", "another name", "a new file", "a file less"],
)
def test_a_change_of_any_file_decodes_again(change: Callable[[], None]) -> None:
    write_classes(ROOT, {"a": 3})
    read()
    blackened(ROOT / "a/1.png")
    change()
    assert read().pixels[1].max() == 0


def test_another_format_has_an_entry_of_its_own() -> None:
    write_classes(ROOT, {"a": 3})
    read()
    assert read(form=ImageFormat(5, 4, 3, "squash")).pixels.shape == (3, 3, 5, 4)
    assert read(form=ImageFormat(4, 5, 1, "squash")).pixels.shape == (3, 1, 4, 5)
    assert read().pixels.shape == (3, 1, 5, 4)


def saved(entry: Path, pixels: Any) -> None:
    with (entry / "values.npy").open("wb") as file:
        np.save(file, pixels)


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "values.npy").write_bytes((entry / "values.npy").read_bytes()[:-1]),
        lambda entry: (entry / "values.npy").write_bytes((entry / "values.npy").read_bytes() + b"x"),
        lambda entry: (entry / "values.npy").write_bytes(b"\x93NUMPY\x01\0\x04\0abcd"),
        lambda entry: (entry / "values.npy").write_bytes(b""),
        lambda entry: (entry / "values.npy").unlink(),
        lambda entry: saved(entry, np.zeros((3, 1, 4, 5), np.uint8)),
        lambda entry: saved(entry, np.zeros((3, 1, 5, 4), np.int8)),
        lambda entry: saved(entry, np.array([{}])),
        lambda entry: (entry / "entry.json").unlink(),
        lambda entry: (entry / "entry.json").write_text("{"),
        lambda entry: (entry / "entry.json").write_text('{"bad": {"3": "x"}}'),
        lambda entry: (entry / "entry.json").write_text('{"bad": ["x"]}'),
    ],
    ids=[
        "short",
        "long",
        "header",
        "empty",
        "gone",
        "shape",
        "type",
        "pickle",
        "no facts",
        "half facts",
        "bad row",
        "bad list",
    ],
)
def test_a_damaged_entry_is_decoded_again_and_repaired(damage: Callable[[Path], None]) -> None:
    write_classes(ROOT, {"a": 3})
    first = np.array(read().pixels)
    (entry,) = CACHE.glob("pictures/*/pixels-*")
    damage(entry)
    decoded = read()
    np.testing.assert_array_equal(decoded.pixels, first)
    assert decoded.notes == ()
    assert json.loads((entry / "entry.json").read_text()) == {"bad": {}}
    np.testing.assert_array_equal(np.load(entry / "values.npy"), first)


def test_who_changes_pixels_does_not_change_the_cache() -> None:
    write_classes(ROOT, {"a": 3})
    read()
    pixels = read().pixels
    pixels += 1
    np.testing.assert_array_equal(read().pixels + np.uint8(1), pixels)


def test_a_cache_that_cannot_be_written_is_a_note() -> None:
    write_classes(ROOT, {"a": 3})
    CACHE.write_text("a file where a folder should be")
    decoded = read()
    assert len(decoded.pixels) == 3
    assert len(decoded.notes) == 1
    assert decoded.notes[0].startswith("the pictures were not cached: cannot make folder cache/pictures/")
    assert CACHE.read_text() == "a file where a folder should be"


@pytest.mark.parametrize(("call", "what"), [("fsync", "cannot make folder"), ("replace", "values.npy")])
def test_a_full_disk_is_a_note_and_leaves_no_half_file(call: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_classes(ROOT, {"a": 3})
    first = read(cache=None)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        decoded = read()
    np.testing.assert_array_equal(decoded.pixels, first.pixels)
    assert what in decoded.notes[0]
    assert "No space left on device (errno 28)" in decoded.notes[0]
    assert [path for path in CACHE.rglob("*") if path.is_file()] == []
    assert read().notes == ()


def test_only_the_newest_entries_of_a_root_stay() -> None:
    write_classes(ROOT, {"a": 1})
    write_classes(Path("other"), {"a": 1})
    read(files_of(Path("other")))
    for width in range(1, ENTRIES_KEPT + 3):
        read(form=ImageFormat(5, width, 1, "squash"))
    widths = [np.load(path).shape[3] for path in CACHE.glob("pictures/*/pixels-*/values.npy")]
    assert sorted(widths) == sorted([4, *range(3, ENTRIES_KEPT + 3)])  # 4 is the other root's
    assert len(list(CACHE.glob("pictures/*/headers-*"))) == 2


def test_what_a_killed_writer_left_is_removed() -> None:
    write_classes(ROOT, {"a": 1})
    read()
    (entry,) = CACHE.glob("pictures/*/pixels-*")
    (entry / "entry.json").unlink()
    (entry / ".tmp-values.npy-99").write_bytes(b"half")
    read()
    assert sorted(path.name for path in entry.iterdir()) == ["entry.json", "values.npy"]


def test_names_that_are_no_text_have_entries_too() -> None:
    write_classes(ROOT, {"a": 1})
    os.rename(b"set/a/0.png", b"set/a/\xff.png")
    assert len(read().pixels) == len(read().pixels) == 1
    blackened(ROOT / "a" / os.fsdecode(b"\xff.png"))
    assert read().pixels.max() > 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5), st.integers(0, 1))
def test_the_cache_gives_what_decoding_gives(sizes: list[tuple[int, int]], seed: int) -> None:
    for old in ROOT.rglob("*.png"):
        old.unlink()
    for number, (height, width) in enumerate(sizes):
        write_picture(ROOT / f"{number}.png", made(height, width, seed=seed))
    form = auto_format(headers_of(), height=None, width=None, channels=None, resize="crop")
    plain = read(cache=None, form=form)
    for _ in range(2):
        np.testing.assert_array_equal(read(form=form).pixels, plain.pixels)


# Progress


@pytest.mark.parametrize(("progress", "terminal"), [(True, True), (True, False), (False, True)])
def test_a_bar_shows_on_a_terminal_alone(
    progress: bool, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_classes(ROOT, {"a": 3})
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    read(progress=progress, cache=None)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("pictures" in err) == (progress and terminal)


# Verified, but not kept


def test_what_is_verified_has_the_digests_and_sums_of_its_pixels() -> None:
    for number in range(5):
        write_picture(ROOT / f"{number}.png", made(4 + number, 6, seed=number))
    pixels = read().pixels.astype(np.int64)
    verified = verify_all(files_of(ROOT), FORM, cache=CACHE, progress=False, on_bad="error")
    np.testing.assert_array_equal(verified.digests, digests_of(read().pixels))
    np.testing.assert_array_equal(verified.sums[:, 0], pixels.sum(axis=(2, 3)))
    np.testing.assert_array_equal(verified.sums[:, 1], (pixels**2).sum(axis=(2, 3)))
    assert len(np.unique(verified.digests)) == 10


def test_what_was_verified_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    write_classes(ROOT, {"a": 150})
    (ROOT / "a" / "7.png").write_bytes(b"")
    first = verify_all(files_of(ROOT), FORM, cache=CACHE, progress=False, on_bad="skip")
    assert (first.bad, len(first.rows)) == ((("a/7.png", "is empty"),), 149)
    monkeypatch.setattr("nnkit.data.decode.decode_quietly", None)
    again = verify_all(files_of(ROOT), FORM, cache=CACHE, progress=False, on_bad="skip")
    np.testing.assert_array_equal(again.digests, first.digests)
    np.testing.assert_array_equal(again.sums, first.sums)
    assert (again.bad, again.notes) == (first.bad, first.notes)
    with pytest.raises(DataError, match="1 of 150 pictures cannot be read"):
        verify_all(files_of(ROOT), FORM, cache=CACHE, progress=False, on_bad="error")


def test_each_of_some_files_is_decoded_or_has_its_reason() -> None:
    write_classes(ROOT, {"a": 3})
    (ROOT / "a" / "1.png").write_bytes(b"text")
    paths = [str(ROOT / "a" / f"{number}.png") for number in range(3)]
    pixels, bad = decode_each(paths, FORM)
    np.testing.assert_array_equal(pixels, [decode(paths[0], FORM), decode(paths[2], FORM)])
    assert bad == {1: "is no picture, whatever its name says"}
    assert decode_each([], FORM)[0].shape == (0, *FORM.shape)
