"""A look at every column of a table in one scan: how filled, how many distinct values, constant, integers, ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.models.samples.table_checks import require_columns
from strata.models.samples.training_rows import column

ColumnKind = Literal["number", "text", "boolean", "date"]
Hashes = NDArray[np.uint64]
KINDS: tuple[tuple[ColumnKind, tuple[type[T.DataType], ...]], ...] = (
    ("number", (T.NumericType,)),
    ("text", (T.StringType,)),
    ("boolean", (T.BooleanType,)),
    ("date", (T.DateType, T.TimestampType, T.TimestampNTZType)),
)
# Up to so many distinct values are counted exactly; of more, as many of the smallest hashes tell the number with
# a standard error of one by their root (Bar-Yossef et al., 2002: the k minimum values).
KEPT = 4096
DISTINCT_ERROR = KEPT**-0.5
# Nearly all of the values are distinct, less twice the standard error.
NEARLY_ALL = 0.98 - 2 * DISTINCT_ERROR
FEWEST_ROWS = 100
# All-distinct integers that fill at least half of their range count something: amounts never lie so close.
WIDEST_RANGE = 2.0
FIRST_DAY, LAST_DAY = 19000101, 21001231
DATE_NAME = re.compile(r"date|datum|(^|[_\W])(dt|day|ymd)$|^dt_|日期|时间|日$", re.IGNORECASE)
KEY_NAME = re.compile(
    r"(?i:(^|[_\W])(id|key|uuid|guid|pk|no|nr|num|number|code|account|contract)$)|[a-z](ID|Id|Key|No)$|号$"
)


def suggests_date(name: str) -> bool:
    """Whether a column of this name is likely to hold days."""
    return bool(DATE_NAME.search(name))


@dataclass(frozen=True)
class ColumnProfile:
    """One column at a look.

    ``filled`` rows have a value (NaN is none); ``distinct`` of them are different (exact up to 4,096, then with a
    standard error of 1.6 %); ``low`` and ``high`` are the ends of a number. ``tells`` when all goods have one
    value and all bads another, missing being one too.
    """

    name: str
    kind: ColumnKind
    filled: int
    distinct: int
    constant: bool
    integers: bool = False
    low: float | None = None
    high: float | None = None
    tells: bool = False

    @property
    def looks_like_a_date(self) -> bool:
        """A date, or integers such as 20241231 under a name that suggests days."""
        if not self.integers or self.low is None or self.high is None:
            return self.kind == "date"
        return suggests_date(self.name) and self.low >= FIRST_DAY and self.high <= LAST_DAY

    @property
    def looks_like_an_identifier(self) -> bool:
        """Nearly every row has a value of its own, and it is text, or an integer named or numbered like a key."""
        if self.filled < FEWEST_ROWS or self.distinct < NEARLY_ALL * self.filled:
            return False
        if not self.integers or self.low is None or self.high is None:
            return self.kind == "text"
        return bool(KEY_NAME.search(self.name)) or self.high - self.low + 1 <= WIDEST_RANGE * self.filled


def profile(rows: DataFrame, columns: Sequence[str], *, outcome: Column | None = None) -> list[ColumnProfile]:
    """Look at every column: one scan, and a shuffle of one row a column and task.

    ``outcome`` (1 bad, 0 good; other rows are passed over) fills ``ColumnProfile.tells``. Raises ``ValueError``
    naming a column that is absent or neither number, text, boolean nor date.
    """
    require_columns(rows, "columns", columns)
    kinds = [_kind(rows, name) for name in columns]
    bad = F.lit(None) if outcome is None else outcome
    cells = [_cell(name, kind).alias(f"v{i}") for i, (name, kind) in enumerate(zip(columns, kinds, strict=True))]
    parts = rows.select(bad.cast("int").alias("bad"), *cells).mapInArrow(_look, LOOK_SCHEMA)
    merged = parts.groupBy("at").applyInPandas(_merge, LOOK_SCHEMA).collect()
    looks = {row["at"]: _Look.from_plain(row.asDict()) for row in merged}
    return [_profile_of(name, kinds[i], looks.get(i, _Look())) for i, name in enumerate(columns)]


def _kind(rows: DataFrame, name: str) -> ColumnKind:
    kind = rows.schema[name].dataType
    for word, types in KINDS:
        if isinstance(kind, types):
            return word
    raise ValueError(f"columns: {name!r} is {kind.simpleString()}; only numbers, text, booleans and dates can be used")


def _cell(name: str, kind: ColumnKind) -> Column:
    """A number as it is; anything else as a hash, because only equality matters of it."""
    return (
        column(name).cast("double") if kind == "number" else F.when(column(name).isNotNull(), F.xxhash64(column(name)))
    )


@dataclass
class _Look:
    """What some rows tell about a column. The ends of hashes are by outcome: all rows, goods, bads."""

    filled: int = 0
    integers: int = 0
    low: float = np.inf
    high: float = -np.inf
    first: list[int] = field(default_factory=lambda: [NO_FIRST] * 3)
    last: list[int] = field(default_factory=lambda: [-1] * 3)
    least: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))

    def add(self, values: NDArray[Any], filled: NDArray[np.bool_], sides: Sequence[NDArray[np.bool_]]) -> None:
        """Take in a batch: doubles of a number or hashes of anything else, and which rows are good and bad."""
        if values.dtype == np.float64:
            filled = filled & ~np.isnan(values)
            numbers = values[filled]
            self.integers += int((numbers == np.floor(numbers)).sum())
            self.low = min(self.low, float(numbers.min(initial=np.inf)))
            self.high = max(self.high, float(numbers.max(initial=-np.inf)))
            values = values + 0.0  # −0 is 0
        hashes = np.where(filled, _mixed(values.view(np.uint64)), np.uint64(0)) >> np.uint64(1)
        self.filled += int(filled.sum())
        for side, chosen in enumerate([filled, *sides]):
            if chosen.any():
                self.first[side] = min(self.first[side], int(hashes[chosen].min()))
                self.last[side] = max(self.last[side], int(hashes[chosen].max()))
        self._keep(hashes[filled])

    def _keep(self, hashes: Hashes) -> None:
        fresh = hashes if len(self.least) < KEPT else hashes[hashes < self.least[-1]]
        if len(fresh):
            self.least = np.unique(np.concatenate([self.least, fresh]))[:KEPT]

    def join(self, other: _Look) -> None:
        """Take in what other rows tell."""
        self.filled, self.integers = self.filled + other.filled, self.integers + other.integers
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.first = [min(pair) for pair in zip(self.first, other.first, strict=True)]
        self.last = [max(pair) for pair in zip(self.last, other.last, strict=True)]
        self._keep(other.least)

    @property
    def distinct(self) -> int:
        """The number of distinct values: counted while few, else estimated from how close the least hashes lie."""
        if len(self.least) < KEPT:
            return len(self.least)
        return min(self.filled, round((KEPT - 1) * float(NO_FIRST) / float(self.least[-1])))

    def to_plain(self, at: int) -> dict[str, Any]:
        """A row of ``LOOK_SCHEMA``."""
        return vars(self) | {"at": at, "least": self.least.tobytes()}

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> _Look:
        """The look that ``to_plain`` wrote."""
        counts = {name: plain[name] for name in ("filled", "integers", "low", "high")}
        first, last = ([int(end) for end in plain[name]] for name in ("first", "last"))
        return _Look(**counts, first=first, last=last, least=np.frombuffer(bytes(plain["least"]), np.uint64))


NO_FIRST = 2**63 - 1  # beyond all hashes, which have 63 bits
LOOK_SCHEMA = (
    "at int, filled bigint, integers bigint, low double, high double, first array<bigint>, last array<bigint>, "
    "least binary"
)


def _mixed(bits: Hashes) -> Hashes:
    """SplitMix64's finisher: neighbouring values get hashes that are far apart."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    mixed: Hashes = bits ^ (bits >> np.uint64(31))
    return mixed


def _look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    looks: list[_Look] = []
    for batch in batches:
        bad, *cells = batch.columns
        outcome = bad.fill_null(-1).to_numpy(zero_copy_only=False)
        looks = looks or [_Look() for _ in cells]
        for look, cell in zip(looks, cells, strict=True):
            filled = cell.is_valid().to_numpy(zero_copy_only=False)
            look.add(cell.fill_null(0).to_numpy(zero_copy_only=False), filled, (outcome == 0, outcome == 1))
    if looks:
        yield pa.RecordBatch.from_pylist([look.to_plain(at) for at, look in enumerate(looks)], LOOK_ARROW)


LOOK_ARROW = pa.schema(
    [
        ("at", pa.int32()),
        ("filled", pa.int64()),
        ("integers", pa.int64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("first", pa.list_(pa.int64())),
        ("last", pa.list_(pa.int64())),
        ("least", pa.binary()),
    ]
)


def _merge(parts: pd.DataFrame) -> pd.DataFrame:
    total = _Look()
    for part in parts.to_dict("records"):
        total.join(_Look.from_plain(part))
    return pd.DataFrame([total.to_plain(int(parts["at"].iloc[0]))])


def _profile_of(name: str, kind: ColumnKind, look: _Look) -> ColumnProfile:
    constant = look.first[0] >= look.last[0]
    (good_first, bad_first), (good_last, bad_last) = look.first[1:], look.last[1:]
    tells = good_first == good_last and bad_first == bad_last and good_first != bad_first
    is_number = kind == "number" and look.filled > 0
    integers = is_number and look.integers == look.filled and bool(np.isfinite([look.low, look.high]).all())
    low, high = (look.low, look.high) if is_number else (None, None)
    return ColumnProfile(name, kind, look.filled, look.distinct, constant, integers, low, high, tells)
