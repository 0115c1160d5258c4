"""Keyed tokens: HMAC-SHA-256 of an identifier, so that equal values still join and nobody can look them up."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from strata.jobs.runtime.errors import UsageError

KEY_BYTES = 32


def load_key(path: str, *, make: bool) -> bytes:
    """The secret key in the file at ``path`` (64 hex characters); ``make`` creates it, readable by its owner only.

    Raises ``UsageError`` when there is none, or it is not a key.
    """
    file = Path(path)
    if not file.exists():
        if not make:
            raise UsageError(
                f"token_key_file {path}: no such file; put 64 hex characters there, readable by this user only"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(KEY_BYTES))
        fresh.rename(file)
    try:
        key = bytes.fromhex(file.read_text().strip())
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise UsageError(f"token_key_file {path}: {2 * KEY_BYTES} hex characters are expected")
    return key


def tokeniser(spark: SparkSession, key: bytes) -> Callable[[Column], Column]:
    """A column function: text to 64 hex characters, null to null.

    The key travels as a broadcast, so it stands in no literal, plan, log or page of the UI.
    """
    shared = spark.sparkContext.broadcast(key)

    @F.pandas_udf("string")
    def token(values: pd.Series) -> pd.Series:
        secret = shared.value
        return values.map(
            lambda value: hmac.new(secret, value.encode(), hashlib.sha256).hexdigest(), na_action="ignore"
        )

    return token
