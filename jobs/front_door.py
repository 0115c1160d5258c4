"""A bank opened in a notebook: session, lake and feature store in one call, as the jobs have them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from strata.conf.banks import Bank, load_bank
from strata.conf.settings import Settings, load_settings
from strata.features.store.feature_store import FeatureStore
from strata.jobs.feature_store.slices_and_sets import store_of
from strata.jobs.runtime.session import open_session
from strata.jobs.runtime.tables import Lake
from strata.jobs.table_catalog import open_lake


@dataclass(frozen=True)
class OpenBank:
    """A bank with its session (in the bank's zone), lake, and a store of all views that the bank can fill."""

    spark: SparkSession
    settings: Settings
    bank: Bank
    lake: Lake
    store: FeatureStore


def open_bank(bank: str | Path, *, env: str = "local", lake: str | None = None, as_of: date | None = None) -> OpenBank:
    """Open the bank of a folder, or one that comes with Strata by its name.

    ``lake`` is where its tables are (default: as its settings say). Raises ``SettingsError`` naming what is wrong with
    the folder or the settings.
    """
    settings = load_settings(env, bank=str(bank), lake=lake, as_of=as_of)
    spark, declared = open_session(settings), load_bank(settings.bank)
    spark.conf.set("spark.sql.session.timeZone", declared.zone)
    tables = open_lake(spark, settings)
    return OpenBank(spark, settings, declared, tables, store_of(tables, declared))
