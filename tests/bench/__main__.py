"""``make bench``: all parts, or ``python -m tests.bench PART``; what is in ``results/`` is not measured again."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

from tests.bench import (
    breadth,
    contagion,
    features,
    growth,
    identities,
    lists,
    mules,
    network_speed,
    network_truth,
    nightly,
    power,
    referrals,
    simulation,
    speed,
    truth,
    uplift_truth,
    villages,
)

PARTS = {
    "book": growth.run,
    "scorecard_truth": truth.run,
    "uplift_truth": uplift_truth.run,
    "scorecard_speed": speed.run,
    "features_speed": features.run,
    "simulation": simulation.run,
    "feature_power": power.run,
    "customer_features": breadth.run,
    "network_speed": network_speed.run,
    "network_nightly": nightly.run,
    "network_truth": network_truth.run,
    "contagion": contagion.run,
    "identities": identities.run,
    "network_mules": mules.run,
    "referrals": referrals.run,
    "villages": villages.run,
    "lists": lists.run,
}
SMALL = {
    "scorecard_speed": partial(speed.run, speed.SMALL),
    "features_speed": partial(features.run, features.SMALL),
    "simulation": partial(simulation.run, simulation.SMALL),
    "customer_features": partial(breadth.run, breadth.SMALL),
    "network_speed": partial(network_speed.run, network_speed.SMALL),
    "network_nightly": partial(nightly.run, nightly.SMALL),
}


def main() -> None:
    """Run the parts that are asked for."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    arguments.add_argument("part", nargs="?", choices=PARTS, help="one part (default: all)")
    arguments.add_argument(
        "--small", action="store_true", help="try the speed parts at a tenth or a hundredth of their size, kept apart"
    )
    arguments.add_argument("--times", type=int, metavar="N", help="how often a speed part runs each job (default 3)")
    options = arguments.parse_args()
    if options.times:
        timed = (("scorecard_speed", speed), ("features_speed", features), ("network_speed", network_speed))
        for part, module in timed:
            PARTS[part] = partial(module.run, replace(module.FULL, times=options.times))
    parts = SMALL if options.small else PARTS
    if options.part and options.part not in parts:
        arguments.error(f"--small: {options.part} has one size only; there are: {', '.join(SMALL)}")
    for name, run in parts.items():
        if options.part in (None, name):
            run()


if __name__ == "__main__":
    main()
