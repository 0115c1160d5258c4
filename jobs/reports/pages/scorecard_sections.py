"""The sections of a scorecard's page, each from the fitted card and what it did on rows it never saw."""

from __future__ import annotations

import numpy as np
import pandas as pd

from strata.jobs.own_table.scorecard_results import (
    APPROVED,
    BOOSTED,
    CARD,
    MONOTONE,
    PERIOD,
    CardTable,
    FittedCard,
    TestedCard,
    describe_trees,
    shifted_features,
)
from strata.jobs.reports.charts import charts
from strata.jobs.reports.charts.binned_chart import binned_figure, short_label
from strata.jobs.reports.pages.page import Figure, Section, Sheet
from strata.models.evaluation.cutoffs import Economics, best_cut_off, strategy_table
from strata.models.evaluation.discrimination import (
    calibration_line,
    calibration_table,
    gains_table,
    psi,
    psi_noise,
    roc_points,
)
from strata.models.evaluation.score_table import ScoreTable
from strata.models.samples.development_sample import TEST, TRAIN
from strata.models.scorecard.vintage_drift import find_drift

# Without --profit and --loss: a bad account costs what five good ones earn.
PLAIN = Economics(1.0, 5.0)
BANDS = 10
MOST_PLOTS, MOST_POINTS = 30, 400
SHIFTS = (
    "PSI of each kept feature over the train's periods, thin ones merged: of the later half against the earlier where "
    "that is more than chance, else the largest of one stretch; later AUC: that of its WOE on the later half"
)


def sheet(table: pd.DataFrame, caption: str = "", *, folded: bool = False) -> Sheet:
    """A data frame as a sheet: underscores of its columns read as spaces, columns of whole numbers as such."""
    columns = [_cells(table[name]) for name in table.columns]
    titles = [str(name).replace("_", " ") for name in table.columns]
    return Sheet(titles, list(zip(*columns, strict=True)), caption, folded)


def _cells(values: pd.Series) -> list[object]:
    filled = values.dropna()
    whole = pd.api.types.is_numeric_dtype(filled) and np.isfinite(filled).all() and (filled % 1 == 0).all()
    plain = [None if pd.isna(value) else value for value in values.tolist()]
    return [int(value) if whole and value is not None else value for value in plain]


def data(table: CardTable, fitted: FittedCard) -> Section:
    """What was read, what each column is, and which look like leaks."""
    left_out = pd.DataFrame({"not used": list(table.roles.reasons.values())})
    counts = pd.DataFrame(
        [(*key, rows) for key, rows in sorted(table.counts.items())], columns=["part", "outcome", "rows"]
    )
    suspects = pd.DataFrame([(one.feature, one.sentence) for one in fitted.suspects], columns=["feature", "why"])
    lead = (
        f"{len(table.roles.features)} columns could be features; the others, {len(left_out)}, are named below. "
        f"{len(suspects) or 'No'} feature{'s look' if len(suspects) != 1 else ' looks'} like a leak."
    )
    sheets = [sheet(counts, "Rows")]
    if len(suspects):
        sheets.append(sheet(suspects, "Suspected leaks: kept, --exclude drops them"))
    missing = [(name, _missing(binned), binned.iv) for name, binned in fitted.binning.features.items()]
    filled = pd.DataFrame(missing, columns=["feature", "share_missing", "iv"]).sort_values(
        "share_missing", ascending=False
    )
    sheets += [
        sheet(left_out, "Columns that are no features", folded=True),
        sheet(filled, "Missing values by feature", folded=True),
    ]
    return Section("Data", lead, table.source.notes, sheets=sheets)


def _missing(binned: object) -> float:
    at, good, bad = binned.bins.missing, binned.good, binned.bad  # type: ignore[attr-defined]
    return float((good[at] + bad[at]) / (sum(good) + sum(bad)))


def points(table: CardTable, fitted: FittedCard) -> Section:
    """The card itself."""
    scale = fitted.card.scale
    lead = (
        f"Start from the base, add the points of each feature's bin. {scale.base_score:.0f} points stand for "
        f"{scale.base_odds:.0f} goods to one bad, {scale.pdo:.0f} points more double the odds. Lost points are against "
        "the feature's best bin: the largest losses are a refusal's reasons."
    )
    names = [table.source.names.get(name, name) for name in fitted.card.features]
    table_of_points = fitted.card.points_table()
    shown = table_of_points.assign(bin=table_of_points["bin"].map(short_label))
    whole = table_of_points.loc[shown["bin"] != table_of_points["bin"], ["feature", "bin", "points"]]
    sheets = [sheet(shown)] + ([sheet(whole, "Bins of many levels, whole", folded=True)] if len(whole) else [])
    return Section("Points", lead, [f"Features: {', '.join(names)}."], sheets=sheets)


def binning(fitted: FittedCard) -> Section:
    """A picture a kept feature, the strongest first."""
    kept = sorted(fitted.card.kept.values(), key=lambda binned: -binned.iv)
    lead = "Bars are rows, the line is the bad rate, WOE stands over each bin; missing and special values stand apart."
    notes = (
        [f"The {MOST_PLOTS} strongest of {len(kept)} are drawn; binning.csv has all."] if len(kept) > MOST_PLOTS else []
    )
    return Section("Binning", lead, notes, [binned_figure(binned) for binned in kept[:MOST_PLOTS]])


def selection(fitted: FittedCard) -> Section:
    """Which features stay, which go, and why."""
    table = fitted.card.selection_table()
    dropped = table[~table["kept"]]
    by_stage = ", ".join(f"{count} by {stage}" for stage, count in dropped.groupby("stage").size().items())
    kept = table[table["kept"]].drop(columns=["kept", "stage"]).sort_values("iv", ascending=False)
    lead = f"{len(kept)} features stay" + (f", {len(dropped)} go: {by_stage}." if len(dropped) else ", none goes.")
    gone = dropped[["feature", "stage", "reason", "iv"]].sort_values("iv", ascending=False)
    turned = [name for name, value in zip(kept["feature"], kept["coefficient"], strict=True) if value > 0]
    signs = f"against their WOE: {', '.join(turned)} (see the reason)" if turned else "all of the expected sign"
    sheets = [sheet(kept, f"Kept: coefficients of WOE, {signs}")]
    if fitted.drops:
        sheets.append(sheet(_worth(fitted), "What each rule's drops are worth: AUC out of fold without and with them"))
    if len(gone):
        sheets.append(sheet(gone, "Dropped, with the reason", folded=True))
    moving = [
        f"{name} moves over time and stays: {drift.sentence}."
        for name, drift in shifted_features(fitted.card, fitted.spec).items()
    ]
    return Section("Selection", lead, moving, sheets=sheets)


def _worth(fitted: FittedCard) -> pd.DataFrame:
    """One row per rule, the last for all together."""
    rows = [
        (drop.rule, len(drop.features), drop.information, drop.auc_without, drop.auc_with, drop.cost, drop.error)
        for drop in fitted.drops
    ]
    columns = ["rule", "features", "information", "auc_without", "auc_with", "difference", "standard_error"]
    return pd.DataFrame(rows, columns=columns)


def discrimination(tested: TestedCard) -> Section:
    """ROC, KS and gains on the test, beside the rows that taught."""
    card, boosted = tested.tables[CARD, TEST], tested.tables[BOOSTED, TEST]
    curves = {"scorecard, test": card, "challenger, test": boosted, "scorecard, train": tested.tables[CARD, TRAIN]}
    roc = {
        name: _thin(roc_points(table), "false_positive_rate", "true_positive_rate") for name, table in curves.items()
    }
    refused = np.cumsum((card.good + card.bad)[::-1]) / card.rows
    goods, bads = (np.cumsum(part[::-1]) / part.sum() for part in (card.good, card.bad))
    widest = int(np.abs(bads - goods).argmax())
    frame = pd.DataFrame({"refused": refused, "goods": goods, "bads": bads})
    ks_curves = {"bads": _thin(frame, "refused", "bads"), "goods": _thin(frame, "refused", "goods")}
    intervals = pd.DataFrame(
        [(model, name, *interval) for model, of in tested.intervals.items() for name, interval in of.items()],
        columns=["model", "measure", "test", "low", "high", "method"],
    )
    intervals.insert(2, "train", [_train(tested, m, n) for m, n in zip(intervals["model"], intervals["measure"])])
    gap, at = bads[widest] - goods[widest], refused[widest]
    lead = f"KS is the widest gap between bads and goods refused: {gap:.3f}, where {at:.0%} are refused."
    pictures = [
        Figure(
            charts.lines(roc, xlabel="share of goods refused", ylabel="share of bads refused", diagonal=True), "ROC."
        ),
        Figure(
            charts.lines(
                ks_curves,
                xlabel="share of all refused, riskiest first",
                ylabel="share refused",
                upright=float(refused[widest]),
            ),
            "KS: the dotted line stands at the widest gap.",
        ),
    ]
    return Section(
        "Discrimination",
        lead,
        figures=pictures,
        sheets=[sheet(intervals), sheet(gains_table(card), "Gains on the test, riskiest tenth first", folded=True)],
    )


def _train(tested: TestedCard, model: str, measure: str) -> float:
    return tested.figures[model, TRAIN][measure]


def _thin(table: pd.DataFrame, x: str, y: str) -> tuple[list[float], list[float]]:
    """A curve of at most ``MOST_POINTS`` points: more can't be seen and make a page heavy."""
    places = np.unique(np.linspace(0, len(table) - 1, min(len(table), MOST_POINTS)).round().astype(int))
    return table[x].iloc[places].tolist(), table[y].iloc[places].tolist()


def calibration(tested: TestedCard) -> Section:
    """Whether a probability of 5 % means 5 in a hundred."""
    binned = calibration_table(tested.tables[CARD, TEST])
    other = calibration_table(tested.tables[BOOSTED, TEST])
    intercept, slope = calibration_line(tested.tables[CARD, TEST])
    curves = {
        "scorecard": (binned["mean_probability"].tolist(), binned["bad_rate"].tolist()),
        "challenger": (other["mean_probability"].tolist(), other["bad_rate"].tolist()),
        "right": ([0.0, float(binned["mean_probability"].max())],) * 2,
    }
    lead = (
        f"On the test the slope of outcomes on the card's log-odds is {slope:.2f} (1 is right, below 1 means too "
        f"extreme) with an intercept of {intercept:+.2f} (0 is right)."
    )
    picture = Figure(
        charts.lines(curves, xlabel="predicted probability", ylabel="share that went bad"),
        "Tenths of the test by predicted risk.",
    )
    return Section(
        "Calibration",
        lead,
        figures=[picture],
        sheets=[sheet(binned, "low and high: Wilson's 95 % interval of the bad rate")],
    )


def scores(fitted: FittedCard, tested: TestedCard) -> Section:
    """How scores are spread, and whether the test's are spread as the train's."""
    train, test = tested.tables[CARD, TRAIN], tested.tables[CARD, TEST]
    factor, offset = fitted.card.scale.factor, fitted.card.scale.offset
    ends = np.unique(
        np.quantile(
            _scores(train, factor, offset),
            np.linspace(0, 1, BANDS + 1)[1:-1],
            weights=train.good + train.bad,
            method="inverted_cdf",
        )
    )
    bands = [
        f"under {ends[0]:.0f}",
        *(f"{a:.0f} to {b:.0f}" for a, b in zip(ends[:-1], ends[1:])),
        f"from {ends[-1]:.0f}",
    ]
    before, after = (_banded(table, ends, factor, offset) for table in (train, test))
    counts = [part.sum(axis=1) for part in (before, after)]
    shift, noise = psi(*counts), psi_noise(*counts)
    lead = (
        f"PSI of the score between train and test is {shift:.3f} ({_size(shift, noise)}: chance alone stays under "
        f"{noise:.3f})."
    )
    with np.errstate(invalid="ignore"):
        rates = after[:, 1] / after.sum(axis=1)
    picture = charts.distribution(
        bands,
        {"goods": (after[:, 0] / after[:, 0].sum()).tolist(), "bads": (after[:, 1] / after[:, 1].sum()).tolist()},
        label="score",
        line=rates.tolist(),
    )
    table = pd.DataFrame(
        {"score": bands, "train": counts[0], "test": counts[1], "bads_in_test": after[:, 1], "bad_rate_in_test": rates}
    )
    return Section(
        "Scores",
        lead,
        figures=[Figure(picture, "The test by score, bands are tenths of the train; the line is the bad rate.")],
        sheets=[sheet(table)],
    )


def _size(shift: float, noise: float) -> str:
    """A PSI in words."""
    if shift <= noise:
        return "no more than chance"
    return "small" if shift < 0.1 else "moving" if shift < 0.25 else "shifted"


def _scores(table: ScoreTable, factor: float, offset: float) -> np.ndarray:
    risk = np.clip(table.risk, 1e-12, 1 - 1e-12)
    return np.asarray(offset + factor * np.log((1 - risk) / risk)).round()


def _banded(table: ScoreTable, ends: np.ndarray, factor: float, offset: float) -> np.ndarray:
    """Weight of goods and bads by band."""
    place = np.searchsorted(ends, _scores(table, factor, offset), side="right")
    return np.stack([np.bincount(place, part, len(ends) + 1) for part in (table.good, table.bad)], axis=1)


def vintages(fitted: FittedCard, tested: TestedCard) -> Section:
    """Realised and predicted bad rates over time, and which features move."""
    assert tested.by_period is not None
    table = tested.by_period.rename(columns={PERIOD: "period", "__split": "part"})
    curves = {
        "went bad": (list(range(len(table))), table["bad_rate"].tolist()),
        "predicted": (list(range(len(table))), table["mean_probability"].tolist()),
    }
    drifts = {name: find_drift(binned, 0.0) for name, binned in fitted.card.kept.items()}
    moved = [(name, *drift.shift, drift.later_auc.value) for name, drift in drifts.items() if drift is not None]
    columns = ["feature", "period", "against", "psi", "psi_by_chance", "later_auc"]
    shifts = pd.DataFrame(moved, columns=columns).sort_values("psi", ascending=False)
    thin = "" if moved else "; the train's periods are too thin to judge the drift of features"
    lead = f"{len(table)} periods, {table['period'].iloc[0]} to {table['period'].iloc[-1]}; the test comes last{thin}."
    picture = Figure(
        charts.lines(curves, xlabel="period, in order", ylabel="bad rate"), "Bad rate and mean probability by period."
    )
    return Section(
        "Vintages",
        lead,
        figures=[picture],
        sheets=[
            sheet(table, "By period"),
            sheet(shifts, SHIFTS),
        ],
    )


def cut_offs(table: CardTable, fitted: FittedCard, tested: TestedCard) -> Section:
    """Approval, bad rate and profit at every cut-off."""
    options = table.options
    given = options.profit is not None and options.loss is not None
    economics = Economics(options.profit or 0.0, options.loss or 0.0) if given else PLAIN
    strategy = strategy_table(tested.tables[CARD, TEST], economics=economics)
    strategy = strategy.assign(score=[_score_at(fitted, risk) for risk in strategy["threshold"]])
    best = best_cut_off(strategy)
    words = (
        "the given profit and loss"
        if given
        else "a bad account costing what five good ones earn (--profit and --loss tell better)"
    )
    lead = (
        f"With {words}, profit on the test is highest when {best['approval_rate']:.0%} are approved, from a score of "
        f"{best['score']:.0f}; {best['bad_rate']:.1%} of them went bad. It was the best of many on these rows."
    )
    rates = strategy["approval_rate"].to_numpy()
    places = sorted({int(np.abs(rates - share).argmin()) for share in np.linspace(0.1, 1, 10)} | {int(best.name)})
    shown = strategy.iloc[places][
        [
            "score",
            "approval_rate",
            "bad_rate",
            "bad_refused_rate",
            "good_refused_rate",
            "profit_per_application",
            "low",
            "high",
        ]
    ]
    profit = {
        "profit": _thin(strategy, "approval_rate", "profit_per_application"),
        "95 % interval": _thin(strategy, "approval_rate", "low"),
        "": _thin(strategy, "approval_rate", "high"),
    }
    known = strategy[strategy["approved"] > 0]
    rate = {"bad rate of the approved": _thin(known, "approval_rate", "bad_rate")}
    pictures = [
        Figure(
            charts.lines(
                profit, xlabel="share approved", ylabel="profit per application", upright=float(best["approval_rate"])
            ),
            "Profit by share approved; dotted: the highest.",
        ),
        Figure(
            charts.lines(rate, xlabel="share approved", ylabel="bad rate"),
            "What each share of approvals costs in bads.",
        ),
    ]
    return Section(
        "Cut-offs", lead, figures=pictures, sheets=[sheet(shown, "Cut-offs at about each tenth, and the best")]
    )


def _score_at(fitted: FittedCard, risk: float) -> float | None:
    return round(fitted.card.scale.score_at(risk)) if 0 < risk < 1 else None


def challenger(fitted: FittedCard, tested: TestedCard) -> Section:
    """What the trees find important, and whom they would swap."""
    importance = fitted.boosted.importance()
    top = importance[importance["gain_share"] > 0].head(15)
    swaps = tested.swaps
    trials = pd.DataFrame([vars(trial) for trial in fitted.boosted.trials])
    lead = (
        f"Were the challenger to approve the same {tested.approved:.0%} in the card's place, the bad rate of those it "
        f"lets in, less that of those it turns away, would be {_difference(tested)}: below 0 the challenger is better."
    )
    table = swaps.table.reset_index()
    picture = Figure(
        charts.bars(top["feature"].tolist(), top["gain_share"].tolist(), label="share of gain", text="{:.2f}"),
        "Features by gain.",
    )
    return Section(
        "Challenger",
        lead,
        [
            f"{describe_trees(fitted.boosted)}; no trend is imposed and no feature was dropped for it.",
            f"Beside it {describe_trees(fitted.monotone)}, as monotone as the bins.",
            sentence_on_prices(tested),
            *_on_approval(tested),
        ],
        [picture],
        [sheet(table, "Swap set on the test"), sheet(trials, "Shapes of trees that were tried, on rows held out")],
    )


def sentence_on_prices(tested: TestedCard) -> str:
    """What monotonicity and the card's form cost on the test, as two numbers."""
    free, bound, card = (tested.figures[model, TEST]["auc"] for model in (BOOSTED, MONOTONE, CARD))
    prices = tested.prices
    return (
        f"The free challenger's AUC is {free:.3f}, the monotone one's {bound:.3f}, the card's {card:.3f}: monotonicity "
        f"costs {prices['monotonicity']:+.3f} and the card's form {prices['form']:+.3f} AUC on the test."
    )


def _on_approval(tested: TestedCard) -> list[str]:
    """Why more are approved than usual, when they are."""
    if tested.approved <= APPROVED:
        return []
    return [
        f"More than {APPROVED:.0%} of the test share the safest score of one model, so models are compared where "
        f"{tested.approved:.0%} are approved."
    ]


def _difference(tested: TestedCard) -> str:
    value, low, high, _ = tested.swaps.difference
    return "not known, nobody is swapped" if np.isnan(value) else f"{value:+.1%} ({low:+.1%} to {high:+.1%})"


def fairness(tested: TestedCard) -> Section:
    """Decisions by protected attribute, none of which the card reads."""
    report = tested.fairness
    assert report is not None
    adverse = report[report["verdict"] == "adverse"]
    groups = f"{len(adverse) or 'no'} group{'s have' if len(adverse) != 1 else ' has'}"
    lead = (
        f"With the safest {APPROVED:.0%} of the test approved, {groups} an approval rate whose whole interval is under "
        "four fifths of the best group's."
    )
    columns = [
        "attribute",
        "group",
        "count",
        "approval_rate",
        "bad_rate",
        "good_refused_rate",
        "adverse_impact_ratio",
        "adverse_impact_ratio_low",
        "adverse_impact_ratio_high",
        "verdict",
    ]
    return Section(
        "Fairness",
        lead,
        ["Protected attributes are compared here and are no inputs of either model."],
        sheets=[sheet(report[columns])],
    )
