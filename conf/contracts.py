"""Table contracts: one declaration gives schema, DDL, comments, NOT NULL, CHECKs, properties and documentation."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, model_validator


class Frozen(BaseModel):
    """A value: unchangeable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Personal(StrEnum):
    """How near a column is to a person: direct identifiers never pass bronze in clear."""

    NONE = "none"
    QUASI = "quasi"
    DIRECT = "direct"


class Layer(StrEnum):
    """The floors of the lake, in the order of the flow."""

    BRONZE = "bronze"
    SILVER = "silver"
    QUARANTINE = "quarantine"
    FEATURES = "features"
    GOLD = "gold"
    OPS = "ops"
    TRUTH = "truth"


class Column(Frozen):
    """One column: Spark SQL type, meaning, unit and personal-data class; NOT NULL unless said."""

    name: str
    type: str
    description: str
    nullable: bool = False
    unit: str | None = None
    personal: Personal = Personal.NONE
    # A protected attribute: for fairness reports, never what a model learns from.
    protected: bool = False


class Check(Frozen):
    """A row rule in Spark SQL that must be true or null; ``reason`` is what a person reads when it breaks."""

    sql: str
    reason: str


class Table(Frozen):
    """The contract of one Delta table.

    ``slice_by`` names the columns that together tell a slice, such as the day and the model: a write replaces whole
    slices (``replaceWhere``) and leaves all others alone; without it the table is replaced whole. ``published`` tables
    are read by other systems. Change data feed is on for them and for what features are made of, and nothing that a
    plain Delta reader can't follow.
    """

    name: str
    layer: Layer
    grain: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    slice_by: tuple[str, ...] = ()
    append_only: bool = False
    owner: str = "data platform"
    freshness: str = "each run"

    @model_validator(mode="after")
    def _names_exist(self) -> Table:
        named = (*self.key, *self.slice_by)
        unknown = [name for name in named if name not in self.names]
        if unknown or len(set(self.names)) != len(self.names):
            raise ValueError(f"contract {self.name}: unknown or repeated columns {unknown or self.names}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def published(self) -> bool:
        """Whether other systems read it."""
        return self.layer is Layer.GOLD

    @property
    def has_change_feed(self) -> bool:
        """Whether its changes can be read: by other systems, or to mend the features that they touch."""
        return self.published or self.layer is Layer.SILVER

    @property
    def location(self) -> str:
        """Folder below the lake's root."""
        return f"{self.layer}/{self.name}"

    @property
    def schema_ddl(self) -> str:
        """Columns with their types and nullability, as a Spark schema string."""
        return ", ".join(f"`{c.name}` {c.type}{'' if c.nullable else ' NOT NULL'}" for c in self.columns)

    @property
    def check_sql(self) -> str | None:
        """All row rules as one predicate, for the table's CHECK constraint; ``None`` without rules."""
        # A CHECK refuses null where a rule doesn't: what isn't delivered breaks nothing.
        return " AND ".join(f"(({check.sql}) IS NOT FALSE)" for check in self.checks) or None

    @property
    def properties(self) -> dict[str, str]:
        """Delta properties: readable by any Delta reader, a change feed where changes are read."""
        return {
            "delta.enableDeletionVectors": "false",
            "delta.columnMapping.mode": "none",
            "delta.enableRowTracking": "false",
            "delta.enableChangeDataFeed": str(self.has_change_feed).lower(),
            "delta.appendOnly": str(self.append_only).lower(),
            "strata.owner": self.owner,
        }

    def to_markdown(self) -> str:
        """The contract as a page section."""
        key = ", ".join(self.key) or "none"
        head = f"### {self.layer}.{self.name}\n\n{self.description}\n\nGrain: {self.grain}. Key: {key}.\n\n"
        titles = "| column | type | null | unit | personal | meaning |\n|---|---|---|---|---|---|\n"
        rows = "".join(f"| {' | '.join(_cells(column))} |\n" for column in self.columns)
        rules = "".join(f"- `{check.sql}`, else: {check.reason}\n" for check in self.checks)
        return f"{head}{titles}{rows}\n{rules}"


def _cells(column: Column) -> tuple[str, ...]:
    null = "yes" if column.nullable else "no"
    return column.name, column.type, null, column.unit or "", str(column.personal), column.description


def col(name: str, type: str, description: str, **more: object) -> Column:  # noqa: A002
    """A column in one line."""
    return Column(name=name, type=type, description=description, **more)


def rule(sql: str, reason: str) -> Check:
    """A row rule in one line."""
    return Check(sql=sql, reason=reason)
