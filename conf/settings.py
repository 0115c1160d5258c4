"""Settings: ``base.yml`` and one file an environment, read into a frozen value that refuses unknown keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import reduce
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from strata.conf.banks import Bank, BankError, load_bank
from strata.conf.banks.problems import nearest
from strata.conf.contracts import Frozen

# How messages name what is in no file: arguments, and what is missing.
ARGUMENTS = "settings"
# A setting of earlier versions.
MOVED = ("bank_timezone",)


class SettingsError(ValueError):
    """The configuration can't be used; the message names the file, the key and what is expected."""


class Gates(Frozen):
    """Above which a job stops and the last good snapshot stays: a share of a file's rows and a number of them."""

    quarantine_share: float = Field(0.01, ge=0, le=1)
    quarantine_rows: int = Field(0, ge=0)


class Validation(Frozen):
    """Repeated grouped cross-validation of models."""

    folds: int = Field(5, ge=2)
    repeats: int = Field(4, ge=1)


class SimulatedBank(Frozen):
    """Size, time and deliveries of the simulated bank; ``start`` is a first of a month.

    ``numbers`` are laid over those of ``simulation.yml``, group by group: ``{credit: {applies_monthly: 0.1}}``.
    """

    customers: int = Field(2_000, ge=500)
    start: date = date(2025, 1, 1)
    months: int = Field(3, ge=1, le=120)
    drop: Literal["day", "month", "quarter"] = "month"
    numbers: Mapping[str, Mapping[str, Any]] = {}


class SparkSettings(Frozen):
    """What a local session is given; on a cluster spark-submit decides."""

    cores: int | None = Field(None, ge=1)
    memory: str = "6g"
    shuffle_partitions: int = Field(4, ge=1)
    # Whether tables are small enough for compiled plans not to pay: a few hundred thousand rows at most.
    small_data: bool = False
    ui: bool = False


class Settings(Frozen):
    """Everything a run may be told. Paths are relative to the working directory."""

    env: str
    # A folder that declares a bank, or the name of one that comes with Strata.
    bank: str
    as_of: date
    lake: str
    landing: str | None = None
    token_key_file: str
    tracking_uri: str
    reports: str
    seed: int = 20_260_101
    lock_hours: float = Field(6, gt=0)
    # In the bank's currency; where it isn't said, no exposure is judged large.
    tier1_capital: Decimal | None = Field(None, gt=0)
    gates: Gates = Gates()
    validation: Validation = Validation()
    simulation: SimulatedBank = SimulatedBank()
    spark: SparkSettings = SparkSettings()

    @property
    def bank_timezone(self) -> str:
        """The bank's time zone: every bank day is cut there."""
        return load_bank(self.bank).zone

    @property
    def digest(self) -> str:
        """A short hash of all values and the bank's declarations: two runs with the same one were configured alike."""
        return hashlib.sha256(f"{self.model_dump_json()}{load_bank(self.bank).digest}".encode()).hexdigest()[:16]


def environments() -> list[str]:
    """The names that ``--env`` takes."""
    names = (entry.name for entry in files("strata.conf").iterdir())
    return sorted(name.removeprefix("env_").removesuffix(".yml") for name in names if name.startswith("env_"))


def load_settings(env: str = "local", *, path: str | None = None, **overrides: Any) -> Settings:
    """``base.yml``, then the bank's ``settings``, ``env_<env>.yml``, the file at ``path``, ``overrides`` but ``None``.

    In texts ``{folder}`` stands for the bank's folder and ``{name}`` for its name. Raises ``SettingsError`` naming the
    file and the key that is wrong and, of an unknown key, the nearest known one.
    """
    base, *over = _files(env, path)
    over.append((ARGUMENTS, {key: value for key, value in overrides.items() if value is not None}))
    bank = _bank(next((layer["bank"] for _, layer in reversed(over) if layer.get("bank")), None))
    layers = [base, (f"{bank.name}/bank.yml", dict(bank.settings)), *over]
    values: dict[str, Any] = {}
    for name, layer in layers:
        _check_keys(layer, name)
        values = _merge(values, layer)
    try:
        return Settings.model_validate({**_filled(values, bank), "env": env})
    except ValidationError as wrong:
        first = wrong.errors()[0]
        keys = tuple(map(str, first["loc"]))
        if keys == ("as_of",) and first["type"] == "missing":
            raise SettingsError("as_of: name the bank day with --as-of, or under settings in bank.yml") from None
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{_source(layers, keys)}: {'.'.join(keys)}: {message}") from None


def _bank(bank: Any) -> Bank:
    if not bank:
        raise SettingsError("bank: name the folder of your bank with --bank DIR, or as bank: in a file for --conf")
    try:
        return load_bank(str(bank))
    except BankError as wrong:
        raise SettingsError(str(wrong)) from None


def _filled(values: dict[str, Any], bank: Bank) -> dict[str, Any]:
    """The values with the bank's folder and name put into top-level texts."""
    places = {"{folder}": str(bank.folder), "{name}": bank.name}
    return {
        key: reduce(lambda text, place: text.replace(*place), places.items(), value)
        if isinstance(value, str)
        else value
        for key, value in values.items()
    }


def _files(env: str, path: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files of settings by their names, from the general to the particular."""
    room = files("strata.conf")
    own = room.joinpath(f"env_{env}.yml")
    if not own.is_file():
        raise SettingsError(f"--env {env}: there is no such environment; there are: {', '.join(environments())}")
    for layer in (room.joinpath("base.yml"), own):
        yield layer.name, _parse(layer.read_text(), layer.name)
    if path:
        if not Path(path).is_file():
            raise SettingsError(f"--conf {path}: no such file")
        yield path, _parse(Path(path).read_text(), path)


def _check_keys(values: Mapping[str, Any], source: str, within: tuple[str, ...] = ()) -> None:
    """Raise ``SettingsError`` on the first key that there isn't, with the nearest that there is."""
    known = _keys(within)
    for key, value in values.items():
        here = (*within, str(key))
        if here == MOVED:
            raise SettingsError(f"{source}: {MOVED[0]}: is the bank's own: zone in its bank.yml")
        if str(key) not in known:
            # One may have forgotten the group that a key belongs to.
            elsewhere = {path[-1]: ".".join(path) for path in _paths()}
            siblings = {name: ".".join((*within, name)) for name in known}
            near = _near(str(key), siblings) or _near(str(key), elsewhere)
            raise SettingsError(
                f"{source}: {'.'.join(here)}: there is no such setting{near or f'; there are: {_listed(siblings)}'}"
            )
        if isinstance(value, Mapping) and _keys(here):
            _check_keys(value, source, here)


def _near(word: str, paths: Mapping[str, str]) -> str:
    """``; did you mean …?`` with the path of the key most like ``word``; empty without any."""
    found = nearest(word, paths)
    return f"; did you mean {paths[found]}?" if found else ""


def _listed(paths: Mapping[str, str]) -> str:
    return ", ".join(sorted(paths.values()))


def _paths(within: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every setting with the groups it is in."""
    for key in _keys(within):
        yield (*within, key)
        yield from _paths((*within, key))


def _keys(within: tuple[str, ...]) -> list[str]:
    """The keys of a group of settings; none where ``within`` is a single value."""
    model: Any = Settings
    for key in within:
        model = model.model_fields[key].annotation
        if not (isinstance(model, type) and issubclass(model, Frozen)):
            return []
    return list(model.model_fields)


def _source(layers: Sequence[tuple[str, Mapping[str, Any]]], keys: tuple[str, ...]) -> str:
    """The last of the layers that has a value at ``keys``."""
    for name, layer in reversed(layers):
        value: Any = layer
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            return name
    return ARGUMENTS


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as wrong:
        raise SettingsError(f"{name}: not readable as YAML: {str(wrong).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{name}: a mapping of settings is expected, not {type(values).__name__}")
    return values


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
