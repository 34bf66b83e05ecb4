"""A config file that was sent."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.options import config_dir
from nnkit.config.sent import PUBLISHED, TRUST, read_sent, sent_problems, without_wishes, word_problems
from nnkit.errors import ConfigError
from tests.own_code import HERE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults: [{override /model: ../../x}]\n", "defaults: override /model: ../../x is no option of a group"),
        ("defaults: [../x]\n", "defaults: ../x: None is no option of a group"),
        ("defaults: [{override /hydra/launcher: joblib}]\n", "hydra/launcher would run programs"),
        ("hydra: {launcher: {setup: [id]}}\n", "hydra.launcher would run programs"),
        ("hydra: ${x}\n", "hydra must be a section, got '${x}'"),
        ("hydra: {sweeper: '${x}'}\n", "hydra.sweeper must be a section, got '${x}'"),
        ("hydra: {sweeper: {params: {hydra.launcher.x: 1}}}\n", "hydra.launcher.x is no setting to sweep over"),
        ("hydra: {sweeper: {params: {model.code: 'a:b'}}}\n", "model.code would run code: a:b"),
        ("data: {code: 'a:b'}\n", "data.code would run code: a:b"),
        ("model: ${activation}\n", "model would run code: ${activation}"),
        ("hydra: {sweeper: {params: {'a=1': 1}}}\n", "hydra.sweeper.params: a=1 is not the name of a setting"),
        ("hydra: {sweeper: {params: {data.download: true}}}\n", "data.download=true would fetch files"),
        (
            r"hydra: {sweeper: {params: {name: '$\{seed\}'}}}",
            "hydra.sweeper.params: name: $\\{seed\\} must be values alone, without $ and \\",
        ),
        ("output_dir: /x\n", "output_dir=/x would write files there"),
        ("data: {cache: ~/x}\n", "data.cache=~/x would write files there"),
        ("data: {download: true}\n", "data.download=true would fetch files"),
        ("defaults: [{override /tracker: wandb}]\n", "tracker: wandb would send what is trained elsewhere"),
        ("defaults: [{override /tracker: [tensorboard, mlflow]}]\n", "tracker: ['tensorboard', 'mlflow'] would send "),
        ("tracker: {mlflow: {use: true}}\n", "tracker.mlflow.use=True would send what is trained elsewhere"),
        ("tracker: {wandb: {entity: them}}\n", "tracker.wandb.entity=them would send what is trained elsewhere"),
        ("name: ${oc.env:HOME}\n", "name: ${oc.env:HOME} may refer to other settings alone"),
        ("tags: ['${a:b}']\n", "tags: ${a:b} may refer to other settings alone"),
        ("name: ${${a}}\n", "name: ${${a}} may refer to other settings alone"),
    ],
)
def test_it_runs_no_code_reads_no_environment_and_writes_nowhere_else(text: str, message: str) -> None:
    path = Path("theirs.yaml").resolve()
    path.write_text(text)
    _, values = read_sent(path)
    problems = sent_problems(values, path)
    assert any(problem.text.startswith(message) and f"(in {path})" in problem.text for problem in problems)
    assert {problem.hint for problem in problems} == {TRUST}
    with pytest.raises(ConfigError, match=r"theirs\.yaml"):
        compose(["theirs.yaml"])


def test_it_may_choose_among_the_parts() -> None:
    text = "defaults: [{override /data: iris}]\nmodel: {hidden: [3]}\nname: a-${seed}\noutput_dir: runs/here\n"
    Path("theirs.yaml").write_text(text)
    config = check(compose(["theirs.yaml"]))
    assert (config.data.kind, config.name, config.output_dir) == ("iris", "a-0", "runs/here")


def test_the_users_own_configs_and_a_trusted_file_may_do_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNKIT_PLACE", "here")
    text = f"# @package _global_\ndefaults: [{{override /model: code}}]\nmodel: {{code: '{HERE}:Net'}}\n"
    text += "name: ${oc.env:NNKIT_PLACE}\noutput_dir: /x\n"
    Path("configs/experiment").mkdir(parents=True)
    own = Path("configs/experiment/own.yaml")
    own.write_text(text)
    Path("theirs.yaml").write_text(text)
    found = [compose(["experiment=own"]), compose([str(own)]), compose(["theirs.yaml"], trust=True)]
    assert {(each.values["name"], each.values["output_dir"]) for each in found} == {("here", "/x")}


def test_files_that_nobody_writes_by_hand_are_refused() -> None:
    path = Path("theirs.yaml")
    path.write_text("\n".join(f"k{number}: 1" for number in range(1001)))
    with pytest.raises(ValueError, match="it has more than 1,000 settings"):
        read_sent(path)
    path.write_text(f"name: {'x' * 2**17}")
    with pytest.raises(OSError, match="it has 131,078 bytes, more than the 131,072"):
        read_sent(path)


def test_words_out_of_a_folder_start_no_programs() -> None:
    words = {
        "hydra/launcher": "submitit_local",
        "hydra.launcher.setup": "[id]",
        "name": "${oc.env:X}",
        "seed": "${a.b}",
        "tags": r"[$\{oc.env:X\}]",
        "a b": "1",
    }
    assert [problem.text for problem in word_problems(words, Path("/run"))] == [
        "hydra/launcher=submitit_local would run programs (in /run)",
        "hydra.launcher.setup=[id] would run programs (in /run)",
        "name: ${oc.env:X} may refer to other settings alone (in /run)",
        r"tags: [${oc.env:X\}] may refer to other settings alone (in /run)",
        "a b is not the name of a setting (in /run)",
    ]
    assert not word_problems({"hydra/launcher": "joblib", "seed": "1,2"}, Path("/run"))


@pytest.mark.parametrize(
    ("text", "fetches"),
    [
        ("defaults:\n  - override /model: resnet18\n", True),
        ("defaults:\n  - override /model: pretrained\nmodel:\n  arch: resnet34\n", True),
        ("model:\n  weights: DEFAULT\n", True),
        ("model:\n  kind: pretrained\n", True),
        ("defaults:\n  - override /model: resnet18\nmodel:\n  weights: none\n", False),
        ("defaults:\n  - override /model: cnn\nmodel:\n  freeze: backbone\n", False),
    ],
)
def test_weights_that_would_be_fetched_need_trust(text: str, fetches: bool) -> None:
    found = [problem.text for problem in sent_problems(yaml.safe_load(text), Path("theirs.yaml"))]
    assert found == (["model.weights=DEFAULT would fetch files (in theirs.yaml)"] if fetches else [])


def test_all_networks_with_published_weights_are_known() -> None:
    options = {path.stem: yaml.safe_load(path.read_text()) for path in (config_dir() / "model").glob("*.yaml")}
    assert {name for name, values in options.items() if values["kind"] == "pretrained"} == set(PUBLISHED)


@pytest.mark.parametrize(
    ("data", "wanted", "told"),
    [
        (
            {"kind": "images", "cache": "/x"},
            {"kind": "images", "cache": "~/.cache/nnkit"},
            ["data.cache=/x of /run is"],
        ),
        ({"kind": "images", "cache": "here"}, {"kind": "images", "cache": "here"}, []),
        ({"kind": "images", "cache": "~/.cache/nnkit"}, {"kind": "images", "cache": "~/.cache/nnkit"}, []),
        ({"kind": "mnist", "download": True}, {"kind": "mnist", "download": False}, []),
        ("iris", "iris", []),
    ],
)
def test_a_run_folder_says_not_where_files_are_written(data: object, wanted: object, told: list[str]) -> None:
    values, said = without_wishes({"data": data, "seed": 1}, Path("/run"))
    assert values == {"data": wanted, "seed": 1}
    assert [text.partition(" not used")[0] for text in said] == told
