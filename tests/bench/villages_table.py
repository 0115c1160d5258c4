"""The figures of ``villages`` as a page of tables."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.kept import Measurement, table

LABELS = {
    "coverage": "**coverage_seeds, coverage**",
    "degree_discount": "**coverage_seeds, degree discount**",
    "leaders": "the real leaders",
    "degree": "most ties",
    "eigenvector": "eigenvector centrality",
    "random": "at random",
}


def villages_table(found: Measurement) -> str:
    """Fit, what each choice of seeds would bring, and what the villages say without a model."""
    lead = (
        f"{found['households']:,} households in {found['villages']} villages and their real ties; {found['leaders']:,} "
        "leaders heard of a loan first (Banerjee, Chandrasekhar, Duflo and Jackson 2013). The model: who hears takes "
        "it with a chance that rooms, beds and electricity tell, learnt from leaders; in each round whoever has heard "
        "tells each neighbour with a probability that depends on whether they took it. Both probabilities are fitted "
        "on half of the villages by simulated moments and used on the other half, both ways. Intervals: 95 %, villages "
        "drawn again.\n"
    )
    rows = [[name, f"{r:.2f}", f"{low:.2f} to {high:.2f}"] for name, r, low, high in found["plain"]]
    plain = (
        "## Without a model\n\nCorrelation, over villages, of the share of other households that took the loan with"
        ":\n\n" + table(["", "correlation", "95 % interval"], rows)
    )
    parts = [
        "# Seeds and the spread of an offer in 38 villages\n",
        lead,
        *(_trial(one) for one in found["trials"]),
        plain,
    ]
    return "\n".join(parts)


def _trial(one: Measurement) -> str:
    fits = "; ".join(
        f"{fit['taker']:.3g} ({_span(fit['taker_interval'])}) by takers and {fit['other']:.3g} "
        f"({_span(fit['other_interval'])}) by others"
        for fit in one["fits"]
    )
    rows = [
        [LABELS[name], _share(one["means"][name]), f"{one['heard'][name]:.3f}", _share(one["more"][name])]
        for name in LABELS
    ]
    lead = (
        f"Probability to tell a neighbour in a round, from either half: {fits}. With the real leaders as seeds the "
        f"model expects {one['means']['leaders'][0]:.3f}, really {_share(one['real'])} took the loan; it is off by "
        f"{_share(one['miss'])}."
    )
    titles = ["as many seeds as leaders, chosen by", "expected take-up", "who hears", "more than the real leaders"]
    return f"## {one['rounds']} rounds\n\n{lead}\n\n{table(titles, rows)}"


def _share(three: Sequence[float]) -> str:
    value, low, high = three
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _span(ends: Sequence[float]) -> str:
    return f"{ends[0]:.3g} to {ends[1]:.3g}"
