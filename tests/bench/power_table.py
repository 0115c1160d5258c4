"""The figures of ``feature_power`` as a page of tables."""

from __future__ import annotations

from tests.bench.kept import Measurement, table

WORDS = {
    "default": "90+ days past due within a year of an application, also of refused ones",
    "standard": "would a standard loan go bad, drawn from each person's true chance; everybody asked once",
    "response": "a wealth product taken up after a touch by any channel",
    "fraud": "membership in a ring, of everybody, each person asked about once",
}


def power_table(found: Measurement) -> str:
    """Power by subject and outcome, drivers, traps, twins, steadiness."""
    parts = [
        "# What customers' features tell\n",
        f"The simulated bank of {found['customers']:,} customers and 24 months; {found['features']} features, exact "
        "as of each question. For each subject: its features of IV .02 and more on the earlier questions, coded as WOE "
        "(our binning), in one ridge logistic regression; AUC (DeLong's 95 % interval) on the later questions alone.\n",
        *(_outcome(kind, one) for kind, one in found["outcomes"].items()),
        _drivers(found),
        _traps(found),
        _redundant(found["redundant"]),
        _unsteady(found["unsteady"]),
    ]
    return "\n".join(parts)


def _auc(one: Measurement) -> str:
    return f"{one['auc']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def _best(one: Measurement) -> str:
    return ", ".join(f"{name} {iv:.3f}" for name, iv in one["best"][:2])


def _outcome(kind: str, one: Measurement) -> str:
    rows = [
        [row["subject"], f"{row['telling']} of {row['features']}", _best(row), _auc(row), f"{row['ks']:.3f}"]
        for row in [{"subject": "**all together**", **one["together"]}, *one["subjects"]]
    ]
    lead = (
        f"{one['learnt']:,} questions learnt from ({one['learnt_bad']:,} with the outcome), {one['tested']:,} "
        f"({one['tested_bad']:,}) from {one['from']} on tested."
    )
    if one["ceiling"]:
        top = one["ceiling"]
        lead += (
            f" The true chance itself, which nothing can beat for long, has AUC {top['value']:.3f} "
            f"({top['low']:.3f} to {top['high']:.3f})."
        )
    titles = ["subject", "IV ≥ .02", "best by IV", "AUC out of time", "KS"]
    return f"## {kind.capitalize()}: {WORDS[kind]}\n\n{lead}\n\n{table(titles, rows)}"


def _drivers(found: Measurement) -> str:
    rows = [
        [trait.replace("_", " "), ", ".join(f"{name} {rho:+.2f}" for name, rho in nearest)]
        for trait, nearest in found["drivers"].items()
    ]
    lead = "What nobody but the truth tables sees, and the features that go with it most (Spearman's rank correlation)."
    return f"## Planted drivers\n\n{lead}\n\n{table(['latent', 'nearest features'], rows)}"


def _traps(found: Measurement) -> str:
    leaks = [
        [
            one["column"],
            one["how"],
            f"{one['rows']:,}",
            ", ".join(f"{n}: {k:,}" for n, k in one["changed"].items()) or "none",
        ]
        for one in found["leaks"]
    ]
    proxies = [
        [one["feature"], f"{one['v']:.3f}", f"{one['noise']:.3f}", "yes" if one["is_proxy"] else "no"]
        for one in found["proxies"]
    ]
    return (
        "## Planted traps\n\nLeaks: what the leakage check names when a column is joined without clocks and with.\n\n"
        + table(["column", "joined", "rows compared", "named, with rows that the future changes"], leaks)
        + "\nProxies of gender: the strongest of all features, Cramér's V against what chance alone reaches.\n\n"
        + table(["feature", "V", "noise", "named a proxy"], proxies)
    )


def _redundant(one: Measurement) -> str:
    rows = [[view, str(all_of), str(left)] for view, (all_of, left) in one["left"].items()]
    pairs = ", ".join(f"{name} = {other} ({rho:.2f})" for name, other, rho in one["across"][:12])
    return (
        f"## Redundancy\n\n{len(one['twins'])} features rank people as an earlier one does (|rho| of .95 and more), "
        f"{len(one['constant'])} have one value for everybody. Across subjects: {pairs or 'none'}.\n\n"
        + table(["subject", "features", "left"], rows)
    )


def _unsteady(one: Measurement) -> str:
    rows = [[view, *(f"{value:.2f}" for value in values)] for view, values in one["subjects"].items()]
    shifted = ", ".join(f"{name} {value:.2f}" for name, value in one["shifted"][:20])
    return (
        f"## Stability by month\n\nThe largest PSI of each subject's features against {one['months'][0]}; two months "
        f"of one population stay under {one['noise']:.2f} in 999 of 1,000 cases. {len(one['shifted'])} features are "
        f"ever above .25: {shifted or 'none'}.\n\n"
        + table(["subject", *(month[:7] for month in one["months"][1:])], rows)
    )
