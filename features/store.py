"""The feature store that people use: register views, find features, see the plan, build training sets and snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.conf.contracts import Personal
from strata.features.compute import compute_features, plan_passes
from strata.features.definitions import Entity, Feature, FeatureView
from strata.features.inputs import (
    FeatureError,
    FeatureTypeError,
    all_present,
    check_column,
    check_frame,
    check_instant,
    instant,
    orderable,
    quoted,
)


class TablePort(Protocol):
    """Where the store gets its tables; whoever runs the store implements it."""

    def read(self, name: str, version: int | None = None) -> DataFrame:
        """The table, at ``version`` or as the run sees it."""

    def version(self, name: str) -> int | None:
        """The version that the run sees, ``None`` when there is no such table."""


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


class FeatureStore:
    """Registered views over a table port; every call returns DataFrames or plain values and writes nothing."""

    def __init__(self, spark: SparkSession, tables: TablePort, *, views: Iterable[FeatureView] = ()) -> None:
        """``spark`` is the session (its time zone is the bank's); ``tables`` gives tables and their versions."""
        self._spark, self._tables = spark, tables
        self._views: dict[str, FeatureView] = {}
        for view in views:
            self.register(view)

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """What has been registered, in order."""
        return tuple(self._views.values())

    def register(self, view: FeatureView) -> None:
        """Add a view. Registering the same one again does nothing.

        Raises ``FeatureError`` when its definition changed and its version did not, or when a feature
        of the same name stands in another view.
        """
        known = self._views.get(view.name)
        if known and known.version >= view.version and known.definition_hash != view.definition_hash:
            raise FeatureError(f"view {view.name}: definition differs from version {known.version}; raise its version")
        for other in self._views.values():
            shared = sorted(set(other.all_features) & set(view.all_features)) if other.name != view.name else []
            if shared:
                raise FeatureError(f"view {view.name}: feature {shared[0]} stands in view {other.name} already")
        self._views[view.name] = view

    def describe(self, features: str | Sequence[str] = "*") -> DataFrame:
        """One row a feature: name, view and its version, source, unit, meaning, owner, personal class, purposes."""
        rows = []
        for feature in self._chosen(features):
            view = self._views[feature.view]
            purposes = sorted(feature.purposes)
            rows.append(
                (feature.name, view.name, view.version, view.entity.name, view.source, feature.unit)
                + (feature.description, view.owner, str(feature.personal), purposes, view.definition_hash)
            )
        schema = "feature string, view string, version int, entity string, source string, unit string, "
        schema += "description string, owner string, personal string, purposes array<string>, definition_hash string"
        return self._spark.createDataFrame(rows, schema)

    def search(self, words: str) -> list[str]:
        """Names of features whose name, unit, description or view's description holds all ``words``."""
        wanted = words.lower().split()
        found = []
        for feature in self._chosen("*"):
            about = f"{feature.name} {feature.unit} {feature.description} {self._views[feature.view].description}"
            if all(word in about.lower() for word in wanted):
                found.append(feature.name)
        return found

    def plan(self, features: str | Sequence[str] = "*") -> str:
        """What computing these features takes: one line a pass, with scans and shuffles, then the derived ones."""
        chosen = self._chosen(features)
        passes, later = plan_passes(chosen, self.views)
        lines = [f"{len(chosen)} features, {len(passes)} passes, {sum(p.shuffles for p in passes)} shuffles"]
        lines += [f"- {step}" for step in passes]
        return "\n".join(lines + ([f"- {len(later)} derived, no scan, no shuffle"] if later else []))

    def training_set(
        self,
        spine: DataFrame,
        features: str | Sequence[str],
        label: str | None = None,
        *,
        purpose: str,
        at: str = "at",
        versions: Mapping[str, int | None] | None = None,
    ) -> DataFrame:
        """Every spine row once: its columns, the features (names or patterns such as ``income_*``), the label last.

        ``label`` names a column of the spine. ``versions`` pins source tables (else as the run sees
        them). Raises ``FeatureError`` when a feature may not be used for ``purpose``, or is of a
        personal-data class above quasi; the message names its view.
        """
        check_frame("spine", spine)
        if label is not None:
            check_column("label", spine, "spine", label)
        chosen = self._allowed(features, purpose)
        rows = compute_features(chosen, self.views, spine, self._sources(chosen, versions or {}), at=at)
        columns = [name for name in rows.columns if name != label] + ([label] if label else [])
        return rows.select(*(quoted(name) for name in columns))

    def manifest(
        self,
        spine: DataFrame,
        features: str | Sequence[str],
        label: str | None = None,
        *,
        purpose: str,
        at: str = "at",
    ) -> Manifest:
        """The manifest of ``training_set`` with the same arguments. One scan of the spine; raises as it does."""
        chosen = self._allowed(features, purpose)
        views = {name: self._views[name] for name in dict.fromkeys(feature.view for feature in chosen)}
        rows, fingerprint = _fingerprint(spine)
        return Manifest(
            features=tuple(feature.name for feature in chosen),
            purpose=purpose,
            at=at,
            label=label,
            views={name: (view.version, view.definition_hash) for name, view in views.items()},
            tables={view.source: self._tables.version(view.source) for view in views.values()},
            timezone=str(self._spark.conf.get("spark.sql.session.timeZone")),
            spine_rows=rows,
            spine_hash=fingerprint,
        )

    def rebuild(self, spine: DataFrame, manifest: Manifest) -> DataFrame:
        """The training set of a manifest again, from the table versions it names, whatever has arrived since.

        Raises ``FeatureError`` when the spine, a view's definition or the time zone is not the manifest's.
        """
        now = self.manifest(spine, manifest.features, manifest.label, purpose=manifest.purpose, at=manifest.at)
        for part in ("spine_rows", "spine_hash", "timezone", "views"):
            if getattr(now, part) != getattr(manifest, part):
                raise FeatureError(f"manifest: {part} was {getattr(manifest, part)} and is {getattr(now, part)} now")
        return self.training_set(
            spine,
            manifest.features,
            manifest.label,
            purpose=manifest.purpose,
            at=manifest.at,
            versions=manifest.tables,
        )

    def snapshot(
        self, entity: str, ds: date, features: str | Sequence[str] = "*", *, purpose: str | None = None
    ) -> DataFrame:
        """Every entity that existed, and was known, at the start of bank day ``ds``: keys, ``as_of_date``, features.

        Features are as of that midnight, so nothing of the day itself is in them. With ``purpose`` the
        rules of ``training_set`` hold. Raises ``FeatureError`` on an entity without views.
        """
        if not isinstance(ds, date):
            raise FeatureTypeError(f"ds: a date is expected, not {type(ds).__name__}")
        chosen = self._chosen(features) if purpose is None else self._allowed(features, purpose)
        chosen = [feature for feature in chosen if self._views[feature.view].entity.name == entity]
        if not chosen:
            known = sorted({view.entity.name for view in self.views})
            raise FeatureError(f"entity: no chosen feature describes {entity!r}; there are: {', '.join(known)}")
        described = self._views[chosen[0].view].entity
        spine = _existing(described, self._tables.read(described.source)).withColumn("as_of_date", F.lit(ds))
        spine = spine.where(F.col("since") <= F.col("as_of_date").cast("timestamp")).drop("since").distinct()
        return compute_features(chosen, self.views, spine, self._sources(chosen, {}), at="as_of_date")

    def _chosen(self, features: str | Sequence[str]) -> list[Feature]:
        offered = {feature.name: feature for view in self.views for feature in view.features}
        chosen: dict[str, Feature] = {}
        for pattern in [features] if isinstance(features, str) else features:
            found = [name for name in offered if fnmatchcase(name, pattern)]
            if not found:
                raise FeatureError(f"features: nothing is called {pattern!r}; search() finds names")
            chosen.update((name, offered[name]) for name in found)
        if not chosen:
            raise FeatureError("features: at least one name or pattern is expected")
        return list(chosen.values())

    def _allowed(self, features: str | Sequence[str], purpose: str) -> list[Feature]:
        chosen = self._chosen(features)
        for feature in chosen:
            if purpose not in feature.purposes:
                allowed = ", ".join(sorted(feature.purposes))
                raise FeatureError(
                    f"purpose: feature {feature.name} of view {feature.view} is not for {purpose!r}, only for {allowed}"
                )
            if feature.personal is Personal.DIRECT:
                raise FeatureError(
                    f"features: {feature.name} of view {feature.view} identifies a person (class direct); leave it out"
                )
        return chosen

    def _sources(self, features: Sequence[Feature], versions: Mapping[str, int | None]) -> dict[str, DataFrame]:
        names = dict.fromkeys(self._views[feature.view].source for feature in features)
        return {name: self._tables.read(name, versions.get(name)) for name in names}


def _existing(entity: Entity, rows: DataFrame) -> DataFrame:
    """Key columns and ``since``, the first moment at which an entity existed and was known."""
    for name in entity.keys:
        check_column("entity", rows, entity.source, name)
    clocks = [name for name in (entity.event_ts, entity.known_ts) if name]
    for name in clocks:
        check_instant("entity", rows, entity.source, name)
    since = [instant(name) for name in clocks]
    rows = rows.where(all_present([*(quoted(key) for key in entity.keys), *since]))
    return rows.select(
        *(quoted(key) for key in entity.keys), (F.greatest(*since) if len(since) > 1 else since[0]).alias("since")
    )


def _fingerprint(spine: DataFrame) -> tuple[int, str]:
    """Rows and a hash that does not depend on their order: the sums of two hashes of each row."""
    names = sorted(field.name for field in spine.schema.fields if orderable(field.dataType))
    row = F.struct(*(quoted(name) for name in names))
    sums = [F.sum(F.xxhash64(row, F.lit(seed)).cast("decimal(38,0)")) for seed in (1, 2)]
    found = spine.agg(F.count(F.lit(1)).alias("rows"), sums[0].alias("one"), sums[1].alias("two")).first()
    assert found is not None
    return int(found["rows"]), f"{found['one'] or 0}.{found['two'] or 0}"
