"""What ``strata features …`` prints and writes: lists, descriptions, plans, drift, training sets."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from strata.features import FeatureError, FeatureStore, FeatureTypeError, proxy_report
from strata.features.definitions.feature import Feature
from strata.features.definitions.missing_values import missing_rule
from strata.features.definitions.selection import select_views
from strata.features.engine.aggregates import words_of_span
from strata.features.engine.inputs import FeatureWarning
from strata.features.governance.consent import HAS_CONSENT
from strata.jobs.own_table.any_input import read_table
from strata.jobs.runtime.errors import GateError, UsageError
from strata.jobs.runtime.job import Context

# Under 0.1 is stable, over 0.25 another population (Siddiqi 2006).
STABLE, SHIFTED = 0.1, 0.25


@contextmanager
def refusals() -> Iterator[None]:
    """What the store refuses is the caller's to mend."""
    try:
        yield
    except (FeatureError, FeatureTypeError) as wrong:
        raise UsageError(str(wrong)) from wrong


def listed(store: FeatureStore, patterns: Sequence[str]) -> str:
    """One line a feature, under its view."""
    with refusals():
        return _listing(store, store.chosen(patterns))


def search_results(store: FeatureStore, words: str) -> str:
    """The features whose name, unit, meaning or view's description holds all words, listed as ``listed`` does."""
    names = store.search(words)
    if not names:
        return f"no feature's name, unit or meaning holds all of {words!r}; try fewer words, or parts of them"
    return _listing(store, store.chosen(names))


def _listing(store: FeatureStore, chosen: Sequence[Feature]) -> str:
    lines = []
    for view in store.views:
        mine = [feature for feature in chosen if feature.view == view.name]
        if mine:
            lines.append(f"{view.name} (version {view.version}, of {view.entity.name}): {view.description}")
            width = max(len(feature.name) for feature in mine)
            lines += [f"  {f.name:<{width}}  {f.unit or '-':<5}  {f.description}" for f in mine]
    return "\n".join([*lines, f"{len(chosen)} features in {len({f.view for f in chosen})} views"])


def described(context: Context, store: FeatureStore, patterns: Sequence[str]) -> str:
    """A paragraph a feature: what it means, what it is made of, who may use it, where and how it stands."""
    with refusals():
        chosen = store.chosen(patterns)
    newest = newest_statistics(context, [feature.name for feature in chosen])
    spread = {name: _spread(row) for name, row in newest.items()}
    return "\n\n".join(_about(store, feature, spread.get(feature.name)) for feature in chosen)


def _about(store: FeatureStore, feature: Feature, spread: str | None) -> str:
    view = store.view(feature.view)
    made = (
        f"from {', '.join(feature.inputs)}: {feature.measure}"
        if feature.inputs
        else f"{view.source}: {feature.measure}"
    )
    clocks = ", ".join(name for name in (view.event_ts, view.valid_from, view.known_ts) if name)
    lines = [
        feature.name,
        f"  {feature.description}; unit {feature.unit or 'none'}",
        f"  {made}" + (f", {feature.agg} over {words_of_span(feature.days or 0)}" if feature.agg else ""),
        f"  missing: {missing_rule(feature, view)}",
        f"  view {view.name} version {view.version} ({view.definition_hash}), clocks {clocks}, of {view.entity.name}",
        f"  owner {view.owner}; personal data: {feature.personal}; purposes: {', '.join(sorted(feature.purposes))}",
    ]
    return "\n".join([*lines, f"  {spread}"] if spread else lines)


def newest_statistics(context: Context, names: Sequence[str]) -> dict[str, Row]:
    """The row of ``feature_statistics`` of each feature's newest day; none of one that was never published."""
    if not context.lake.exists("feature_statistics"):
        return {}
    figures = context.lake.read("feature_statistics").where(F.col("feature").isin(list(names)))
    newest = figures.groupBy("feature").agg(F.max_by(F.struct("*"), "as_of_date").alias("row")).collect()
    return {row["feature"]: row["row"] for row in newest}


def _spread(row: Row) -> str:
    figures = ", ".join(f"{name} {row[name]:,.4g}" for name in ("mean", "q05", "q50", "q95") if row[name] is not None)
    return f"on {row['as_of_date']}: {row['rows']:,} rows, {row['null_ratio']:.1%} null, {figures or 'no value'}"


def planned(store: FeatureStore, start: date, end: date, patterns: Sequence[str], views: Sequence[str]) -> str:
    """The passes of the features asked for, their views' slices, and what a change of definition would rebuild.

    ``patterns`` choose features, ``views`` narrow them to those of some views.
    """
    with refusals():
        wanted = {view.name for view in select_views(views, {view.name: view for view in store.views})}
        chosen = [feature for feature in store.chosen(patterns) if feature.view in wanted]
        if not chosen:
            raise UsageError(f"--views: no feature of {', '.join(views)} is among {', '.join(patterns)}")
        builds = store.plan_build(start, end, list(dict.fromkeys(feature.view for feature in chosen)))
        lines = [store.plan([feature.name for feature in chosen]), f"slices from {start} to {end}:"]
    for build in builds:
        lines.append(f"- {build}")
        stand = len(build.current) + sum(len(days) for days in build.outdated.values())
        again = f"{stand} days of version {build.view.version} would be built anew as version {build.view.version + 1}"
        lines.append(
            f"  a changed definition: {again}, beside it" if stand else "  a changed definition: nothing stands yet"
        )
    return "\n".join(lines)


def drift(context: Context, store: FeatureStore) -> None:
    """Print one line a feature, the most shifted first; ``GateError`` when one is above the gate."""
    options = context.options
    entity = options.entity or store.views[0].entity.name
    with refusals(), context.progress.step(f"drift since {options.reference}"):
        rows = store.drift(entity, options.reference, context.as_of, options.features).collect()
    width = max(len(row["feature"]) for row in rows)
    print(f"{'feature':<{width}}  {'PSI':>7}  {'null then':>9} {'now':>7}  {'mean then':>12} {'now':>12}")
    for row in rows:
        said = "stable" if row["psi"] < STABLE else "shifted" if row["psi"] > SHIFTED else "moving"
        means = " ".join(
            f"{'-' if mean is None else format(mean, ',.2f'):>12}" for mean in (row["mean_reference"], row["mean"])
        )
        nulls = f"{row['null_ratio_reference']:>9.1%} {row['null_ratio']:>7.1%}"
        print(f"{row['feature']:<{width}}  {row['psi']:>7.3f}  {nulls}  {means}  {said}")
    above = [row["feature"] for row in rows if options.gate is not None and row["psi"] > options.gate]
    if above:
        raise GateError(f"{len(above)} features have a PSI above {options.gate}: {', '.join(above[:5])}")


def training_set(context: Context, store: FeatureStore) -> None:
    """Write ``training_set/`` (Delta), ``manifest.json`` and, for protected columns, ``proxies.csv``."""
    options = context.options
    asked = {"purpose": options.purpose, "at": options.at, "published": options.published, "coverage": options.coverage}
    now = context.as_of
    folder = options.output
    with refusals():
        store.chosen(options.features, purpose=options.purpose)
    spine = _spine(context)
    if options.drop_without_consent:
        spine = _consenting(context, store, spine)
    folder.mkdir(parents=True, exist_ok=True)
    with refusals(), context.progress.step("training set") as step:
        # Computed once, for the table, its size and the proxies; what is written has no protected column.
        with reporting(context):
            rows = context.keep(store.training_set(spine, options.features, options.label, now=now, **asked))
        written = rows.drop(*options.protected)
        writer = written.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        writer.save(str(folder / "training_set"))
        step.says(f"{rows.count():,} rows, {len(written.columns)} columns")
    with refusals(), context.progress.step("manifest"):
        manifest = store.manifest(spine.drop(*options.protected), options.features, options.label, **asked)
        (folder / "manifest.json").write_text(manifest.to_json())
    if options.protected:
        with refusals(), context.progress.step("proxies") as step:
            step.says(_proxies(context, rows, manifest.features))


@contextmanager
def reporting(context: Context) -> Iterator[None]:
    """What the store warns of is printed as lines of the run."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", FeatureWarning)
        yield
    for one in heard:
        context.progress.line(f"warning: {one.message}")


def _consenting(context: Context, store: FeatureStore, spine: DataFrame) -> DataFrame:
    """The rows of the spine whose people have consented to the purpose; says how many have not."""
    options = context.options
    with refusals(), context.progress.step("consent") as step:
        asked = context.keep(store.consented(spine, options.purpose, at=options.at, now=context.as_of))
        rows = asked.where(HAS_CONSENT).drop(HAS_CONSENT)
        step.says(f"{rows.count():,} of {asked.count():,} rows may be used for {options.purpose}")
        return rows


def _spine(context: Context) -> DataFrame:
    """The spine as a table of names that were in the file."""
    table = read_table(context, context.options.spine, fewest=1, untouched=None)
    return table.rows.select(*(F.col(f"`{ours}`").alias(theirs) for ours, theirs in table.names.items()))


def _proxies(context: Context, rows: DataFrame, features: Sequence[str]) -> str:
    options = context.options
    found = proxy_report(rows, features, options.protected).toPandas()
    found.to_csv(options.output / "proxies.csv", index=False)
    strong = found[found["is_proxy"]]
    told = ", ".join(
        f"{row.feature} for {row.attribute} (V {row.cramers_v:.2f})" for row in strong.head(3).itertuples()
    )
    return f"{len(strong)} of {len(found)} pairs: {told}" if len(strong) else f"none of {len(found)} pairs"
