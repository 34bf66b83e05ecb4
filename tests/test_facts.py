"""What run.json says beforehand."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nnkit.facts import git_commit


def test_git_commit_is_read_from_gits_files(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None
    commit, git, below = hashlib.sha1(b"x").hexdigest(), tmp_path / ".git", tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text(f"{commit}\n")
    assert git_commit(below) == commit
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert git_commit(below) is None
    (git / "refs" / "heads" / "main").write_text(f"{commit}\n")
    assert git_commit(tmp_path) == commit


def test_git_commit_tells_nothing_but_a_commit(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "own").write_text("a secret")
    for text in ("ref: ../own", f"ref: {tmp_path / 'own'}", "a secret"):
        (tmp_path / ".git" / "HEAD").write_text(text)
        assert git_commit(tmp_path) is None
