"""The figures of ``network_mules`` as a page of tables."""

from __future__ import annotations

from tests.bench.kept import Measurement, table


def mules_table(found: dict[str, Measurement]) -> str:
    """A section a data set that was measured."""
    sections = {"bank": _bank, "amlsim": _amlsim, "finbench": _finbench, "hub": _hub}
    lead = "# Mules in the network of transfers\n\nSeconds are of one run on two cores.\n"
    return "\n".join([lead, *(write(found[name]) for name, write in sections.items() if name in found)])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _amlsim(one: Measurement) -> str:
    lead = (
        f"## AMLSim: {one['accounts']:,} accounts, {one['transfers']:,} transfers, {one['bad']} accounts labelled\n\n"
        f"{one['planted']:,} transfers of {one['patterns']} patterns are planted; {one['bad_without_planted']} of the "
        "labelled accounts have none of them, so nothing that happened tells them from others. Money that fans in here "
        "doesn't go on, so it's no case for the score of mules; the features of counterparties are what is compared. "
        "Own: counts, amounts and days of the account's own statement. Trained models are scored out of fold (five "
        "folds, a pattern whole in one); differences are of average precision (AP), with 95 % bootstrap intervals over "
        "accounts. Left out as leaks: `isFraud`, `fraudStep`, `nodeid`, `init_balance`. The transfers themselves leak "
        "too: planted amounts are far below all others, a sender's other amounts never vary, and only planted "
        "transfers repeat between two accounts; what is left without these is the last table.\n"
    )
    return "\n".join([lead, *(_view(name, view) for name, view in one["views"].items())])


def _view(name: str, view: Measurement) -> str:
    titles = [
        "features",
        "model",
        "AP",
        "AP less own's",
        *(f"recall at {b}" for b in ("1 %", "2 %", "5 %")),
        "precision at 1 %",
    ]
    rows = [
        [features, kind, f"{one['average_precision']:.3f}", _difference(view, features, kind), *_budgets(one)]
        for features, kinds in view["figures"].items()
        for kind, one in kinds.items()
    ]
    mule = view["mule_score"]
    rows.append(
        [
            "network",
            f"score of mules ({mule['above_0']:,} above 0)",
            f"{mule['average_precision']:.3f}",
            "",
            *_budgets(mule),
        ]
    )
    best = "; ".join(
        f"{features}: " + ", ".join(f"{feature} {value:.3f}" for feature, value in strongest[:4])
        for features, strongest in view["strongest"].items()
    )
    return f"### {name.capitalize()}\n\n{table(titles, rows)}\nBest alone by AP: {best}.\n"


def _budgets(one: Measurement) -> list[str]:
    budgets = list(one["budgets"].values())
    return [*(_percent(budget["recall"]) for budget in budgets), _percent(budgets[0]["precision"])]


def _difference(view: Measurement, features: str, kind: str) -> str:
    if features not in view["differences"]:
        return ""
    one = view["differences"][features][kind]
    return f"{one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"


def _bank(one: Measurement) -> str:
    titles = [
        "as of", "transfers", "rings, members at work", "AP", "score from", "alerts", "members at work", "once members",
        "recall chains", "recall cycles", "rings whole", "best of others", "seconds",
    ]  # fmt: skip
    rows = [_moment(moment, least) for moment in one["moments"] for least in moment["thresholds"]]
    walks = [
        [
            name, f"{walk['found']:,}", f"{walk['of_one_ring']:,}",
            f"{walk['ring_months_found_whole']} of {walk['ring_months']}", f"{walk['rings_found']} of {walk['rings']}",
            ", ".join(f"{hops}: {n:,}" for hops, n in walk["by_hops"].items()), f"{walk['seconds']:.0f}",
        ]
        for name, walk in one["walks"].items()
    ]  # fmt: skip
    return (
        f"## The simulated bank: {one['customers']:,} customers, 24 months\n\nAlerts as of four days, 30 days back. "
        "At work: members whose ring moved its sum in these 30 days, as known; once members: alerts of members of any "
        "chain or cycle. Recall is of those at work. The simulated bank knows few honest reasons to pass money on "
        "within hours, so precision here is better than it will be elsewhere.\n\n"
        + table(titles, rows)
        + "\nWalks over all months. A ring's month is whole when the sum was moved by all its members.\n\n"
        + table(
            ["walks", "found", "inside one ring", "rings' months found whole", "rings", "by hops", "seconds"], walks
        )
    )


def _moment(moment: Measurement, least: str) -> list[str]:
    one = moment["thresholds"][least]
    work = sum(moment["at_work"].values())
    recalls = [one["recall"].get(kind) for kind in ("ring_mule_chain", "ring_transfer_cycle")]
    return [
        moment["moment"], f"{moment['transfers']:,}", f"{moment['rings_at_work']}, {work}",
        "" if moment["average_precision"] is None else f"{moment['average_precision']:.3f}",
        least, str(one["alerts"]),
        str(one["members"]), str(one["once_members"]), *("" if share is None else _percent(share) for share in recalls),
        f"{one['rings_whole']} of {moment['rings_at_work']}", f"{moment['best_of_others']:.2f}",
        f"{moment['seconds']:.0f}",
    ]  # fmt: skip


def _finbench(one: Measurement) -> str:
    rows = [
        [
            hours, f"{walk['steps']:,}", _counts(walk["chains"]), f"{walk['seconds_chains']:.0f}",
            _counts(walk["cycles"]), f"{walk['seconds_cycles']:.0f}",
        ]
        for hours, walk in one["within"].items()
    ]  # fmt: skip
    return (
        f"## FinBench sample: {one['accounts']:,} accounts, {one['transfers']:,} transfers, no labels\n\n"
        f"{one['alerts']:,} alerts of a year from a score of .3 on ({one['seconds_alerts']:.0f} s); {one['busy_days']} "
        "busy days. Chains and cycles by number of transfers; a cycle's hours are those of all of it.\n\n"
        + table(["hours", "steps", "chains", "seconds", "cycles", "seconds"], rows)
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{hops}: {n:,}" for hops, n in counts.items()) or "none"


def _hub(one: Measurement) -> str:
    rows = [
        [
            name, f"{case['seconds']:.1f}", f"{case['shuffle_bytes'] / 1e6:.0f}", f"{case['peak_bytes'] / 1e9:.2f}",
            str(case["alerts"]), str(case["busy_days"]),
        ]
        for name, case in one["cases"].items()
    ]  # fmt: skip
    return (
        f"## A hub\n\nA month's alerts of {one['transfers']:,} random transfers among {one['accounts']:,} accounts, "
        f"without and with one account at an end of {one['hub']:,} of them.\n\n"
        + table(["hub", "seconds", "shuffled MB", "peak GB", "alerts", "busy days"], rows)
    )
