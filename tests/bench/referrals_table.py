"""The figures of ``referrals`` as a page of tables."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.kept import Measurement, table
from tests.bench.referrals_figures import FIRST, LISTS, SCORES, SIDES


def referrals_table(found: Measurement) -> str:
    """Candidates, hits by list and split, the list of all pairs, and what the ranking has learnt."""
    true = sum(one["true"] for one in found["splits"])
    lead = (
        f"The simulated bank of {found['customers']:,} customers. Candidates are pairs of a customer and a phone that "
        "was nobody's, tied or with a contact in common at the start of a half-year. The ranking learnt from the "
        "referrals of earlier half-years that the bank had been told of (four in five), and is judged by the true ones "
        f"of the half-year, {true} in all; those that are no candidates count as missed. Intervals: 95 %, bootstrap.\n"
    )
    parts = ["# Who can introduce whom\n", lead, _candidates(found)]
    parts += [_hits(found, side, words) for side, words in SIDES.items()]
    parts += [_lists(found), _coefficients(found)]
    return "\n".join(parts)


def _candidates(found: Measurement) -> str:
    rows = [
        [
            f"{one['since']} to {one['until']}", f"{one['pairs']:,}", str(one["true"]), str(one["known"]),
            f"{one['found']} ({one['direct']})", _span(one["recall"], 2), f"{learnt[1]}",
        ]
        for one, learnt in zip(found["splits"], found["learnt"])
    ]  # fmt: skip
    titles = [
        "half-year",
        "pairs",
        "referrals",
        "by a customer of the start",
        "among pairs (tied)",
        "share",
        "learnt from",
    ]
    return f"## Candidates\n\n{table(titles, rows)}"


def _hits(found: Measurement, side: str, words: str) -> str:
    spans = found["hits"][side]
    rows = [
        [
            name,
            *(_span(three, 2) for three in spans[score]["rate"]),
            " / ".join(f"{one['hits'][score][side][1]:.2f}" for one in found["splits"]),
            "" if score == "link_probability" else _span(spans[score]["less"][1], 2),
        ]
        for score, name in SCORES.items()
    ]
    titles = [
        "ranked by",
        *(f"hit rate@{k}" for k in FIRST),
        f"@{FIRST[1]} by half-year",
        f"trained better @{FIRST[1]} by",
    ]
    return f"## Hit rate@k: the true one among the first k {words}\n\n{table(titles, rows)}"


def _lists(found: Measurement) -> str:
    rate = sum(one["rate"] * one["pairs"] for one in found["splits"]) / sum(one["pairs"] for one in found["splits"])
    rows = []
    for score, name in SCORES.items():
        cells = [found["lists"][str(size)][score] for size in LISTS]
        precisions = [f"{_span(one['precision'], 4)}, {one['precision'][0] / rate:.0f} times" for one in cells]
        rows.append([name, *precisions, "" if score == "link_probability" else _span(cells[-1]["less"], 4)])
    lead = f"The first pairs of all. In a half-year {rate:.6f} of all pairs became a referral; times is the lift."
    titles = ["ranked by", *(f"precision@{size}" for size in LISTS), f"trained better @{LISTS[-1]} by"]
    return f"## Precision@k of one list\n\n{lead}\n\n{table(titles, rows)}"


def _coefficients(found: Measurement) -> str:
    rows = [
        [name, f"{beta:.2f}", "at its bound" if error != error else f"{error:.2f}", f"{p:.3f}"]
        for name, beta, error, p in found["coefficients"]
    ]
    titles = ["feature", "log-odds a standard deviation", "standard error", "p"]
    return f"## What the last ranking has learnt\n\n{table(titles, rows)}"


def _span(three: Sequence[float], digits: int) -> str:
    value, low, high = three
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
