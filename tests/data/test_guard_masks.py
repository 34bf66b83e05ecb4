"""What the report says of masks."""

from __future__ import annotations

from pathlib import Path

from nnkit.data import read, split_by
from nnkit.data.guard import examine
from nnkit.data.preprocess import fit_preprocess
from tests.data.mask_pairs import section, square, write_pairs
from tests.data.pictures import write_picture


def test_pixels_of_each_class_are_counted_by_part() -> None:
    root = write_pairs(Path("a").absolute(), 20)
    mask = square(1)
    mask[0] = 250
    write_picture(root / "masks" / "p01.png", mask)
    config = section(root, ignore=250)
    source = read(config)
    parts = split_by(config, source)
    preprocess = fit_preprocess(source, parts.train, scaling="standard", target_scaling="none")
    report = examine(source, parts, preprocess)
    assert report.target is not None
    assert report.target.counts["200"] == {name: 20 * len(getattr(parts, name)) for name in ("train", "val", "test")}
    assert sum(count for counts in report.target.counts.values() for count in counts.values()) == 20 * 144 - 12
    (column,) = [column for column in report.columns if column.role == "target"]
    assert (column.top[1], column.missing) == (("200", 400), 12)
    assert report.repeats is not None
    assert [code for code, _ in report.warnings] == ["small_validation"]
