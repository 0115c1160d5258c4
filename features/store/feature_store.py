"""The feature store that people use: register views, find features, publish slices, build training sets, see drift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from strata.conf.tables import protected_columns
from strata.features.definitions.feature import Feature
from strata.features.definitions.missing_values import missing_rule
from strata.features.definitions.selection import select_features, select_views
from strata.features.definitions.view import FeatureView
from strata.features.engine.compute import compute_features, plan_passes, with_plans
from strata.features.engine.inputs import (
    FeatureError,
    FeatureTypeError,
    check_column,
    check_frame,
    check_instant,
    instant,
    quoted,
    warn_of_repeats,
)
from strata.features.governance.consent import HAS_CONSENT
from strata.features.governance.leakage import LeakageReport, clocks_of, leakage_check
from strata.features.governance.permissions import (
    UNSAID,
    Consents,
    Unsaid,
    asks_people,
    check_consent,
    check_use,
    refusal,
    with_consent,
)
from strata.features.store.coverage import (
    Coverage,
    Need,
    check_mode,
    check_whole,
    checkable,
    needs,
    treated,
    with_flags,
)
from strata.features.store.manifest import Manifest, fingerprint
from strata.features.store.publishing import Published, SlicePort, TablePort, builds, publish, with_slices
from strata.features.store.slice_contracts import feature_table
from strata.features.store.slice_plan import AS_OF, Build, cells
from strata.features.store.statistics import feature_statistics, measurable, population_stability


class FeatureStore:
    """Registered views over a table port; ``materialize`` alone writes, and only through the port."""

    def __init__(
        self,
        spark: SparkSession,
        tables: TablePort,
        *,
        views: Iterable[FeatureView] = (),
        consents: Consents | None | Unsaid = UNSAID,
        sensitive: Iterable[str] | None = None,
        coverage: Coverage | None = None,
    ) -> None:
        """``spark`` is the session (its time zone is the bank's); ``tables`` gives tables and their versions.

        ``consents`` is the table of what people have consented to, or ``None`` to say that consent is not checked
        here; without it, purposes that people have to opt in to (marketing) are refused.
        ``sensitive`` are columns that no training set may be made of: those that the contracts protect, unless said.
        ``coverage`` says from when on which tables are whole; without it nothing is known of that, and no row is
        checked.
        """
        self._spark, self._tables, self._consents = spark, tables, consents
        self._coverage = coverage or Coverage()
        self._sensitive = frozenset(protected_columns() if sensitive is None else sensitive)
        self._views: dict[str, FeatureView] = {}
        for view in views:
            self.register(view)

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """What has been registered, in order."""
        return tuple(self._views.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Every feature that is offered, in order."""
        return tuple(feature.name for view in self.views for feature in view.features)

    def view(self, name: str) -> FeatureView:
        """The registered view called ``name``."""
        return self._named(name)[0]

    def published_days(self, views: str | Sequence[str] = "*") -> frozenset[date]:
        """The bank days on which the slices of all these views stand. Reads the manifest alone."""
        found = self._tables.slices() if isinstance(self._tables, SlicePort) else []
        days = [
            {one.day for one in found if (one.view, one.version) == (view.name, view.version)}
            for view in self._named(views)
        ]
        return frozenset(set.intersection(*days)) if days else frozenset()

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
        if isinstance(self._tables, SlicePort):
            self._tables.declare(feature_table(view))

    def describe(self, features: str | Sequence[str] = "*") -> DataFrame:
        """One row a feature: name, view and version, source, unit, meaning, when missing, owner, class, purposes."""
        rows = []
        for feature in self.chosen(features):
            view = self._views[feature.view]
            purposes = sorted(feature.purposes)
            rows.append(
                (feature.name, view.name, view.version, view.entity.name, ", ".join(view.tables), feature.unit)
                + (feature.description, missing_rule(feature, view), view.owner, str(feature.personal), purposes)
                + (view.definition_hash,)
            )
        schema = "feature string, view string, version int, entity string, source string, unit string, "
        schema += "description string, missing string, owner string, personal string, purposes array<string>, "
        schema += "definition_hash string"
        return self._spark.createDataFrame(rows, schema)

    def search(self, words: str) -> list[str]:
        """Names of features whose name, unit, description or view's description holds all ``words``."""
        wanted = words.lower().split()
        found = []
        for feature in self.chosen("*"):
            about = f"{feature.name} {feature.unit} {feature.description} {self._views[feature.view].description}"
            if all(word in about.lower() for word in wanted):
                found.append(feature.name)
        return found

    def plan(self, features: str | Sequence[str] = "*") -> str:
        """What computing these features takes: one line per pass, with scans and shuffles, then the derived ones.

        A pass of windows says whether it takes a join, and why it can't do without. Reads the schemas of tables and
        no rows. Raises ``FeatureError`` as ``chosen`` does, and when a view's ``prepare`` looks at other rows.
        """
        chosen = self.chosen(features)
        passes, later = plan_passes(chosen, self.views)
        there = {name for step in passes for name in step.view.tables if self._tables.version(name) is not None}
        passes = with_plans(passes, {name: self._tables.read(name) for name in there})
        lines = [f"{len(chosen)} features, {len(passes)} passes, {sum(p.shuffles for p in passes)} shuffles"]
        lines += [f"- {step}" for step in passes]
        return "\n".join(lines + ([f"- {len(later)} derived, no scan, no shuffle"] if later else []))

    def plan_build(self, start: date, end: date, views: str | Sequence[str] = "*") -> list[Build]:
        """What ``materialize`` with the same arguments would do, by the manifest of slices alone."""
        return builds(self._slices(), self._named(views), start, end)

    def materialize(
        self,
        views: str | Sequence[str],
        start: date,
        end: date,
        *,
        rebuild: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> list[Published]:
        """Publish the slices of views (names or patterns) from ``start`` to ``end``, both included.

        A slice is what ``snapshot`` answers for its day. Missing days are built, days whose sources have
        changed are mended cell by cell (see ``publish``); ``rebuild`` builds all anew. ``say`` is told of
        each step. Needs a table port that can write. Raises ``FeatureError`` as ``publish`` does.
        """
        return publish(self._slices(), self._named(views), start, end, rebuild=rebuild, say=say)

    def training_set(
        self,
        spine: DataFrame,
        features: str | Sequence[str],
        label: str | None = None,
        *,
        purpose: str,
        at: str = "at",
        versions: Mapping[str, int | None] | None = None,
        published: bool = False,
        now: date | None = None,
        coverage: str = "refuse",
    ) -> DataFrame:
        """Every spine row once: its columns, the features (names or patterns such as ``income_*``), the label last.

        ``allowed:*`` and ``allowed:income_*`` mean the matching features that ``purpose`` may use: not those for
        other purposes, nor those that identify a person or are made of a sensitive column.
        Features are exact as of ``at``; with ``published`` they are those of the slice of its day, as a
        system that reads slices saw them: an equi-join on entity and day, one shuffle of the spine and one
        of each view's slices, and null for an entity that has none. ``label`` names a column of the spine.
        A spine that repeats an entity and time is answered row by row, with a ``FeatureWarning``.
        ``versions`` pins tables (else as the run sees them). ``now`` is the day on which consent is asked
        for, needed where the store has consents and the purpose asks for them.

        ``coverage`` says what becomes of rows whose windows the data don't hold (see ``Coverage``), since a window
        without events says nothing there: ``refuse`` (the default) refuses rows outside the time of which there
        are data, with their number and the views, and warns of rows whose windows are cut short; ``strict`` refuses
        those too; ``flag`` marks each view's in a column ``<view>_is_whole``, after the features; ``null`` makes the
        features of such a view null. A view's window is the longest of its features that are asked for, so shorter
        ones may be whole where longer ones are not.

        Raises ``FeatureError``, naming view or column, when a feature may not be used for ``purpose``,
        identifies a person, or is made of a sensitive column; when a row has no consent or is not whole; when
        a day that is asked for has not been published.
        """
        check_frame("spine", spine)
        check_instant("at", spine, "spine", at)
        if label is not None:
            check_column("label", spine, "spine", label)
        chosen = self.chosen(features, purpose=purpose)
        self._check_consent(spine, purpose, at, now)
        needed = self._check_coverage(spine, chosen, at, coverage)
        warn_of_repeats(spine, list(dict.fromkeys(key for name in needed for key in self._views[name].entity.keys)), at)
        pinned = versions or {}
        if published:
            rows = with_slices(self._slices(), chosen, self.views, spine, at=at, versions=pinned)
        else:
            rows = compute_features(chosen, self.views, spine, self._sources(chosen, pinned), at=at)
        rows = treated(rows, chosen, needed, self._coverage, self._tables.read, at=at, mode=coverage)
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
        published: bool = False,
        coverage: str = "refuse",
    ) -> Manifest:
        """The manifest of ``training_set`` with the same arguments. One scan of the spine; raises as it does.

        Consent and coverage are not looked up row by row: that is for the training set to do.
        """
        check_mode(coverage)
        chosen = self.chosen(features, purpose=purpose)
        asks_people(self._consents, purpose)
        views = {name: self._views[name] for name in dict.fromkeys(feature.view for feature in chosen)}
        tables = [
            name for view in views.values() for name in ([feature_table(view).name] if published else view.tables)
        ]
        rows, digest = fingerprint(spine)
        return Manifest(
            features=tuple(feature.name for feature in chosen),
            purpose=purpose,
            at=at,
            label=label,
            views={name: (view.version, view.definition_hash) for name, view in views.items()},
            tables={name: self._tables.version(name) for name in tables},
            timezone=str(self._spark.conf.get("spark.sql.session.timeZone")),
            spine_rows=rows,
            spine_hash=digest,
            published=published,
            coverage=coverage,
        )

    def rebuild(self, spine: DataFrame, manifest: Manifest, *, now: date | None = None) -> DataFrame:
        """The training set of a manifest again, from the table versions it names, whatever has arrived since.

        Raises ``FeatureError`` when the spine, a view's definition or the time zone is not the manifest's.
        """
        asked: dict[str, Any] = {
            "purpose": manifest.purpose,
            "at": manifest.at,
            "published": manifest.published,
            "coverage": manifest.coverage,
        }
        found = self.manifest(spine, manifest.features, manifest.label, **asked)
        for part in ("spine_rows", "spine_hash", "timezone", "views"):
            if getattr(found, part) != getattr(manifest, part):
                raise FeatureError(f"manifest: {part} was {getattr(manifest, part)} and is {getattr(found, part)} now")
        return self.training_set(spine, manifest.features, manifest.label, versions=manifest.tables, now=now, **asked)

    def snapshot(
        self,
        entity: str,
        ds: date,
        features: str | Sequence[str] = "*",
        *,
        purpose: str | None = None,
        now: date | None = None,
        coverage: str | None = None,
    ) -> DataFrame:
        """Every entity that existed, and was known, at the start of bank day ``ds``: keys, ``as_of_date``, features.

        Features are as of that midnight, so nothing of the day itself is in them. With ``purpose`` the
        rules of ``training_set`` hold, and patterns such as ``allowed:*`` mean what it may use; entities without
        consent to the purpose, as of ``ds`` and as of ``now``, are left out.

        Without ``coverage`` the values are those that slices hold: computed from what there is, also in the first
        year of a bank's data. With it, rows are treated as ``training_set`` does, which also checks the slices that
        it reads. Raises ``FeatureError`` on an entity without views, and as ``training_set`` does.
        """
        if not isinstance(ds, date):
            raise FeatureTypeError(f"ds: a date is expected, not {type(ds).__name__}")
        chosen = self.chosen(features, purpose=purpose)
        chosen = self._of_entity(entity, chosen)
        described = self._views[chosen[0].view].entity
        spine = cells(described, self._tables.read(described.source), [ds])
        if purpose is not None and asks_people(self._consents, purpose):
            asked = with_consent(self._consents, spine, self._tables.read, purpose=purpose, at=AS_OF, now=now)
            spine = asked.where(HAS_CONSENT).drop(HAS_CONSENT)
        needed = {} if coverage is None else self._check_coverage(spine, chosen, AS_OF, coverage)
        rows = compute_features(chosen, self.views, spine, self._sources(chosen, {}), at=AS_OF)
        if coverage is None:
            return rows
        return treated(rows, chosen, needed, self._coverage, self._tables.read, at=AS_OF, mode=coverage)

    def published(self, entity: str, ds: date, features: str | Sequence[str] = "*") -> DataFrame:
        """The published slices of bank day ``ds`` side by side: keys, ``as_of_date``, features.

        They hold what was computed from the data that there were: ``training_set(published=True)`` checks from when on
        those are whole. One shuffle of each view's slice. Raises ``FeatureError`` when one of them does not stand.
        """
        chosen = self._of_entity(entity, self.chosen(features))
        views = [self._views[name] for name in dict.fromkeys(feature.view for feature in chosen)]
        if ds not in self.published_days([view.name for view in views]):
            raise FeatureError(
                f"ds: {ds} has not been published for each of {', '.join(view.name for view in views)}; "
                "materialize it first"
            )
        keys = [*views[0].entity.keys, AS_OF]
        parts = [self._tables.read(feature_table(view).name).where(F.col(AS_OF) == F.lit(ds)) for view in views]
        whole = reduce(lambda left, right: left.join(right, keys, "full"), parts)
        return whole.select(*(quoted(name) for name in [*keys, *(feature.name for feature in chosen)]))

    def drift(self, entity: str, reference: date, ds: date, features: str | Sequence[str] = "*") -> DataFrame:
        """One row a feature, the most shifted first: PSI of day ``ds`` against ``reference``, nulls and means of both.

        Published slices are read where both days stand, else the snapshots are computed. Features that
        are no numbers or flags are left out. Plan: that of both days, held while they are measured.
        """
        before, after = (self._published_or_computed(entity, day, features).persist() for day in (reference, ds))
        names = measurable(before, [feature.name for feature in self.chosen(features)])
        shifts = population_stability(before, after, names)
        figures = [
            feature_statistics(rows, names).select(
                "feature", F.col("null_ratio").alias(f"null_ratio{end}"), F.col("mean").alias(f"mean{end}")
            )
            for rows, end in ((before, "_reference"), (after, ""))
        ]
        joined = shifts.join(figures[0], "feature").join(figures[1], "feature").orderBy(F.desc("psi"), "feature")
        # A row a feature: brought home now, so that the days need not be held any longer.
        found = self._spark.createDataFrame(joined.collect(), joined.schema)
        before.unpersist()
        after.unpersist()
        return found

    def leakage_check(
        self,
        spine: DataFrame,
        features: str | Sequence[str] = "*",
        *,
        at: str = "at",
        moment: datetime | None = None,
    ) -> LeakageReport:
        """Whether features of the spine use anything from after its times (see ``leakage.leakage_check``).

        The tables of the features' views are changed after ``moment``, without one the latest time of the spine; rows
        up to it are compared, each key and time once. A leak shows most in rows near the moment, so of a spine of
        many days check several. Raises ``FeatureError`` as ``leakage_check`` does.
        """
        chosen = self.chosen(features)
        check_frame("spine", spine)
        check_instant("at", spine, "spine", at)
        views = [self._views[name] for name in dict.fromkeys(feature.view for feature in chosen)]
        ids = [*dict.fromkeys(key for view in views for key in view.entity.keys), at]
        for name in ids:
            check_column("spine", spine, "spine", name)
        asked = spine.select(*(quoted(name) for name in ids)).na.drop().distinct()
        latest = moment or asked.agg(F.max(instant(at))).collect()[0][0]
        if latest is None:
            raise FeatureError(f"spine: no row has {', '.join(ids)}, so there is nothing to check")

        def build(rows: DataFrame, tables: Mapping[str, DataFrame]) -> DataFrame:
            return compute_features(chosen, self.views, rows, tables, at=at)

        tables = self._sources(chosen, {})
        return leakage_check(build, asked, tables, clocks_of(views), moment=latest, at=at, row_id=ids)

    def consented(self, spine: DataFrame, purpose: str, *, at: str = "at", now: date) -> DataFrame:
        """The spine with ``has_consent``: whether each row may be used for ``purpose`` (see ``consent.consented``).

        True for every row in a store that was made with ``consents=None``. Raises ``FeatureError`` in a store that
        was made without consents, and when the spine lacks the key by which they are looked up.
        """
        if isinstance(self._consents, Unsaid):
            raise FeatureError("consents: the store was made without a table of consents; pass consents=")
        return with_consent(self._consents, spine, self._tables.read, purpose=purpose, at=at, now=now)

    def _check_consent(self, spine: DataFrame, purpose: str, at: str, now: date | None) -> None:
        if asks_people(self._consents, purpose):
            found = with_consent(self._consents, spine, self._tables.read, purpose=purpose, at=at, now=now)
            check_consent(found, purpose)

    def _check_coverage(self, spine: DataFrame, chosen: Sequence[Feature], at: str, mode: str) -> dict[str, list[Need]]:
        """What the chosen features look at; raises when the mode is to refuse a row of the spine."""
        check_mode(mode)
        needed = needs(chosen, self._views)
        known = checkable(needed, self._coverage)
        if mode in ("refuse", "strict") and known:
            flagged = with_flags(spine, known, self._coverage, self._tables.read, at=at)
            check_whole(flagged, known, self._coverage, strict=mode == "strict")
        return needed

    def _slices(self) -> SlicePort:
        if not isinstance(self._tables, SlicePort):
            raise FeatureError(f"tables: {type(self._tables).__name__} publishes no slices; use a port that can write")
        return self._tables

    def _named(self, views: str | Sequence[str]) -> list[FeatureView]:
        return select_views(views, self._views)

    def _published_or_computed(self, entity: str, ds: date, features: str | Sequence[str]) -> DataFrame:
        views = {feature.view for feature in self._of_entity(entity, self.chosen(features))}
        if ds in self.published_days(sorted(views)):
            return self.published(entity, ds, features)
        return self.snapshot(entity, ds, features)

    def _of_entity(self, entity: str, features: Sequence[Feature]) -> list[Feature]:
        chosen = [feature for feature in features if self._views[feature.view].entity.name == entity]
        if not chosen:
            known = sorted({view.entity.name for view in self.views})
            raise FeatureError(f"entity: no chosen feature describes {entity!r}; there are: {', '.join(known)}")
        return chosen

    def chosen(self, features: str | Sequence[str], *, purpose: str | None = None) -> list[Feature]:
        """The features that names or patterns mean, in order; ``allowed:income_*`` needs a ``purpose``.

        Reads no data. Raises ``FeatureError`` when a name or pattern means nothing, with the nearest names, and when
        ``purpose`` is given and one of the features may not be used for it.
        """

        def refused(feature: Feature, purpose: str) -> str | None:
            return refusal(feature, self._views[feature.view], purpose, self._sensitive)

        found = select_features(features, self.views, purpose=purpose, refusal=refused)
        if purpose is not None:
            check_use(found, self._views, purpose, self._sensitive)
        return found

    def _sources(self, features: Sequence[Feature], versions: Mapping[str, int | None]) -> dict[str, DataFrame]:
        names = dict.fromkeys(name for feature in features for name in self._views[feature.view].tables)
        return {name: self._tables.read(name, versions.get(name)) for name in names}
