"""Part villages: seeds and the spread of an offer on the real ties of 38 villages that were offered a loan.

The village leaders heard of it first. How word passes is fitted on half of the villages and tried on the other half,
and the other way round. What a choice of seeds would bring is the model's word; what the leaders brought is known.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from strata.graph.referral.diffusion import Community, Fit, Sharing, community, moment_errors, nearest, spread
from strata.graph.referral.seeds import coverage_seeds
from strata.jobs import local_session
from tests.bench.kept import HERE, RESULTS, Measurement, apart, kept, stamp_of, write
from tests.bench.truth_data import SHARED
from tests.bench.villages_table import villages_table

FOLDER = SHARED / "villages_microfinance"
# The extract doesn't say for how many quarters each village had been offered the loan.
ROUNDS, OTHER_ROUNDS = 6, (3, 12)
TAKERS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8)
OTHERS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
GRID = tuple(Sharing(*pair) for pair in product(TAKERS, OTHERS))
COVARIATES = ("rooms", "beds", "electricity")
FIT_DRAWS, DRAWS, RANDOM_SETS, RESAMPLES, SEED = 100, 400, 20, 2_000, 20261031
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Village:
    """Households (n), ties as codes, leaders' codes, and who took the loan."""

    name: int
    households: pd.DataFrame
    src: Ints
    dst: Ints

    @property
    def leaders(self) -> Ints:
        """Codes of the leaders' households."""
        return np.flatnonzero(self.households["leader"].to_numpy())

    @property
    def taken(self) -> Ints:
        """1 for households that took the loan."""
        return self.households["loan"].to_numpy(np.int64)

    def among(self, seeds: Ints, chance: Callable[[pd.DataFrame], NDArray[np.float64]]) -> Community:
        """Its people, with these seeds."""
        return community(len(self.households), self.src, self.dst, seeds, chance(self.households))


def run() -> None:
    """Measure what is missing, then print and keep the table."""
    stamp = stamp_of(HERE.parents[1] / "graph" / "referral", Path(__file__))
    found = kept(RESULTS / "villages.json", stamp, partial(apart, "villages"))
    text = villages_table(found)
    (RESULTS / "villages.md").write_text(text)
    print(text)


def villages() -> list[Village]:
    """The 38 villages; ties with an end that is no household are left out."""
    households = pd.read_csv(FOLDER / "microfi_households.csv.gz")
    ties = pd.read_csv(FOLDER / "microfi_edges.txt.gz", sep=r"\s+", header=None, names=["src", "dst"])
    ties = ties[ties["src"].isin(households["hh"]) & ties["dst"].isin(households["hh"])]
    found = []
    for name, rows in households.groupby("village"):
        own, place = ties[ties["src"].isin(rows["hh"])], pd.Index(rows["hh"])
        src, dst = (place.get_indexer(own[end]).astype(np.int64) for end in ("src", "dst"))
        found.append(Village(int(name), rows.reset_index(drop=True), src, dst))
    return found


def chance_of(train: Sequence[Village]) -> Callable[[pd.DataFrame], NDArray[np.float64]]:
    """A household's chance to take the loan if it hears of it: learnt from leaders, all of whom had heard."""
    leaders = pd.concat([one.households.iloc[one.leaders] for one in train])
    model = LogisticRegression(C=100.0).fit(np.log1p(leaders[list(COVARIATES)]), leaders["loan"])

    def chance(households: pd.DataFrame) -> NDArray[np.float64]:
        return model.predict_proba(np.log1p(households[list(COVARIATES)]))[:, 1]

    return chance


def chosen_seeds(spark: SparkSession, places: Sequence[Village]) -> dict[str, dict[int, Ints]]:
    """By method and village, as many seeds as there are leaders, best first."""
    people = pd.concat([one.households[["hh", "village"]] for one in places])
    ties = pd.concat([pd.DataFrame({"src": one.households["hh"].to_numpy()[one.src],
                                    "dst": one.households["hh"].to_numpy()[one.dst]}) for one in places])  # fmt: skip
    ties = ties[ties["src"] < ties["dst"]].assign(kind="tie", weight=1.0)
    tie_rows = spark.createDataFrame(ties)
    person_rows = spark.createDataFrame(people.assign(customer_id=people["hh"]).rename(columns={"hh": "id"}))
    found: dict[str, dict[int, Ints]] = {}
    for method in ("coverage", "degree_discount"):
        rows = coverage_seeds(
            tie_rows, person_rows, per_group=max(len(one.leaders) for one in places), group="village",
            method=method, probability=0.1, caps={"tie": 10_000},
        ).toPandas()  # fmt: skip
        found[method] = {one.name: _codes(rows, one) for one in places}
    return found


def _codes(rows: pd.DataFrame, one: Village) -> Ints:
    mine = rows[rows["village"] == one.name].sort_values("seed_rank")["id"].head(len(one.leaders))
    return pd.Index(one.households["hh"]).get_indexer(mine).astype(np.int64)


def central_seeds(one: Village) -> dict[str, Ints]:
    """As many seeds as leaders, by degree and by eigenvector centrality."""
    ties = one.among(one.leaders, lambda rows: np.zeros(len(rows))).ties
    vector = np.abs(np.linalg.eigh(ties)[1][:, -1])
    k = len(one.leaders)
    return {"degree": np.argsort(-ties.sum(axis=0), kind="stable")[:k], "eigenvector": np.argsort(-vector)[:k]}


def fitted(train: Sequence[Village], rounds: int) -> tuple[Fit, NDArray[np.float64]]:
    """The fit of how word passes, with the errors of moments that tell how sure it is."""
    chance = chance_of(train)
    errors = moment_errors(
        [one.among(one.leaders, chance) for one in train], [one.taken for one in train],
        grid=GRID, rounds=rounds, draws=FIT_DRAWS, seed=SEED,
    )  # fmt: skip
    return nearest(GRID, errors), errors


def brought(one: Village, seeds: dict[str, Sequence[Ints]], train: Sequence[Village], fit: Fit, rounds: int) -> dict:
    """Expected take-up and share that hears, by choice of seeds, and what really was taken."""
    chance = chance_of(train)
    row: dict[str, float] = {"real": float(one.taken.mean())}
    for name, sets in seeds.items():
        draws = DRAWS if len(sets) == 1 else DRAWS // 4
        both = [
            [
                part.mean()
                for part in spread(one.among(some, chance), fit.sharing, rounds=rounds, draws=draws, seed=SEED)
            ]
            for some in sets
        ]
        row[f"{name}_heard"], row[name] = (float(value) for value in np.mean(both, axis=0))
    return row


def measure() -> Measurement:
    """All figures."""
    places = villages()
    spark = local_session(cores=2, memory="2g", shuffle_partitions=2)
    ours = chosen_seeds(spark, places)
    spark.stop()
    rng = np.random.default_rng(SEED)
    seeds = {}
    for one in places:
        n, k = len(one.households), len(one.leaders)
        single = {"leaders": one.leaders, **{m: ours[m][one.name] for m in ours}, **central_seeds(one)}
        seeds[one.name] = {name: [codes] for name, codes in single.items()}
        seeds[one.name]["random"] = [rng.choice(n, k, replace=False) for _ in range(RANDOM_SETS)]
    order = rng.permutation(len(places))
    halves = [[places[i] for i in sorted(order[part::2])] for part in (0, 1)]
    with threadpool_limits(2):
        trials = [trial(halves, seeds, rounds) for rounds in (ROUNDS, *OTHER_ROUNDS)]
    return {
        "villages": len(places),
        "households": sum(len(one.households) for one in places),
        "leaders": sum(len(one.leaders) for one in places),
        "trials": trials,
        "plain": plain_evidence(places, pd.DataFrame(trials[0]["rows"])),
    }


def trial(halves: list[list[Village]], seeds: dict[int, dict], rounds: int) -> Measurement:
    """Each half tried with what the other taught."""
    rows, fits = [], []
    for train, test in (halves, halves[::-1]):
        fit, errors = fitted(train, rounds)
        fits.append({"taker": fit.sharing.taker, "other": fit.sharing.other, **_sureness(errors)})
        rows += [{"village": one.name, **brought(one, seeds[one.name], train, fit, rounds)} for one in test]
    frame = pd.DataFrame(rows)
    names = [name for name in frame if name not in ("village", "real") and not name.endswith("_heard")]
    return {
        "rounds": rounds,
        "fits": fits,
        "rows": rows,
        "real": _interval(frame["real"]),
        "miss": _interval(frame["leaders"] - frame["real"]),
        "means": {name: _interval(frame[name]) for name in names},
        "heard": {name: float(frame[f"{name}_heard"].mean()) for name in names},
        "more": {name: _interval(frame[name] - frame["leaders"]) for name in names},
    }


def _sureness(errors: NDArray[np.float64]) -> dict[str, list[float]]:
    """The 95 % intervals of both probabilities when the villages are drawn again."""
    rng, villages_ = np.random.default_rng(SEED), errors.shape[1]
    found = np.array([nearest(GRID, errors[:, rng.integers(0, villages_, villages_)]).sharing for _ in range(300)])
    low, high = np.quantile(found, (0.025, 0.975), axis=0)
    return {"taker_interval": [low[0], high[0]], "other_interval": [low[1], high[1]]}


def _interval(values: pd.Series) -> list[float]:
    """Mean, and its 95 % interval from villages drawn again."""
    rng, x = np.random.default_rng(SEED), values.to_numpy(float)
    means = x[rng.integers(0, len(x), (RESAMPLES, len(x)))].mean(axis=1)
    return [float(x.mean()), *(float(end) for end in np.quantile(means, (0.025, 0.975)))]


def plain_evidence(places: Sequence[Village], rows: pd.DataFrame) -> list[list[object]]:
    """Without any model: how what leaders' places are like goes with what others in the village took."""
    facts = []
    for one in places:
        among = one.among(one.leaders, lambda rows: np.zeros(len(rows)))
        vector = np.abs(np.linalg.eigh(among.ties)[1][:, -1])
        leads = np.zeros(among.n, bool)
        leads[one.leaders] = True
        facts.append({
            "village": one.name,
            "took": one.taken[~leads].mean(),
            "leaders took": one.taken[leads].mean(),
            "share tied to a leader": (among.ties[leads].sum(axis=0) > 0)[~leads].mean(),
            "leaders' degree": among.ties[leads].sum(axis=1).mean(),
            "leaders' eigenvector centrality": vector[leads].mean() * np.sqrt(among.n),
        })  # fmt: skip
    frame = pd.DataFrame(facts).merge(rows[["village", "leaders"]], on="village").drop(columns="village")
    frame = frame.rename(columns={"leaders": "take-up that the model expects"})
    rng = np.random.default_rng(SEED)
    found = []
    for name in frame.columns.drop("took"):
        pair = frame[["took", name]].to_numpy()
        draws = [np.corrcoef(pair[rng.integers(0, len(pair), len(pair))].T)[0, 1] for _ in range(RESAMPLES)]
        low, high = np.quantile(draws, (0.025, 0.975))
        found.append([name, float(np.corrcoef(pair.T)[0, 1]), float(low), float(high)])
    return found


if __name__ == "__main__":
    write(Path(sys.argv[1]), measure())
