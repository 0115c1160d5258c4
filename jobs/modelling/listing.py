"""The models of a bank as text: what each is about, which versions serve, what they were worth when last trained."""

from __future__ import annotations

from pyspark.sql import Row
from pyspark.sql import functions as F

from strata.jobs.runtime.job import Context
from strata.jobs.runtime.tracking import CHALLENGER, CHAMPION, Tracking, has_registry
from strata.models.model_spec import BOOSTED, SCORECARD, ModelSpec
from strata.models.specs import STANDARD, bank_models, unfilled


def listed_models(context: Context) -> str:
    """One paragraph per model that the bank can fill, then a line for each standard one with what is missing."""
    models = bank_models(context.bank)
    figures = _last_figures(context)
    parts = [_paragraph(context, spec, figures) for spec in models]
    known = {spec.name for spec in models}
    lacking = [
        f"{spec.name}: not for bank {context.bank.name}, which does not fill {', '.join(unfilled(spec, context.bank))}"
        for spec in STANDARD if spec.name not in known
    ]  # fmt: skip
    return "\n\n".join([*parts, *lacking]) or f"bank {context.bank.name} has no model"


def _paragraph(context: Context, spec: ModelSpec, figures: dict[tuple[str, str], Row]) -> str:
    lines = [f"{spec.name}: {spec.title}", f"  {spec.population.description}", f"  {spec.outcome.description}"]
    lines += [f"  {alias:<11}{_version(context, spec, alias)}" for alias in (CHAMPION, CHALLENGER)]
    for kind in (SCORECARD, BOOSTED):
        if row := figures.get((spec.name, kind)):
            lines.append(
                f"  {kind} as of {row.as_of_date}: AUC {row.estimate:.3f} ({row.low:.3f} to {row.high:.3f}) out of "
                f"fold, {row.rows:,} cases, {row.bads:,} bad"
            )
    return "\n".join(lines)


def _version(context: Context, spec: ModelSpec, alias: str) -> str:
    uri = context.settings.tracking_uri
    if not has_registry(uri):
        return "none yet: strata train"
    tracking = Tracking(uri)
    version = tracking.version(spec.name, alias)
    return f"version {version} ({tracking.load(spec.name, alias).kind})" if version else "none yet: strata train"


def _last_figures(context: Context) -> dict[tuple[str, str], Row]:
    """The AUC of each model's kinds on the newest day of training."""
    if not context.lake.exists("model_validation"):
        return {}
    kinds = F.col("variant").isin(SCORECARD, BOOSTED) & (F.col("metric") == "auc")
    rows = context.lake.read("model_validation").where(kinds).orderBy("as_of_date").collect()
    return {(row.model, row.variant): row for row in rows}
