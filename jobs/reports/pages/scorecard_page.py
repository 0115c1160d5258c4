"""The page that a credit committee reads about a scorecard made by ``strata scorecard``."""

from __future__ import annotations

from strata.jobs.own_table.scorecard_results import CARD, CardTable, FittedCard, TestedCard, sentence_on_drops
from strata.jobs.reports.pages.page import Page, Section, Tile
from strata.jobs.reports.pages.scorecard_sections import (
    binning,
    calibration,
    challenger,
    cut_offs,
    data,
    discrimination,
    fairness,
    points,
    scores,
    selection,
    sentence_on_prices,
    vintages,
)
from strata.models.samples.development_sample import TEST, TRAIN

# Words of the trade for an AUC; each holds up to its limit.
POWER = ((0.6, "hardly"), (0.7, "weakly"), (0.8, "fairly"), (0.9, "well"), (1.01, "very well"))
OVERFIT = 0.03


def page(table: CardTable, fitted: FittedCard, tested: TestedCard) -> Page:
    """Summary first, then everything that backs it."""
    sections = [
        summary(table, fitted, tested),
        data(table, fitted),
        points(table, fitted),
        binning(fitted),
        selection(fitted),
        discrimination(tested),
        calibration(tested),
        scores(fitted, tested),
        *([vintages(fitted, tested)] if tested.by_period is not None else []),
        cut_offs(table, fitted, tested),
        challenger(fitted, tested),
        *([fairness(tested)] if tested.fairness is not None else []),
    ]
    title = f"Scorecard for {table.source.names[table.options.target]}"
    lead = f"Made from {table.options.input.name}: {table.meaning}."
    return Page(title, lead, _tiles(table, fitted, tested), sections, _facts(table))


def _tiles(table: CardTable, fitted: FittedCard, tested: TestedCard) -> list[Tile]:
    area, spread = (tested.intervals[CARD][name] for name in ("auc", "ks"))
    return [
        Tile(f"{area.value:.3f}", f"AUC on the test, {area.low:.3f} to {area.high:.3f}"),
        Tile(f"{spread.value:.3f}", f"KS on the test, {spread.low:.3f} to {spread.high:.3f}"),
        Tile(f"{len(fitted.card.features)}", f"features kept of {len(fitted.binning.features)}"),
        Tile(f"{table.size(TRAIN):,}", f"rows to learn from, {table.bads(TRAIN):,} bad"),
        Tile(f"{table.size(TEST):,}", f"rows to test on, {table.bads(TEST):,} bad"),
    ]


def summary(table: CardTable, fitted: FittedCard, tested: TestedCard) -> Section:
    """What the card is worth, what to beware of, in sentences."""
    area = tested.intervals[CARD]["auc"]
    power = next(word for limit, word in POWER if area.value < limit)
    split = f"from {table.began} on" if table.began else "drawn at random, stratified by outcome"
    lead = (
        f"The scorecard tells bad from good {power}: on {table.size(TEST):,} rows that it never saw ({split}) its AUC "
        f"is {area.value:.3f}, with a 95 % interval from {area.low:.3f} to {area.high:.3f}. It has "
        f"{len(fitted.card.features)} features; a higher score is safer."
    )
    return Section("Summary", lead, _findings(table, fitted, tested))


def _findings(table: CardTable, fitted: FittedCard, tested: TestedCard) -> list[str]:
    """What a reader must know before all else; each sentence follows from the figure that it names."""
    train, test = (tested.figures[CARD, split]["auc"] for split in (TRAIN, TEST))
    area = tested.intervals[CARD]["auc"]
    notes = [f"Suspected leak: {one.sentence}" for one in fitted.suspects]
    if fitted.has_costly_drops:
        notes.append(f"Dropped features would help: {sentence_on_drops(fitted)}.")
    if train - test > OVERFIT:
        notes.append(
            f"Its AUC is {train:.3f} on the rows it learnt from, {train - test:.3f} above the test: expect the latter."
        )
    notes.append(sentence_on_prices(tested))
    notes.append(
        f"With {table.bads(TEST):,} bads in the test the AUC is known to about ±{(area.high - area.low) / 2:.3f}: "
        "smaller differences between models may be chance."
    )
    if table.parted:
        notes.append(
            f"{table.parted:,} rows are equal to many others in every column: they were parted at random between train "
            "and test, as if each were a case of its own."
        )
    return notes


def _facts(table: CardTable) -> dict[str, str]:
    given = {name: value for name, value in vars(table.options).items() if value not in (None, (), "")}
    return {
        "Input": f"{table.options.input} ({table.source.kind}), fingerprint {table.source.fingerprint[:16]}",
        "Call": ", ".join(f"{name} = {value}" for name, value in given.items()),
    }
