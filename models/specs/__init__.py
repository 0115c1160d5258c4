"""The models that there are: the standard ones that a bank can fill, and those of its own folder."""

from __future__ import annotations

from strata.conf.banks import Bank
from strata.conf.banks.modules import BankModuleError, bank_module
from strata.conf.banks.problems import nearest
from strata.conf.contracts import Table, col
from strata.conf.tables import protected_columns
from strata.features.definitions.view import FeatureView
from strata.features.governance.permissions import refusal
from strata.features.store.coverage import flag_of
from strata.features.store.slice_contracts import feature_columns
from strata.features.views import bank_views, network_views
from strata.models.model_spec import ModelSpec
from strata.models.specs import (
    application_default,
    behaviour_default,
    collections_cure,
    early_warning,
    loan_default,
)

STANDARD: tuple[ModelSpec, ...] = (
    loan_default.SPEC,
    application_default.SPEC,
    behaviour_default.SPEC,
    early_warning.SPEC,
    collections_cure.SPEC,
)


class ModelError(ValueError):
    """A model can't be used; the message names it and what is missing or known."""


def own_models(bank: Bank) -> tuple[ModelSpec, ...]:
    """The ``SPEC`` of each file in the bank's ``models`` folder. Raises ``BankModuleError`` naming the file."""
    found = {path: getattr(bank_module(path), "SPEC", None) for path in sorted(bank.folder.glob("models/*.py"))}
    for path, spec in found.items():
        if not isinstance(spec, ModelSpec):
            raise BankModuleError(f"{path}: has no ModelSpec called SPEC; write one, or take the file away")
    return tuple(spec for spec in found.values() if isinstance(spec, ModelSpec))


def bank_models(bank: Bank) -> tuple[ModelSpec, ...]:
    """The models that the bank can fill; one of its own replaces the standard one of the same name."""
    chosen = {spec.name: spec for spec in (*STANDARD, *own_models(bank))}
    return tuple(spec for spec in chosen.values() if not unfilled(spec, bank))


def unfilled(spec: ModelSpec, bank: Bank) -> list[str]:
    """Silver tables and columns (``table.column``) that the model is made of and that no feed of the bank fills."""
    tables = [name for name in spec.reads if name in bank.silver and name not in bank.made]
    pairs = [tuple(needed.split(".")) for needed in (*spec.population.needs, *spec.outcome.needs)]
    columns = [f"{table}.{name}" for table, name in pairs if table in bank.made and not bank.fills_column(table, name)]
    entity = [] if spec.entity in bank.entities else [f"entities: {spec.entity} in bank.yml"]
    return [*tables, *columns, *entity]


def model_of(bank: Bank, name: str) -> ModelSpec:
    """The model called ``name``. Raises ``ModelError`` naming what the bank lacks for it, or the nearest name."""
    models = {spec.name: spec for spec in bank_models(bank)}
    if name in models:
        return models[name]
    standard = {spec.name: spec for spec in STANDARD}
    if name in standard:
        raise ModelError(f"model {name}: bank {bank.name} does not fill {', '.join(unfilled(standard[name], bank))}")
    near = nearest(name, models)
    known = f"did you mean {near!r}?" if near else f"there are: {', '.join(models) or 'none'}"
    raise ModelError(f"model {name!r} is unknown to bank {bank.name}; {known}")


def model_views(spec: ModelSpec, bank: Bank) -> tuple[FeatureView, ...]:
    """The views of the model's entity that the bank can fill, with the network's."""
    return tuple(view for view in (*bank_views(bank), *network_views()) if view.entity.name == spec.entity)


def training_table(spec: ModelSpec, bank: Bank) -> Table:
    """The contract of the model's training set: every feature that it names and that its purpose may use."""
    views = model_views(spec, bank)
    beside = {column.name for one in spec.beside for column in one.columns}
    sensitive = frozenset(protected_columns())
    refused = {
        feature.name for view in views for feature in view.features
        if refusal(feature, view, spec.purpose, sensitive)
    }  # fmt: skip
    columns = (column for view in views for column in feature_columns(view))
    chosen = [c for c in columns if spec.tries(c.name) and c.name not in refused | beside]
    flags = [
        col(flag_of(view.name), "boolean", f"whether the data hold what {view.name} looks at", nullable=True)
        for view in views if spec.coverage == "flag"
    ]  # fmt: skip
    return spec.table([*chosen, *flags])
