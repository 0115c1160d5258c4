"""The page that a campaign's owner reads about an uplift model made by ``strata uplift``."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from strata.jobs.own_table.uplift_results import SHARES, Experiment, FittedModel, TestedModel
from strata.jobs.reports.charts import charts
from strata.jobs.reports.pages.page import Figure, Page, Section, Sheet, Tile
from strata.jobs.reports.pages.scorecard_sections import sheet
from strata.models.samples.development_sample import TEST, TRAIN
from strata.models.uplift.qini import Estimate, Floats

MOST_DRIVERS, MOST_BALANCE, POINTS = 15, 12, 101
# What the figures of ``metrics.json`` are called for a reader.
FIGURES = {
    "ate": "average effect",
    "area": "Qini area above random",
    "normalised": "Qini, of the perfect curve",
    "net_gain": "net gain per head at the best share",
} | {f"uplift_at_{100 * share:.0f}": f"effect in the best {share:.0%}" for share in SHARES}


def page(table: Experiment, fitted: FittedModel, tested: TestedModel) -> Page:
    """Summary first, then everything that backs it."""
    sections = [
        _summary(table, fitted, tested),
        _arms(table, fitted),
        _curve(tested),
        _deciles(tested),
        _drivers(table, tested),
        *([_money(table, tested)] if tested.best else []),
        _data(table, fitted),
    ]
    control, treated = table.arms
    title = f"Uplift of {table.name_of(table.options.outcome)}"
    lead = f"Made from {table.options.input.name}: what {treated!r} changes against {control!r}, and for whom."
    return Page(title, lead, _tiles(table, tested), sections, _facts(table))


def _tiles(table: Experiment, tested: TestedModel) -> list[Tile]:
    found = tested.qini
    return [
        Tile(_effect(table, found.ate), f"average effect, {_range(table, found.ate)}"),
        Tile(f"{found.normalised:.3f}", f"Qini, {found.normalised.low:.3f} to {found.normalised.high:.3f}"),
        Tile(_effect(table, found.at(SHARES[-1])), f"effect in the best {SHARES[-1]:.0%}"),
        Tile(f"{table.size(TRAIN):,}", "rows to learn from"),
        Tile(f"{table.size(TEST):,}", "rows to test on"),
    ]


def _effect(table: Experiment, value: float) -> str:
    return f"{100 * value:+.2f} points" if table.is_flag else f"{value:+.4g}"


def _range(table: Experiment, value: Estimate) -> str:
    return f"{_effect(table, value.low)} to {_effect(table, value.high)}"


def _summary(table: Experiment, fitted: FittedModel, tested: TestedModel) -> Section:
    """What the treatment does, whether the model orders people by it, and what to beware of."""
    found, top = tested.qini, tested.qini.at(SHARES[-1])
    lead = (
        f"On {table.size(TEST):,} rows that the model never saw, the treatment changes the outcome by "
        f"{_effect(table, found.ate)} on average ({_range(table, found.ate)}), and by {_effect(table, top)} among the "
        f"{SHARES[-1]:.0%} with the highest predicted uplift ({_range(table, top)}). {_verdict(found.area)}"
    )
    notes = [f"Suspected leak: {sentence}." for sentence in fitted.suspects]
    if table.options.observational:
        notes.append(
            "The treatment was not drawn at random: rows are weighed by the inverse of the fitted chance of their arm, "
            "which corrects for the features of this table and for nothing else."
        )
    if table.left_out:
        notes.append(f"{table.left_out:,} rows of other arms are left out.")
    return Section("Summary", lead, notes)


def _verdict(area: Estimate) -> str:
    if area.low > 0:
        return "Treating in the model's order gains more than treating at random: the interval of the area is above 0."
    return "Whether the model's order is better than a random one is not certain: the interval of the area has 0 in it."


def _arms(table: Experiment, fitted: FittedModel) -> Section:
    """Are both arms alike before the treatment?"""
    overlap = fitted.overlap
    lead = (
        f"Trees predict the treatment from the features with an AUC of {overlap.auc:.3f} out of fold "
        f"(0.5 when it is random); the fitted chances lie between {overlap.low:.2f} and {overlap.high:.2f}."
    )
    counts = [
        (split, *(value.get((split, arm), 0) for arm in (1, 0) for value in (table.counts, table.responses)))
        for split in (TRAIN, TEST)
    ]
    titles = ["part", "treated", "with an outcome", "control", "with an outcome"]
    shown = fitted.balance.head(MOST_BALANCE).assign(level=fitted.balance["level"].fillna(""))
    caption = "The features whose means differ most; difference in standard deviations, chance of one so large"
    return Section("Arms", lead, sheets=[Sheet(titles, counts, "Rows"), sheet(shown, caption)])


def _curve(tested: TestedModel) -> Section:
    """The Qini curve with its interval."""
    found = tested.qini
    grid = np.linspace(0, 1, POINTS)
    gain, low, high = (np.interp(grid, found.curve["share"], found.curve[name]) for name in ("gain", "low", "high"))
    curves = {
        "by predicted uplift": _points(grid, gain),
        "at random": _points(grid, grid * float(found.ate)),
        "95 % interval": _outline(grid, low, high),
    }
    svg = charts.lines(curves, xlabel="share of rows treated, best first", ylabel="gain per head of all rows")
    rows = [(FIGURES[name], float(value), value.low, value.high) for name, value in tested.figures().items()]
    lead = "The gain is what would be added to the mean outcome of all rows if this share of them were treated."
    figure = Figure(svg, "Above the straight line the model finds those whom the treatment moves.")
    return Section("Qini curve", lead, [], [figure], [Sheet(["figure", "value", "low", "high"], rows, "On the test")])


def _points(shares: Floats, values: Floats) -> tuple[list[float], list[float]]:
    return shares.tolist(), values.tolist()


def _outline(x: Floats, low: Floats, high: Floats) -> tuple[list[float], list[float]]:
    """An interval as one curve with a gap: along its lower ends, then along the upper ones."""
    return [*x.tolist(), math.nan, *x.tolist()], [*low.tolist(), math.nan, *high.tolist()]


def _deciles(tested: TestedModel) -> Section:
    """Observed against predicted uplift by tenth."""
    table = tested.deciles
    tenths = table["tenth"].tolist()
    curves = {
        "predicted": (tenths, table["predicted"].tolist()),
        "observed": (tenths, table["observed"].tolist()),
        "95 % of observed": _outline(*(table[name].to_numpy(float) for name in ("tenth", "low", "high"))),
    }
    svg = charts.lines(curves, xlabel="tenth of the test, highest predicted uplift first", ylabel="uplift")
    inside = int(((table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])).sum())
    lead = f"In {inside} of {len(table)} tenths the predicted uplift lies in the 95 % interval of the observed one."
    return Section("Deciles", lead, [], [Figure(svg, "Observed against predicted uplift.")], [sheet(table)])


def _drivers(table: Experiment, tested: TestedModel) -> Section:
    """Which features move the predicted uplift."""
    shown = tested.drivers.head(MOST_DRIVERS)
    names = [table.name_of(name) for name in shown["feature"]]
    svg = charts.bars(names, shown["mean"].tolist(), label="mean movement of the predicted uplift", text="{:.4f}")
    lead = (
        "How far each feature moves the predicted uplift of a row, up or down, on average (mean absolute SHAP value)."
    )
    return Section("Drivers", lead, [], [Figure(svg, "A long bar is a feature by which effects differ.")])


def _money(table: Experiment, tested: TestedModel) -> Section:
    """What the treatment brings at its cost, by share treated."""
    assert tested.best is not None and table.options.cost is not None and table.options.value is not None
    cost, value = table.options.cost, table.options.value
    (share, net), curve = tested.best, tested.qini.curve
    grid = np.linspace(0, 1, POINTS)
    gain = value * np.interp(grid, curve["share"], curve["gain"]) - cost * grid
    everybody = float(gain[-1])
    lead = (
        f"At {cost:g} per treatment and {value:g} per unit of the outcome, treating the best {share:.0%} brings "
        f"{net:.4g} per head of all rows ({net.low:.4g} to {net.high:.4g}), treating everybody {everybody:.4g}."
    )
    notes = ["The share is chosen on the same rows as the gain is measured on, so expect a little less."]
    random = grid * everybody
    curves = {"by predicted uplift": _points(grid, gain), "at random": _points(grid, random)}
    svg = charts.lines(curves, xlabel="share of rows treated", ylabel="net gain per head", upright=share)
    shown = pd.DataFrame({"share": grid[10::10], "net_gain": gain[10::10], "at_random": random[10::10]})
    return Section("Money", lead, notes, [Figure(svg, "The dotted line is the best share.")], [sheet(shown)])


def _data(table: Experiment, fitted: FittedModel) -> Section:
    """What was read, what each column is, which shapes of trees were tried."""
    left_out = pd.DataFrame({"not used": list(table.roles.reasons.values())})
    tried = [(trial.recipe, trial.r_loss, "yes" if trial.chosen else "") for trial in fitted.model.trials]
    trials = pd.DataFrame(tried, columns=["shape", "loss", "chosen"])
    lead = f"{len(table.roles.features)} columns are features; the others, {len(left_out)} and the treatment, are not."
    sheets = [sheet(left_out, "Columns that are no features", folded=True)] if len(left_out) else []
    sheets.append(sheet(trials, "Shapes of trees that were tried, and one effect for all: loss on rows held out"))
    return Section("Data", lead, table.source.notes, sheets=sheets)


def _facts(table: Experiment) -> dict[str, str]:
    given = {name: value for name, value in vars(table.options).items() if value not in (None, (), "", False)}
    return {
        "Input": f"{table.options.input} ({table.source.kind}), fingerprint {table.source.fingerprint[:16]}",
        "Call": ", ".join(f"{name} = {value}" for name, value in given.items()),
    }
