"""Part network_mules: what transfers tell of mules, on AMLSim, the simulated bank and the FinBench sample; and a hub.

Each data set runs in a process of its own: ``python -m tests.bench.mules PLACE ANSWER``. What the part keeps:
``results/network_mules/`` (all figures) and ``results/network_mules.md``.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from tests.bench import mules_amlsim, mules_bank, mules_finbench, mules_hub
from tests.bench.bank import folder_of, prepared
from tests.bench.kept import HERE, RESULTS, apart, engine_stamp, kept, stamp_of, write
from tests.bench.mules_table import mules_table

MEASURES = {
    "amlsim": mules_amlsim.measure,
    "bank": mules_bank.measure,
    "finbench": mules_finbench.measure,
    "hub": mules_hub.measure,
}


def run() -> None:
    """Measure what is missing, then print and keep the table. Data that isn't there is skipped."""
    found = {}
    for place, name in enumerate(MEASURES):
        if name == "bank":
            prepared(mules_bank.CUSTOMERS)
        if missing := [path for path in data_of(name) if not path.exists()]:
            print(f"bench: network_mules: {name}: {missing[0].name} isn't there; skipped", flush=True)
            continue
        answer = RESULTS / "network_mules" / f"{name}.json"
        found[name] = kept(answer, stamp(name), partial(apart, "mules", place))
    text = mules_table(found)
    (RESULTS / "network_mules.md").write_text(text)
    print(text)


def data_of(name: str) -> list[Path]:
    """The files that tell whether a data set is there and which it is."""
    bank = folder_of(mules_bank.CUSTOMERS) / "stamp"
    return {"amlsim": [mules_amlsim.FILE], "bank": [bank], "finbench": [mules_finbench.FILE], "hub": []}[name]


def stamp(name: str) -> str:
    """A hash of what the figures of a data set depend on."""
    code = HERE / f"mules_{name}.py"
    return stamp_of(engine_stamp("graph"), code, HERE / "mules_figures.py", *data_of(name))


if __name__ == "__main__":
    write(Path(sys.argv[2]), list(MEASURES.values())[int(sys.argv[1])]())
