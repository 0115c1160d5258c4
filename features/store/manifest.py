"""The manifest of a training set: from what it was made, enough to make it again bit for bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.features.engine.inputs import orderable, quoted


@dataclass(frozen=True)
class Manifest:
    """From what a training set was made, enough to make it again bit for bit.

    ``views`` maps view to its version and definition hash, ``tables`` each source table to its
    version; ``spine_rows`` and ``spine_hash`` identify the spine whatever the order of its rows.
    """

    features: tuple[str, ...]
    purpose: str
    at: str
    label: str | None
    views: Mapping[str, tuple[int, str]]
    tables: Mapping[str, int | None]
    timezone: str
    spine_rows: int
    spine_hash: str
    # Whether the features are those of published slices; ``tables`` then names the published tables.
    published: bool = False
    # How rows were treated that look at time for which the data are not whole.
    coverage: str = "refuse"

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Back from ``to_json``."""
        values = json.loads(text)
        values["features"] = tuple(values["features"])
        values["views"] = {name: tuple(pair) for name, pair in values["views"].items()}
        return cls(**values)


def fingerprint(spine: DataFrame) -> tuple[int, str]:
    """Rows and a hash that does not depend on their order: the sums of two hashes of each row."""
    names = sorted(field.name for field in spine.schema.fields if orderable(field.dataType))
    row = F.struct(*(quoted(name) for name in names))
    sums = [F.sum(F.xxhash64(row, F.lit(seed)).cast("decimal(38,0)")) for seed in (1, 2)]
    found = spine.agg(F.count(F.lit(1)).alias("rows"), sums[0].alias("one"), sums[1].alias("two")).first()
    assert found is not None
    return int(found["rows"]), f"{found['one'] or 0}.{found['two'] or 0}"
