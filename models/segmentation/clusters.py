"""Behaviour clusters: k-means on standardised behaviour, with a chosen number, in a fixed order, named.

The number of clusters is chosen on a sample (``cluster_trials``); the clusters are MLlib's k-means on all
rows. They are numbered by the centre of one stated feature, highest first, and named from their centres, so
the same customers give the same clusters, numbers and names. Assigning is a column expression.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import copysign, expm1

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.functions import array_to_vector
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.models.samples.table_checks import require_columns, require_numbers
from strata.models.segmentation.cluster_names import names, phrases
from strata.models.segmentation.cluster_trials import Trial, choose, try_numbers

_KIND = "strata-clusters-1"
_ROWS_PER_CLUSTER = 10


class ClusterSpec(BaseModel):
    """Which behaviour is clustered, and how.

    ``words`` say a feature in words (its own name otherwise); ``log_features`` are taken as
    sign(x) ln(1 + |x|), for amounts and counts with long tails. Standardised values are held within
    ``clip`` standard deviations, so a few giants don't make clusters of their own. ``order_by`` numbers the
    clusters (the first feature otherwise). ``partitions`` fixes how rows are split, and so the start of
    k-means; raise it for a large book.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    features: tuple[str, ...] = Field(min_length=2)
    words: Mapping[str, str] = Field(default_factory=dict)
    log_features: tuple[str, ...] = ()
    order_by: str | None = None
    candidates: tuple[int, ...] = Field(default=(2, 3, 4, 5, 6, 7, 8), min_length=1)
    min_stability: float = Field(default=0.6, ge=-1, le=1)
    min_share: float = Field(default=0.03, ge=0, lt=1)
    bootstraps: int = Field(default=10, ge=2)
    sample_rows: int = Field(default=10_000, ge=100, le=100_000)
    clip: float = Field(default=4.0, gt=0)
    restarts: int = Field(default=2, ge=1)
    partitions: int = Field(default=2, ge=1)
    seed: int = 20240101

    @model_validator(mode="after")
    def _coherent(self) -> ClusterSpec:
        for argument, named in (
            ("words", self.words),
            ("log_features", self.log_features),
            ("order_by", filter(None, [self.order_by])),
        ):
            if strangers := sorted(set(named) - set(self.features)):
                raise ValueError(f"{argument}: {strangers[0]!r} is not a feature; name features only")
        if len(set(self.features)) != len(self.features):
            raise ValueError("features: a feature is named twice; name each once")
        if min(self.candidates) < 2 or len(set(self.candidates)) != len(self.candidates):
            raise ValueError("candidates: give different numbers of clusters from 2 upwards")
        return self


@dataclass(frozen=True)
class Clusters:
    """Fitted clusters, numbered from 1: centres in standard deviations, counts, and how k was chosen.

    ``means`` and ``deviations`` standardise the features (after logs); ``silhouette`` is of all rows
    (squared distances); ``trials`` has the evidence for each number tried, ``reason`` the choice in words.
    """

    spec: ClusterSpec
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    centres: tuple[tuple[float, ...], ...]
    counts: tuple[int, ...]
    silhouette: float
    trials: tuple[Trial, ...]
    reason: str

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each cluster, in their order."""
        return tuple(names(self.centres, self._words()))

    def assign(self, customers: DataFrame) -> DataFrame:
        """Add ``cluster`` (1..k), ``cluster_name`` and ``cluster_distance`` (standard deviations).

        A missing feature counts as average; all are null where every feature is. One pass, no shuffle.
        Raises ``ValueError`` naming a feature that is missing or not a number.
        """
        require_numbers(customers, "customers", self.spec.features)
        values = _standardised(self.spec, self.means, self.deviations)
        nearest = F.array(*[_distance(F.col("__values"), centre) for centre in self.centres])
        known = F.coalesce(*[_number(name) for name in self.spec.features]).isNotNull()
        placed = customers.withColumn("__values", values).withColumn("__distances", F.when(known, nearest))
        place = F.expr("array_position(__distances, array_min(__distances))")
        told = placed.withColumn("cluster", place.cast("int"))
        told = told.withColumn("cluster_name", F.element_at(F.array(*map(F.lit, self.names)), F.col("cluster")))
        return told.withColumn("cluster_distance", F.sqrt(F.array_min("__distances"))).drop("__values", "__distances")

    def describe(self) -> pd.DataFrame:
        """One row per cluster: ``cluster``, ``name``, ``count``, ``share``, ``description`` and each feature's
        value at the centre, in its own unit.
        """
        rows = []
        for number, (centre, count, name) in enumerate(zip(self.centres, self.counts, self.names), start=1):
            values = {feature: self._own_unit(index, centre[index]) for index, feature in enumerate(self.spec.features)}
            share = count / sum(self.counts)
            head = {"cluster": number, "name": name, "count": count, "share": share}
            rows.append({**head, "description": self._described(number, centre, count), **values})
        return pd.DataFrame(rows)

    def trials_table(self) -> pd.DataFrame:
        """One row per number of clusters tried: the fields of ``Trial`` and ``chosen``."""
        table = pd.DataFrame([asdict(trial) for trial in self.trials])
        return table.assign(chosen=table["k"] == len(self.centres))

    def to_json(self) -> str:
        """The whole result as one JSON text; ``from_json`` reads it back."""
        return json.dumps({"kind": _KIND, **asdict(self), "spec": self.spec.model_dump()})

    @classmethod
    def from_json(cls, text: str) -> Clusters:
        """Read what ``to_json`` wrote. Raises ``ValueError`` when the text is something else."""
        try:
            parts = json.loads(text)
            if parts.pop("kind") != _KIND:
                raise KeyError("kind")
            parts["spec"] = ClusterSpec(**parts["spec"])
            parts["trials"] = tuple(Trial(**trial) for trial in parts["trials"])
            parts["centres"] = tuple(tuple(centre) for centre in parts["centres"])
            lists = {name: tuple(parts[name]) for name in ("means", "deviations", "counts")}
            return cls(**{**parts, **lists})
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValidationError) as error:
            raise ValueError(f"text: this is not a {_KIND}; pass what Clusters.to_json wrote") from error

    def _words(self) -> list[str]:
        return [self.spec.words.get(name, name) for name in self.spec.features]

    def _own_unit(self, index: int, deviation: float) -> float:
        value = self.means[index] + deviation * self.deviations[index]
        logged = self.spec.features[index] in self.spec.log_features
        return copysign(expm1(abs(value)), value) if logged else value

    def _described(self, number: int, centre: Sequence[float], count: int) -> str:
        told = [
            f"{phrase} ({_told(value)} against {_told(self._own_unit(index, 0.0))} overall)"
            for index, phrase in phrases(centre, self._words())
            for value in [self._own_unit(index, centre[index])]
        ]
        share = 100 * count / sum(self.counts)
        return f"Cluster {number}, {count:,} of them ({share:.1f} %): {'; '.join(told) or 'average in everything'}."


def _told(value: float) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(value) + 0:,}" if abs(value) >= 100 else f"{round(value, 2) + 0.0:.2f}"


def fit_clusters(customers: DataFrame, spec: ClusterSpec) -> Clusters:
    """Choose the number of clusters and fit them to ``customers`` (one row for each ``spec.key``).

    Plan: one scan for means and deviations; one shuffle of key and features, kept while fitting; one job for
    all candidate numbers on the sample; then MLlib's k-means on all rows, ``restarts`` times, the closest
    kept (some 20 short jobs each). Raises ``ValueError`` naming a column that is missing, not a number or
    always the same, or saying that there are too few rows.
    """
    require_columns(customers, "customers", (spec.key,))
    require_numbers(customers, "customers", spec.features)
    means, deviations = _scale(customers, spec)
    values = _standardised(spec, means, deviations)
    points = customers.select(F.col(f"`{spec.key}`").alias("key"), values.alias("values"))
    points = points.repartition(spec.partitions, "key").sortWithinPartitions("key", "values").persist()
    try:
        sample = points.orderBy(F.xxhash64("key", F.lit(spec.seed)), "key").limit(spec.sample_rows)
        trials = try_numbers(sample, spec.candidates, bootstraps=spec.bootstraps, seed=spec.seed)
        chosen, reason = choose(trials, min_stability=spec.min_stability, min_share=spec.min_share)
        centres, counts, separation = _fit(points, spec, chosen.k)
    finally:
        points.unpersist()
    return Clusters(spec, means, deviations, centres, counts, separation, tuple(trials), reason)


def _scale(customers: DataFrame, spec: ClusterSpec) -> tuple[tuple[float, ...], tuple[float, ...]]:
    found = customers.agg(
        F.count(F.lit(1)).alias("rows"),
        *[F.avg(_value(spec, name)).alias(f"mean_{name}") for name in spec.features],
        *[F.stddev_pop(_value(spec, name)).alias(f"deviation_{name}") for name in spec.features],
    ).collect()[0]
    needed = _ROWS_PER_CLUSTER * max(spec.candidates)
    if found["rows"] < needed:
        raise ValueError(f"customers: {found['rows']} rows are too few; {max(spec.candidates)} clusters need {needed}")
    for name in spec.features:
        if not found[f"deviation_{name}"]:
            raise ValueError(f"customers: column {name!r} has the same value everywhere; leave it out of the features")
    means = tuple(found[f"mean_{name}"] for name in spec.features)
    return means, tuple(found[f"deviation_{name}"] for name in spec.features)


def _number(name: str) -> Column:
    return F.nanvl(F.col(f"`{name}`").cast("double"), F.lit(None))


def _value(spec: ClusterSpec, name: str) -> Column:
    value = _number(name)
    return F.signum(value) * F.log1p(F.abs(value)) if name in spec.log_features else value


def _standardised(spec: ClusterSpec, means: Sequence[float], deviations: Sequence[float]) -> Column:
    def held(name: str, mean: float, deviation: float) -> Column:
        value = F.coalesce((_value(spec, name) - F.lit(mean)) / F.lit(deviation), F.lit(0.0))
        return F.least(F.greatest(value, F.lit(-spec.clip)), F.lit(spec.clip))

    return F.array(*[held(*parts) for parts in zip(spec.features, means, deviations)])


def _distance(values: Column, centre: Sequence[float]) -> Column:
    return sum((F.pow(values[index] - F.lit(middle), F.lit(2.0)) for index, middle in enumerate(centre)), F.lit(0.0))


def _fit(points: DataFrame, spec: ClusterSpec, k: int) -> tuple[tuple[tuple[float, ...], ...], tuple[int, ...], float]:
    vectors = points.select(array_to_vector("values").alias("features"))
    starts = [KMeans(k=k, seed=spec.seed + start, maxIter=50, tol=1e-6) for start in range(spec.restarts)]
    best = min((start.fit(vectors) for start in starts), key=lambda model: model.summary.trainingCost)
    lead = spec.features.index(spec.order_by or spec.features[0])
    found = [tuple(float(value) for value in centre) for centre in best.clusterCenters()]
    order = sorted(range(len(found)), key=lambda index: (-round(found[index][lead], 6), found[index]))
    sizes = best.summary.clusterSizes
    separation = ClusteringEvaluator().evaluate(best.transform(vectors))
    return tuple(found[index] for index in order), tuple(sizes[index] for index in order), separation
