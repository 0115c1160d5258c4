"""``make bench``: all parts, or ``python -m tests.bench PART``; what is in ``results/`` is not measured again."""

from __future__ import annotations

import argparse

from tests.bench import growth, speed, truth

PARTS = {"book": growth.run, "scorecard_truth": truth.run, "scorecard_speed": speed.run}


def main() -> None:
    """Run the parts that are asked for."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    arguments.add_argument("part", nargs="?", choices=PARTS, help="one part (default: all)")
    arguments.add_argument(
        "--small", action="store_true", help="try scorecard_speed at a tenth of its size, kept apart"
    )
    options = arguments.parse_args()
    for name, run in PARTS.items():
        if options.small and name == "scorecard_speed":
            speed.run(speed.SMALL)
        elif options.part in (None, name) and not options.small:
            run()


if __name__ == "__main__":
    main()
