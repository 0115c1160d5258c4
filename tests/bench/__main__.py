"""``make bench``: what each step costs with the book copied 1×, 4× and 16× under new keys.

Each size runs in a process of its own; a size that is in ``results/`` for this code is not measured again.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from strata.jobs.runtime.ledger import code_version
from tests.bench.growth import COPIES, RESULTS


def main() -> int:
    """Measure what is missing, then print and keep the table."""
    for copies in COPIES:
        kept = RESULTS / f"growth_{copies}.json"
        if kept.exists() and json.loads(kept.read_text())["code"] == code_version():
            continue
        subprocess.run([sys.executable, "-m", "tests.bench.growth", str(copies)], check=True)
    table = growth_table([json.loads((RESULTS / f"growth_{copies}.json").read_text()) for copies in COPIES])
    (RESULTS / "growth.md").write_text(table)
    print(table)
    return 0


def growth_table(sizes: list[dict]) -> str:
    """A row a step: seconds, shuffled MB and peak GB at each size, the fixed cost and seconds a million rows more."""
    millions = [size["postings"] / 1e6 for size in sizes]
    titles = [f"{size['copies']}× ({size['postings']:,} postings)" for size in sizes]
    lines = [
        "# Growth of the whole way with the book copied under new keys",
        "",
        f"2 cores, local mode, {sizes[0]['memory']} driver; code {sizes[0]['code']}.",
        "Fixed cost and slope are a straight line through the three sizes; rows are postings.",
        "",
        f"| step | {' | '.join(f'{t}: s / shuffle MB / peak GB' for t in titles)} | fixed s | s per million rows |",
        f"|---|{'---|' * (len(sizes) + 2)}",
    ]
    for step in sizes[0]["steps"]:
        cells = [size["steps"][step] for size in sizes]
        slope, fixed = np.polyfit(millions, [cell["seconds"] for cell in cells], 1)
        shown = [f"{c['seconds']:.1f} / {c['shuffle_bytes'] / 1e6:.1f} / {c['peak_bytes'] / 1e9:.1f}" for c in cells]
        lines.append(f"| {step} | {' | '.join(shown)} | {fixed:.1f} | {slope:.1f} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
