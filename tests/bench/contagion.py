"""Part contagion: what the contagion features of the network add to a default model, out of time.

The bank of 10,000 customers and 24 months; the features are exact as of each application, whatever day the network job
ran for. ``results/contagion.json`` and ``.md``.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from sklearn.linear_model import LogisticRegression

from strata.features import FeatureStore
from strata.features.views import customer_views
from strata.graph.risk.contagion import contagion_features, listings, standings
from strata.jobs import build_network
from strata.jobs.runtime.session import open_session
from strata.jobs.runtime.slices import FeatureTables
from strata.jobs.runtime.tables import Lake
from strata.jobs.table_catalog import lake_at
from strata.models import fit_binning
from strata.models.evaluation.discrimination import auc_interval, ks
from strata.models.evaluation.score_table import ScoreTable
from tests.bench import power
from tests.bench.bank import prepared, settings_of
from tests.bench.kept import HERE, RESULTS, Measurement, apart, kept, stamp_of, table, write
from tests.bench.meter import run_job
from tests.bench.nightly import AS_OF

CUSTOMERS = 10_000
RESAMPLES = 2_000
# Of what tells nothing by itself no model is made (Siddiqi 2006).
TELLS = 0.02


def run() -> None:
    """Measure what is missing, then print and keep the table."""
    graph = HERE.parents[1] / "graph"
    code = [graph / "ties", graph / "risk" / "contagion.py"]
    found = kept(RESULTS / "contagion.json", stamp_of(*code, Path(__file__)), partial(apart, "contagion", CUSTOMERS))
    text = contagion_table(found)
    (RESULTS / "contagion.md").write_text(text)
    print(text)


def measure(customers: int) -> Measurement:
    """All figures."""
    prepared(customers)
    settings = settings_of(customers).model_copy(update={"as_of": AS_OF})
    spark = open_session(settings)
    run_job(build_network.JOB, settings, spark)
    return default(spark, lake_at(spark, settings.lake), Path(settings.lake).parent)


def default(spark: SparkSession, lake: Lake, home: Path) -> Measurement:
    """AUC and KS out of time of a logistic model on WOE with all customers' features, with and without contagion."""
    folder = home / "feature_power" / stamp_of(Path(power.__file__))
    folder.mkdir(parents=True, exist_ok=True)
    spine = folder / "questions.parquet"
    if not spine.exists():
        truths = {
            path.name: spark.read.format("delta").load(str(path))
            for path in (home / "truth").iterdir()
            if path.is_dir()
        }
        power.questions(lake, truths).write.parquet(str(spine))
    asked = spark.read.parquet(str(spine))
    views = customer_views()
    store = FeatureStore(spark, FeatureTables(lake), views=views)
    base = pd.concat([power.features_of(store, view, asked, folder) for view in views], axis=1)
    questions = asked.where("kind = 'default'")
    near = _contagion(lake, questions).toPandas().set_index("row").astype(float)
    rows = questions.toPandas().set_index("row").loc[near.index]
    allowed = [f.name for view in views for f in view.features if "credit_risk" in f.purposes]
    late = (rows["at"] >= rows["at"].quantile(0.65, interpolation="higher")).to_numpy()
    bad = rows["outcome"].to_numpy(int)
    data = base.loc[rows.index, allowed].join(near)
    sets = {"without": allowed, "with": [*allowed, *near.columns], "contagion alone": list(near.columns)}
    woes, iv = _woes(spark, data, bad, late)
    scores = {
        name: _fitted([n for n in names if iv.get(n, 0) >= TELLS], woes, bad, late) for name, names in sets.items()
    }
    figures = {}
    for name, score in scores.items():
        scored = ScoreTable.of(bad[late], score)
        figures[name] = {**auc_interval(scored)._asdict(), "ks": ks(scored)}
    best = sorted(((iv[name], name) for name in near.columns if name in iv), reverse=True)[:6]
    return {
        "learnt": int((~late).sum()), "learnt_bad": int(bad[~late].sum()), "tested": int(late.sum()),
        "tested_bad": int(bad[late].sum()), "figures": figures, "best": [[name, value] for value, name in best],
        "difference": _paired(bad[late], scores["with"], scores["without"]),
    }  # fmt: skip


def _contagion(lake: Lake, questions: DataFrame) -> DataFrame:
    standing = standings(lake.read("delinquency"), lake.read("loan"), lake.read("account_holder"))
    listed = listings(lake.read("blacklist"), lake.read("customer"))
    spine = questions.select("row", "customer_id", "at")
    found = contagion_features(spine, lake.read("person_tie"), standing, listed, at="at")
    return found.drop("customer_id", "at")


def _woes(
    spark: SparkSession, data: pd.DataFrame, bad: np.ndarray, late: np.ndarray
) -> tuple[pd.DataFrame, dict[str, float]]:
    frame = spark.createDataFrame(data.astype(float).assign(outcome=bad, late=late)).persist()
    binning = fit_binning(frame.where("NOT late"), target="outcome", features=list(data.columns))
    return power.coded(frame, binning), dict(binning.iv)


def _fitted(names: list[str], woes: pd.DataFrame, bad: np.ndarray, late: np.ndarray) -> np.ndarray:
    if not names:
        return np.zeros(late.sum())
    x = woes[names].to_numpy(float)
    return LogisticRegression(C=0.02, max_iter=500).fit(x[~late], bad[~late]).predict_proba(x[late])[:, 1]


def _paired(bad: np.ndarray, one: np.ndarray, other: np.ndarray) -> Measurement:
    """What the first adds to the second, with 95 % intervals from resampled rows, the same for both."""
    rng = np.random.default_rng(7)
    draws = []
    while len(draws) < RESAMPLES:
        chosen = rng.integers(0, len(bad), len(bad))
        if 0 < bad[chosen].sum() < len(bad):
            tables = [ScoreTable.of(bad[chosen], score[chosen]) for score in (one, other)]
            draws.append([auc_interval(tables[0]).value - auc_interval(tables[1]).value, ks(tables[0]) - ks(tables[1])])
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    tables = [ScoreTable.of(bad, score) for score in (one, other)]
    values = (auc_interval(tables[0]).value - auc_interval(tables[1]).value, ks(tables[0]) - ks(tables[1]))
    return {name: [values[n], float(low[n]), float(high[n])] for n, name in enumerate(("auc", "ks"))}


def contagion_table(found: Measurement) -> str:
    """The models side by side, and what contagion adds."""
    models = table(
        ["model", "AUC", "95 % interval", "KS"],
        [[name, f"{one['value']:.3f}", f"{one['low']:.3f} to {one['high']:.3f}", f"{one['ks']:.3f}"]
         for name, one in found["figures"].items()],
    )  # fmt: skip
    auc, gap = found["difference"]["auc"], found["difference"]["ks"]
    best = ", ".join(f"{name} ({value:.2f})" for name, value in found["best"])
    return f"""# Default models with and without contagion

{found["learnt"]:,} applications learnt from ({found["learnt_bad"]} bad), {found["tested"]:,} later ones tested
({found["tested_bad"]} bad); ridge logistic regression on the WOE of all features with an IV of {TELLS}.

{models}
Contagion adds {auc[0]:+.3f} AUC ({auc[1]:+.3f} to {auc[2]:+.3f}) and {gap[0]:+.3f} KS ({gap[1]:+.3f} to {gap[2]:+.3f}),
paired over resampled rows. Its best features by IV: {best}.
"""


if __name__ == "__main__":
    write(Path(sys.argv[2]), measure(int(sys.argv[1])))
