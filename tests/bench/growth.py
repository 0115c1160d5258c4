"""One size of the growth measurement, in a process of its own: ``python -m tests.bench.growth COPIES``."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from strata.conf.settings import load_settings
from strata.jobs import run_all
from strata.jobs.runtime.ledger import code_version
from strata.jobs.runtime.run import execute, open_session, parser
from tests.bench.book import copy_book
from tests.bench.meter import metered

RESULTS = Path(__file__).parent / "results"
COPIES = (1, 4, 16)


def measure(copies: int) -> dict:
    """Run every step of the whole way on ``copies`` books; the registry's models are trained on them too."""
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder, "landing")
        postings = copy_book(landing, copies)
        settings = load_settings(
            "local",
            lake=f"{folder}/lake",
            landing=str(landing),
            reports=f"{folder}/reports",
            tracking_uri=f"sqlite:///{folder}/mlflow.db",
            token_key_file=f"{folder}/token.key",
        )
        options = parser(run_all.JOB).parse_args([])
        steps = {}
        spark = open_session(settings)
        for step in run_all.JOB.steps:
            with metered(spark) as reading:
                code = execute(step, settings, options, spark)
            if code:
                raise RuntimeError(f"{step.name} ended with exit code {code}")
            steps[step.name] = vars(reading)
    memory = settings.spark.memory
    return {"copies": copies, "postings": postings, "code": code_version(), "memory": memory, "steps": steps}


if __name__ == "__main__":
    number = int(sys.argv[1])
    RESULTS.mkdir(exist_ok=True)
    Path(RESULTS, f"growth_{number}.json").write_text(json.dumps(measure(number), indent=1))
