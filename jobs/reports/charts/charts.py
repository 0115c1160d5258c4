"""Charts as inline SVG: small, with words on them, one colour for the point and grey for the rest."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

INK, SOFT, MARK, WARM, LINE = "#1d2733", "#8796a5", "#0b5c8a", "#c8553d", "#d9e0e7"
matplotlib.rcParams.update(
    {
        "svg.fonttype": "path",
        "svg.hashsalt": "strata",
        "font.size": 9.5,
        "axes.edgecolor": SOFT,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": LINE,
        "grid.linewidth": 0.7,
        "axes.axisbelow": True,
    }
)


def bars(names: Sequence[str], values: Sequence[float], *, label: str, tone: str = MARK, text: str = "{:,.0f}") -> str:
    """Horizontal bars, the first on top, each with its value."""
    canvas, axes = _axes(6.0, 0.9 + 0.3 * len(names))
    axes.barh(range(len(names)), values, color=tone, height=0.68)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    for place, value in enumerate(values):
        axes.annotate(text.format(value), (value, place), (4, 0), textcoords="offset points", va="center")
    axes.margins(x=0.16)
    axes.set_xlabel(label)
    return _svg(canvas)


def intervals(
    names: Sequence[str],
    estimates: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    *,
    label: str,
    reference: float | None = None,
) -> str:
    """Estimates with their intervals, and a dashed line at a reference value."""
    canvas, axes = _axes(6.0, 0.9 + 0.36 * len(names))
    for place, (estimate, low, high) in enumerate(zip(estimates, lows, highs)):
        axes.plot([low, high], [place, place], color=MARK, linewidth=2.2, solid_capstyle="round")
        axes.plot(estimate, place, "o", color=MARK, markersize=6)
        axes.annotate(f"{estimate:.3f}", (estimate, place), (0, 7), textcoords="offset points", ha="center")
    if reference is not None:
        axes.axvline(reference, color=WARM, linestyle="--", linewidth=1.2)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.7)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(label)
    return _svg(canvas)


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    xlabel: str,
    ylabel: str,
    diagonal: bool = False,
    upright: float | None = None,
) -> str:
    """A few named curves; with ``diagonal`` the line of no skill as well; ``upright`` marks a value on the x-axis."""
    canvas, axes = _axes(4.6, 3.6)
    if diagonal:
        axes.plot([0, 1], [0, 1], color=SOFT, linestyle="--", linewidth=1)
    for tone, (name, (xs, ys)) in zip((MARK, WARM, SOFT, INK), curves.items()):
        axes.plot(xs, ys, color=tone, linewidth=1.8, label=name)
    if upright is not None:
        axes.axvline(upright, color=INK, linestyle=":", linewidth=1.2)
    axes.legend(frameon=False, loc="best")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return _svg(canvas)


def woe(
    bins: Sequence[str], woes: Sequence[float], counts: Sequence[int], bad_rates: Sequence[float], title: str
) -> str:
    """One binned feature: rows as bars, bad rate as a line, WOE written over each bin."""
    canvas, axes = _axes(4.8, 3.2)
    places = range(len(bins))
    axes.bar(places, counts, color=LINE, edgecolor=SOFT, linewidth=0.6)
    axes.set_xticks(places, bins, rotation=25, ha="right", fontsize=8)
    axes.set_ylabel("rows")
    axes.grid(visible=False)
    for place, (value, count) in enumerate(zip(woes, counts)):
        axes.annotate(f"{value:+.2f}", (place, count), (0, 3), textcoords="offset points", ha="center", fontsize=8)
    axes.margins(y=0.15)
    rate = axes.twinx()
    rate.plot(places, bad_rates, "o-", color=WARM, linewidth=1.6, markersize=4)
    rate.set_ylim(bottom=0)
    rate.set_ylabel("bad rate", color=WARM)
    rate.grid(visible=False)
    axes.set_title(title, fontsize=9.5, loc="left")
    return _svg(canvas)


def heat(
    rows: Sequence[str], columns: Sequence[str], counts: Sequence[Sequence[int]], *, xlabel: str, ylabel: str
) -> str:
    """A matrix of counts, darker where more."""
    canvas, axes = _axes(5.0, 1.1 + 0.5 * len(rows))
    axes.imshow(counts, cmap="Blues", aspect="auto", vmin=0)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(visible=False)
    top = max((value for row in counts for value in row), default=0)
    for y, row in enumerate(counts):
        for x, value in enumerate(row):
            axes.text(x, y, f"{value:,}", ha="center", va="center", color="white" if value > 0.55 * top else INK)
    return _svg(canvas)


def distribution(
    bands: Sequence[str], shares: Mapping[str, Sequence[float]], *, label: str, line: Sequence[float] | None = None
) -> str:
    """Shares of two or three groups side by side in each band; ``line`` is the bad rate above them."""
    canvas, axes = _axes(6.0, 3.4)
    width = 0.8 / len(shares)
    for place, (tone, (name, values)) in enumerate(zip((LINE, WARM, MARK), shares.items())):
        axes.bar(
            [x + place * width for x in range(len(bands))],
            values,
            width,
            color=tone,
            edgecolor=SOFT,
            linewidth=0.6,
            label=name,
        )
    axes.set_xticks([x + 0.4 - width / 2 for x in range(len(bands))], bands, rotation=30, ha="right", fontsize=8)
    axes.set_xlabel(label)
    axes.set_ylabel("share of its rows")
    axes.grid(axis="x", visible=False)
    if line is not None:
        rate = axes.twinx()
        rate.plot(
            [x + 0.4 - width / 2 for x in range(len(bands))], line, "o-", color=INK, linewidth=1.4, markersize=3.5
        )
        rate.set_ylim(bottom=0)
        rate.set_ylabel("bad rate")
        rate.grid(visible=False)
    axes.legend(frameon=False, loc="upper right")
    return _svg(canvas)


def _axes(width: float, height: float) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(width, height), layout="constrained")
    return canvas, canvas.subplots()


def _svg(canvas: Canvas) -> str:
    text = io.StringIO()
    # No date inside, so that the same data give the same page.
    canvas.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
