"""Part network_nightly: what the whole nightly job on the network of people costs, at three sizes.

Larger banks are the bank of 10,000 customers copied under new keys. Each size runs in a process of its own:
``python -m tests.bench.nightly CUSTOMERS COPIES ANSWER``.
"""

from __future__ import annotations

import shutil
import sys
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from strata.conf.tables import SILVER
from strata.jobs import build_network
from strata.jobs.runtime.session import open_session
from strata.jobs.table_catalog import lake_at
from tests.bench.bank import prepared, settings_of
from tests.bench.breadth import SHARED, Sizes, copies_of
from tests.bench.kept import HERE, RESULTS, SCRATCH, Measurement, apart, kept, stamp_of, table, write
from tests.bench.meter import metered, run_job
from tests.bench.simulation import MONTHS

# The months are over: all ties are known.
AS_OF = date(2027, 1, 1)
# Every copy has employers of its own: the giant one would grow with the copies, and all would hang on it.
STAYS = SHARED - {"employer_id"}
COUNTED = {
    "vertex": "vertices", "relationship": "ties", "person_tie": "between people", "fraud_alert": "alerts",
    "referral_candidate": "referral pairs", "referral_path": "ties on paths",
}  # fmt: skip


FULL = Sizes(10_000, (1, 2, 3), RESULTS)
SMALL = Sizes(500, (1, 2), SCRATCH / "results_small")


def run(sizes: Sizes = FULL) -> None:
    """Measure what is missing, then print and keep the table."""
    root = HERE.parents[1]
    stamp = stamp_of(root / "graph", root / "jobs" / "network")
    measured = [
        kept(
            sizes.folder / "network_nightly" / f"{copies}.json",
            stamp,
            partial(apart, "nightly", sizes.customers, copies),
        )
        for copies in sizes.copies
    ]
    text = nightly_table(measured)
    (sizes.folder / "network_nightly.md").write_text(text)
    print(text)


def measure(customers: int, copies: int) -> Measurement:
    """The first night on a bank's copies: nothing of an earlier one is there."""
    prepared(customers)
    settings = settings_of(customers)
    spark = open_session(settings)
    folder = SCRATCH / "network_nightly" / f"{customers}_{copies}"
    shutil.rmtree(folder, ignore_errors=True)
    small, large = lake_at(spark, settings.lake), lake_at(spark, str(folder / "lake"))
    for name in SILVER:
        if small.exists(name):
            copies_of(small.read(name), copies, STAYS).write.format("delta").save(large.path(name))
    night = settings.model_copy(update={"lake": str(folder / "lake"), "as_of": AS_OF})
    with metered(spark) as reading:
        run_job(build_network.JOB, night, spark, "--force")
    counts = {name: large.read(name).count() for name in COUNTED}
    shutil.rmtree(folder)
    return {"customers": customers * copies, "memory": settings.spark.memory, "rows": counts, **vars(reading)}


def nightly_table(measured: list[Measurement]) -> str:
    """A row a size, and the exponents."""
    titles = ["customers", *COUNTED.values(), "seconds", "shuffled GB", "peak GB"]
    rows = [
        [f"{one['customers']:,}", *(f"{one['rows'][name]:,}" for name in COUNTED), f"{one['seconds']:.0f}"]
        + [f"{one[name] / 1e9:.2f}" for name in ("shuffle_bytes", "peak_bytes")]
        for one in measured
    ]
    logs = np.log([[one["customers"], one["seconds"], one["shuffle_bytes"]] for one in measured])
    whole = [np.polyfit(logs[:, 0], logs[:, column], 1)[0] for column in (1, 2)]
    last = (logs[-1, 1:] - logs[-2, 1:]) / (logs[-1, 0] - logs[-2, 0])
    return f"""# What the nightly network job costs

The whole job, from silver to referral paths, on a bank of {MONTHS} months; larger banks are copies of the first under
new keys. 2 cores, local mode, {measured[0]["memory"]} driver, a session that has run nothing else; one run each.

{table(titles, rows)}
Exponents with customers: seconds {whole[0]:.2f} (between the last two sizes {last[0]:.2f}), shuffled bytes
{whole[1]:.2f} ({last[1]:.2f}).
"""


if __name__ == "__main__":
    write(Path(sys.argv[3]), measure(int(sys.argv[1]), int(sys.argv[2])))
