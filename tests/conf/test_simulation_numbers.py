"""The simulated bank's numbers: all of ``simulation.yml`` are used, and none of their kind are named in code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from strata.conf.simulation import Simulation, load_simulation

CODE = Path(__file__).parents[2] / "jobs" / "simulate"
# Where the bank lies, and what a double can hold.
NO_RATES = {"LATITUDE", "LONGITUDE", "APART", "_STEP"}


@pytest.fixture(scope="module")
def numbers() -> Simulation:
    return load_simulation(seed=1, customers=500, start=date(2025, 1, 1), months=3)


def values(model: BaseModel) -> Iterator[tuple[str, Any]]:
    """Each named number or mapping of numbers, also of groups in groups."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        inner = list(value.values()) if isinstance(value, Mapping) else [value]
        for one in inner if all(isinstance(one, BaseModel) for one in inner) else []:
            yield from values(one)
        yield name, value


def test_every_number_is_read(numbers):
    read = {
        node.attr if isinstance(node, ast.Attribute) else node.value
        for path in CODE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) or isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert [name for name, _ in values(numbers) if name not in read] == []


def test_no_rate_is_a_constant_of_the_code():
    found = {
        target.id
        for path in CODE.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        and any(isinstance(one, ast.Constant) and isinstance(one.value, float) for one in ast.walk(node))
        for target in ast.walk(node)
        if isinstance(target, ast.Name) and re.fullmatch(r"[A-Z_]+", target.id)
    }
    assert found == NO_RATES


def test_shares_of_a_whole_add_up(numbers):
    people, credit, behaviour = numbers.people, numbers.credit, numbers.behaviour
    wholes = (
        people.ages, people.education, people.ownership, people.occupations, people.industries, credit.asks_at,
        credit.scenes, numbers.collection.early, numbers.collection.late, behaviour.brands, behaviour.pages,
        behaviour.topics, behaviour.sdk_flags, behaviour.scenes,
    )  # fmt: skip
    assert [round(sum(shares.values()), 9) for shares in wholes] == [1.0] * len(wholes)


def test_what_is_unknown_or_no_share_is_refused():
    chosen = {"seed": 1, "customers": 500, "start": date(2025, 1, 1), "months": 3}
    with pytest.raises(ValidationError, match="rentersx"):
        load_simulation(**chosen, spending={"rentersx": 0.2})
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        load_simulation(**chosen, spending={"renters": 1.2})
