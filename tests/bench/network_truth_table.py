"""The report of part network_truth: what was found of what was planted, in words and tables."""

from __future__ import annotations

from datetime import date

from strata.graph.rings import SIGNS_OF_ALERT
from tests.bench.kept import Measurement, table

AS_OF = date(2027, 1, 1)
# Circles had borrowed before the months began, so all their guarantees stand on their first days.
CIRCLES_ON = date(2025, 1, 20)
# Of what tells nothing by itself no model is made (Siddiqi 2006).
TELLS = 0.02


def _recall(counts: list[int]) -> str:
    """Members told of all, and rings touched of all."""
    return f"{counts[0]} of {counts[1]} ({counts[2]} of {counts[3]} rings)"


def truth_table(found: Measurement) -> str:
    """All of it in words and tables."""
    kinds = sorted(next(iter(found["alerts"].values()))["recall"])
    rows = [
        [
            kind,
            f"{one['told']:,}",
            f"{one['in_rings'] / max(one['told'], 1):.3f}",
            *map(_recall, map(one["recall"].get, kinds)),
        ]
        for kind, one in found["alerts"].items()
    ]
    told = table(["alert", "people told", "precision", *kinds], rows)
    tried = table(
        ["cap of phone", "of device", "hubs", "groups", "largest", "told", "precision", "recall"],
        [[f"{one['caps']['phone']:,}", f"{one['caps']['device']:,}", f"{one['hubs']:,}", f"{one['groups']:,}",
          f"{one['largest']:,}", f"{one['told']:,}", f"{one['rightly'] / max(one['told'], 1):.3f}",
          f"{one['rightly'] / max(one['planted'], 1):.3f}"] for one in found["caps"]],
    )  # fmt: skip
    moments = table(
        ["ring", "morning", "rings told", "members told"],
        [[one["kind"], f"{one['days']} days after the first application" if one["days"] else "of the first application",
          f"{one['rings_told']} of {one['rings']}", f"{one['members_told']} of {one['members']}"]
         for one in found["early"]],
    )  # fmt: skip
    circle = table(
        ["planted circle", "how many", "found exactly", "under the right kind"],
        [[kind, *map(str, counts)] for kind, counts in sorted(found["circles"]["kinds"].items())],
    )
    default = found["default"]
    models = table(
        ["model", "AUC", "95 % interval", "KS"],
        [[name, f"{one['value']:.3f}", f"{one['low']:.3f} to {one['high']:.3f}", f"{one['ks']:.3f}"]
         for name, one in default["figures"].items()],
    )  # fmt: skip
    auc, gap = default["difference"]["auc"], default["difference"]["ks"]
    best = ", ".join(f"{name} ({value:.2f})" for name, value in default["best"])
    return f"""# What the network finds of what was planted

{found["people"]:,} people, {found["ties"]:,} dated ties, {found["person_ties"]:,} between people; the nightly job took
{found["seconds"]:.0f} s on 2 cores. One run.

## Rings

As of {AS_OF}; an alert takes {SIGNS_OF_ALERT} signs. Of each kind of ring: members told, and rings in which anybody is.

{told}
With what was known on the mornings around a ring's first application (defaults and listings left out):

{moments}
Rings over phones and devices against the caps on hubs (shared_device and synthetic_identity are to be found):

{tried}
## Circles of guarantees

As of {CIRCLES_ON}, {found["circles"]["found"]} found in all.

{circle}
## Default models with and without contagion

{default["learnt"]:,} applications learnt from ({default["learnt_bad"]} bad), {default["tested"]:,} later ones tested
({default["tested_bad"]} bad); ridge logistic regression on the WOE of all features with an IV of {TELLS}.

{models}
Contagion adds {auc[0]:+.3f} AUC ({auc[1]:+.3f} to {auc[2]:+.3f}) and {gap[0]:+.3f} KS ({gap[1]:+.3f} to {gap[2]:+.3f}),
paired over resampled rows. Its best features by IV: {best}.
"""
