"""Every table there is: declared in conf, following from feature views and models, or brought by a bank."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from strata.conf.banks import Bank, load_bank
from strata.conf.contracts import Table
from strata.conf.settings import Settings
from strata.conf.tables import ALL
from strata.features.store.slice_contracts import feature_table
from strata.features.views import all_views, own_views
from strata.jobs.runtime.tables import Lake
from strata.models.specs import bank_models, training_table

TABLES: dict[str, Table] = {**ALL, **{table.name: table for table in map(feature_table, all_views())}}
_KEPT: dict[tuple[str, str], dict[str, Table]] = {}


def contract_of(name: str) -> Table:
    """The contract called ``name``, whatever the bank; raises ``KeyError`` listing what there is."""
    if name not in TABLES:
        raise KeyError(f"no table contract called {name!r}; there are: {', '.join(sorted(TABLES))}")
    return TABLES[name]


def contracts_of(bank: Bank) -> dict[str, Table]:
    """The contracts that follow from a bank: of its feeds, own tables and views, and its models' training sets."""
    kept = (str(bank.folder), bank.digest)
    if kept not in _KEPT:
        views = {table.name: table for table in map(feature_table, own_views(bank))}
        training = {spec.training_set: training_table(spec, bank) for spec in bank_models(bank)}
        _KEPT[kept] = {**bank.contracts, **views, **training}
    return _KEPT[kept]


def known_contracts(bank: Bank) -> dict[str, Table]:
    """Every contract that a lake of the bank may need."""
    return {**TABLES, **contracts_of(bank)}


def lake_at(spark: SparkSession, root: str | Path, run_id: str = "adhoc", *, bank: Bank | None = None) -> Lake:
    """The lake under ``root``, with the contracts of all tables, those that follow from ``bank`` among them."""
    return Lake(spark, str(root), run_id, declared=dict(known_contracts(bank) if bank else TABLES))


def open_lake(spark: SparkSession, settings: Settings, run_id: str = "adhoc") -> Lake:
    """The lake of the settings, with the contracts that the bank brings."""
    return lake_at(spark, settings.lake, run_id, bank=load_bank(settings.bank))
