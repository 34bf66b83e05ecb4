"""Spaces: domains in Hydra's syntax, points, and settings that only some points read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.config.check import check
from nnkit.config.compose import compose, opened, parse
from nnkit.config.domains import Choices, Interval
from nnkit.config.options import find_groups, search_dirs
from nnkit.config.space import Space, check_number, domain_of, grid
from nnkit.errors import ConfigError


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    with opened(search_dirs()):
        yield


def space(*overrides: str) -> Space:
    return Space(overrides, "train", find_groups(search_dirs()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tag(log, interval(1e-4,1e-1))", Interval(1e-4, 0.1, is_log=True)),
        ("interval(1,8)", Interval(1.0, 8.0)),
        ("int(interval(8,64))", Interval(8, 64, is_int=True)),
        ("int(tag(log, interval(2,9)))", Interval(2, 9, is_log=True, is_int=True)),
        ("choice([64],[128,64])", Choices(("[64]", "[128,64]"))),
        ("range(1,9,3)", Choices(("1", "4", "7"))),
        ("a,b", Choices(("a", "b"))),
        ("5", None),
    ],
)
def test_a_domain_is_read_from_hydras_words(text: str, expected: Any) -> None:
    assert domain_of(parse([f"++x={text}"])[0], {}) == expected


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("interval(0.5,0.1)", "x: interval(0.5,0.1) holds no number", "x=interval(0.1,0.5)"),
        ("interval(1,1)", "x: interval(1.0,1.0) holds no number", "x=1.0"),
        ("tag(log, interval(0,1))", "x: tag(log, …) needs an interval above 0, got 0.0", "begin above 0, or no log"),
        ("tag(lgo, interval(1,2))", "x: the tag lgo is unknown", "tag(log, interval(1e-4,1e-1))"),
        ("tag(log, choice(1,2))", "x: the tag log is for an interval", "tag(log, interval(1e-4,1e-1))"),
        ("interval(1,inf)", "x: an interval needs two finite numbers", ""),
        ("range(5,1)", "x sweeps over no value", "x=1,2 or x=range(1,9,2)"),
    ],
)
def test_a_domain_without_a_value_is_an_error(text: str, told: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        domain_of(parse([f"++x={text}"])[0], {})
    (problem,) = caught.value.problems
    assert problem.text.startswith(told)
    assert (problem.hint or "") == hint


@given(place=st.floats(0, 1, exclude_max=True), low=st.floats(1e-6, 10), ratio=st.floats(1.001, 1e6), log=st.booleans())
def test_a_number_of_an_interval_lies_in_it_and_is_what_is_written(
    place: float, low: float, ratio: float, log: bool
) -> None:
    text = Interval(low, low * ratio, is_log=log).at(place)
    assert low <= float(text) <= low * ratio


@given(place=st.floats(0, 1, exclude_max=True), low=st.integers(1, 50), more=st.integers(1, 50), log=st.booleans())
def test_a_whole_number_of_an_interval_is_whole(place: float, low: int, more: int, log: bool) -> None:
    assert low <= int(Interval(low, low + more, is_log=log, is_int=True).at(place)) <= low + more


def test_both_ends_of_whole_numbers_are_as_frequent_as_what_is_between() -> None:
    interval = Interval(1, 4, is_int=True)
    found = [interval.at(k / 4000) for k in range(4000)]
    assert [found.count(number) for number in "1234"] == pytest.approx([1000] * 4, abs=1)


def test_half_of_a_logarithmic_interval_is_its_geometric_mean() -> None:
    assert Interval(1e-4, 1e-2, is_log=True).at(0.5) == "0.001"


@pytest.mark.parametrize(
    "words",
    [
        ("model=cnn,mlp", "++optimizer.lr=interval(0.1,0.5)", "++data.split_seed='${seed}'", "++seed=3,4"),
        ("data=mnist,digits", "++optimizer.lr=interval(0.1,0.5)", "optimizer=sgd"),
        ("experiment=digits_cnn", "++optimizer.lr=0.2,0.1"),
        ("model=code", "++model.code=tests.own_code:Net", "++model.kwargs={a:1,b:{c:2}},{b:{c:4}}"),
    ],
)
def test_a_point_is_what_its_words_compose(words: tuple[str, ...]) -> None:
    found = space(*words)
    values = {key: domain.at(0.7) for key, domain in found.domains.items()}
    point = found.point(values)
    fixed = [word for word in words if word.split("=")[0].lstrip("+") not in values]
    alone = found_alone([*fixed, *(f"{key}={value}" for key, value in values.items())])
    assert point.composed.values == alone


def found_alone(words: list[str]) -> dict[str, Any]:
    return compose([word.lstrip("+").replace("'", "") for word in words]).values


def test_a_point_does_not_change_another() -> None:
    found = space("++model.hidden=[4],[8,4]")
    first, second = (found.point({"model.hidden": text}).composed.values for text in ("[4]", "[8,4]"))
    second["model"]["hidden"].append(1)
    second["optimizer"]["lr"] = 7
    assert first["model"]["hidden"] == [4]
    assert first["optimizer"] == compose([]).values["optimizer"]


def test_what_only_one_model_has_or_reads_is_left_out_of_the_others() -> None:
    found = list(grid(space("model=mlp,cnn,linear", "++model.channels=[8],[16]", "activation=relu,gelu")))
    assert [dict(one.changed) for one in found] == [
        {"model": "mlp", "activation": "relu"},
        {"model": "mlp", "activation": "gelu"},
        *({"model": "cnn", "model.channels": c, "activation": a} for c in ("[8]", "[16]") for a in ("relu", "gelu")),
        {"model": "linear"},
    ]
    for one in found:
        check(one.composed)


def test_what_no_point_reads_stays_for_the_check() -> None:
    found = list(grid(space("model=mlp,linear", "++model.chanels=[8],[16]")))
    with pytest.raises(ConfigError, match=r"model\.chanels"):
        check(found[0].composed)
    (one, _) = grid(space("model=linear", "activation=relu,gelu"))
    with pytest.raises(ConfigError, match="activation is set, but model=linear does not read it"):
        check(one.composed)


def test_an_interval_has_no_grid_and_the_hint_names_what_takes_it() -> None:
    with pytest.raises(ConfigError, match=r"optimizer\.lr is an interval, which has no grid") as caught:
        list(grid(space("++optimizer.lr=interval(0.1,0.2)")))
    assert "hydra/sweeper=random" in str(caught.value.problems[0].hint)


def test_a_sweep_that_nobody_waits_for_is_refused() -> None:
    (override,) = parse(["++seed=range(0,1000000000000000000)"])
    with pytest.raises(ConfigError, match="seed sweeps over more than 100,000 values"):
        domain_of(override, {})
    with opened(search_dirs()):
        groups = find_groups(search_dirs())
        space = Space([f"++optimizer.{key}=range(0,50)" for key in ("lr", "beta1", "beta2")], "train", groups)
        with pytest.raises(ConfigError, match="the grid has 125,000 points, more than 100,000"):
            next(grid(space))
    with pytest.raises(ConfigError, match=r"hydra\.sweeper\.trials=1,000,000 asks for that many, more than"):
        check_number(1_000_000, "hydra.sweeper.trials={:,} asks for that many")
