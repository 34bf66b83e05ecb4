"""Folders that are links, and links in folders: the user's own, and a stranger's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from nnkit.cli import main
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.errors import ConfigError
from nnkit.links import refuse_links
from nnkit.runs import find_run, write_config, write_run

Capture = pytest.CaptureFixture[str]
QUICK = ["data=iris", "model.hidden=[4]", "trainer.max_epochs=1", "trainer.plots=false"]
ROWS = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n1,2,3,4\n"


def a_run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    write_config(folder, check(compose([])))
    write_run(folder, {"status": "completed", "started": "2026"})
    return folder.absolute()


def trained(capsys: Capture, *words: str) -> Path:
    assert main(["train", *QUICK, *words]) == 0
    return Path(capsys.readouterr().out.strip())


@pytest.mark.parametrize("name", ["run.log", "checkpoints/step-00000001/model.safetensors", "plots", "new.txt"])
def test_a_link_out_of_a_run_is_refused_with_a_way_on(name: str) -> None:
    folder, own = a_run(Path("outputs/a")), Path("own").absolute()
    own.mkdir()
    link = folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(own if name != "new.txt" else own / "not-there-yet")
    for word in ("outputs/a", "last"):
        with pytest.raises(ConfigError, match=rf"{link} is a link out of the run, .* would land in {own}") as raised:
            find_run(word, Path("outputs"))
        assert "--trust, or move the whole run there and link its folder" in raised.value.problems[0].hint
        assert find_run(word, Path("outputs"), "followed") == folder


def test_a_chain_of_links_is_followed_to_its_end() -> None:
    folder = a_run(Path("outputs/a"))
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("../../own")
    with pytest.raises(ConfigError, match="one is a link out of the run"):
        refuse_links(folder)


def test_a_link_that_stays_in_the_run_is_taken() -> None:
    folder = a_run(Path("outputs/a"))
    (folder / "notes.yaml").symlink_to("config.yaml")
    (folder / "here").symlink_to(folder)
    refuse_links(folder)
    Path("named").symlink_to(folder)
    refuse_links(Path("named").absolute())
    neighbour = a_run(Path("outputs/ab"))  # whose name begins in the same way
    (folder / "next").symlink_to(neighbour)
    with pytest.raises(ConfigError, match="next is a link out of the run"):
        refuse_links(folder)


@pytest.mark.parametrize("links", ["refused", "followed"])
def test_pipes_are_refused_by_whoever(links: str) -> None:
    folder = a_run(Path("outputs/a"))
    os.mkfifo(folder / "data.json")
    with pytest.raises(ConfigError, match=r"data\.json is no file, which no run has made"):
        refuse_links(folder, links)  # type: ignore[arg-type]


def test_folders_that_the_user_has_linked_work_with_every_command(capsys: Capture) -> None:
    Path("disk/outputs").mkdir(parents=True)
    Path("outputs").symlink_to("disk/outputs")
    Path("rows.csv").write_text(ROWS)
    folder = trained(capsys)
    moved = Path("disk/moved").absolute()
    shutil.move(folder, moved)
    folder.symlink_to(moved)  # a run that was moved, with a link in its place
    Path("named").symlink_to(folder)  # a link to a link
    for word in (str(folder), "named", "named/"):
        epochs = 1 + len((moved / "metrics.jsonl").read_text().splitlines())
        assert main(["resume", word, f"trainer.max_epochs={epochs}"]) == 0
        assert main(["eval", word, "--no-plots"]) == 0
        assert main(["predict", word, "rows.csv"]) == 0
        assert main(["runs", "show", word]) == 0
        assert main(["runs", "diff", word, "named"]) == 0
        trained(capsys, f"model.from_run={word}")
    assert (moved / "predictions-of-rows.csv").exists()
    assert main(["runs", "ls"]) == 0
    assert main(["runs", "ls", "output_dir=named"]) == 0
    assert "completed" in capsys.readouterr().out


def test_checkpoints_on_another_disk_work_once_they_are_trusted(capsys: Capture) -> None:
    folder = trained(capsys)
    shutil.move(folder / "checkpoints", "disk")
    (folder / "checkpoints").symlink_to(Path("disk").absolute())
    Path("rows.csv").write_text(ROWS)
    for words in (
        ["resume", str(folder), "trainer.max_epochs=2"],
        ["eval", str(folder), "--no-plots"],
        ["predict", str(folder), "rows.csv"],
    ):
        before = sorted(path.name for path in Path("disk").iterdir())
        assert main(words) == 2
        assert "checkpoints is a link out of the run" in capsys.readouterr().err
        assert sorted(path.name for path in Path("disk").iterdir()) == before
        assert main([*words, "--trust"]) == 0
    assert "step-00000004" in {path.name for path in Path("disk").iterdir()}
    assert (folder / "checkpoints").is_symlink()
    assert main(["runs", "show", str(folder)]) == 0  # nothing is written
    trained(capsys, f"model.from_run={folder}")
    assert main(["runs", "rm", str(folder), "--yes"]) == 0
    assert Path("disk").is_dir()  # the link is gone, not what it led to
