"""The model card of a scorecard as Markdown: what it is, what it was made of, what it is worth, where it ends."""

from __future__ import annotations

from strata.jobs.own_table.scorecard_results import CardTable, FittedCard, TestedCard, sentence_on_drops
from strata.jobs.reports.pages.scorecard_sections import sentence_on_prices
from strata.models.samples.development_sample import TEST, TRAIN


def model_card(table: CardTable, fitted: FittedCard, tested: TestedCard) -> str:
    """Sections after Mitchell et al. 2019, "Model cards for model reporting"."""
    scale, began = fitted.card.scale, table.began
    protected = ", ".join(table.options.protected) or "nothing, no protected column was named"
    parts = {
        "What it is": [
            f"A points scorecard for `{table.source.names[table.options.target]}`: {table.meaning}.",
            f"A higher score is safer: {scale.base_score:g} points for {scale.base_odds:g} goods to one bad, "
            f"{scale.pdo:g} more double the odds.",
        ],
        "Data": [
            f"`{table.options.input.name}`, {table.source.kind}, fingerprint `{table.source.fingerprint}`.",
            *(f"{split}: {table.size(split):,} rows, {table.bads(split):,} bad." for split in (TRAIN, TEST)),
            f"The test is the last part, from {began}." if began else "The test was drawn at random, stratified.",
            *(f"{rows:,} rows are {state}: scored, but neither learnt from nor tested on."
              for (split, state), rows in sorted(table.counts.items()) if split == state),
        ],
        "Worth on the test": [
            *(f"{model}: AUC {of['auc'].value:.4f} ({of['auc'].low:.4f} to {of['auc'].high:.4f}), "
              f"KS {of['ks'].value:.4f} ({of['ks'].low:.4f} to {of['ks'].high:.4f})."
              for model, of in tested.intervals.items()),
            sentence_on_prices(tested),
        ],
        "Features": [f"`{table.source.names[name]}`, IV {binned.iv:.3f}" for name, binned in fitted.card.kept.items()],
        "Limits": [
            *(f"Suspected leak: {one.sentence}" for one in fitted.suspects),
            *([f"Dropped features would help: {sentence_on_drops(fitted)}."] if fitted.has_costly_drops else []),
            "It speaks for people like those in its data; those whom an earlier policy refused are not among them "
            "unless their outcome was inferred.",
            f"Fairness was reported on: {protected}.",
        ],
    }  # fmt: skip
    lines = [f"# Scorecard for {table.source.names[table.options.target]}"]
    for title, points in parts.items():
        lines += ["", f"## {title}", "", *(f"- {point}" for point in points)]
    return "\n".join([*lines, ""])
