"""Clusters on data whose groups are known, against NumPy and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score

from strata.models.segmentation.clusters import Clusters, ClusterSpec, fit_clusters

pytestmark = pytest.mark.oracle

FEATURES = ["income_amt", "spend_ratio", "visit_cnt"]
SPEC = ClusterSpec(
    key="customer_id",
    features=tuple(FEATURES),
    words={"income_amt": "income", "spend_ratio": "spending", "visit_cnt": "branch visits"},
    log_features=("income_amt",),
    candidates=(2, 3, 4, 5),
    bootstraps=4,
)


@pytest.fixture(scope="module")
def customers():
    rng = np.random.default_rng(31)
    group = rng.choice(3, 900, p=[0.5, 0.3, 0.2])
    frame = pd.DataFrame({"customer_id": np.arange(900), "group": group})
    frame["income_amt"] = np.exp(rng.normal(np.array([9.0, 10.5, 12.0])[group], 0.25))
    frame["spend_ratio"] = rng.normal(np.array([0.9, 0.2, 0.5])[group], 0.08)
    frame["visit_cnt"] = rng.poisson(np.array([2, 14, 2])[group]).astype(float)
    frame.loc[::40, "visit_cnt"] = np.nan
    return frame


@pytest.fixture(scope="module")
def fitted(spark, customers):
    return fit_clusters(spark.createDataFrame(customers), SPEC)


@pytest.fixture(scope="module")
def standardised(customers):
    values = customers[FEATURES].copy()
    values["income_amt"] = np.log1p(values["income_amt"])
    return ((values - values.mean()) / values.std(ddof=0)).fillna(0).clip(-4, 4).to_numpy()


def test_segments_clusters_find_the_groups_in_the_stated_order(spark, customers, fitted, standardised):
    told = fitted.assign(spark.createDataFrame(customers)).toPandas().sort_values("customer_id")
    assert adjusted_rand_score(customers["group"], told["cluster"]) > 0.97
    assert list(told.groupby("cluster")["income_amt"].mean().rank()) == [3, 2, 1]
    assert list(fitted.counts) == list(told["cluster"].value_counts().sort_index())
    expected = silhouette_score(standardised, told["cluster"], metric="sqeuclidean")
    assert fitted.silhouette == pytest.approx(expected, abs=1e-6)


def test_segments_clusters_are_assigned_to_the_nearest_centre(spark, customers, fitted, standardised):
    told = fitted.assign(spark.createDataFrame(customers)).toPandas().sort_values("customer_id")
    distances = np.linalg.norm(standardised[:, None, :] - np.array(fitted.centres)[None], axis=2)
    assert (told["cluster"].to_numpy() == distances.argmin(axis=1) + 1).all()
    np.testing.assert_allclose(told["cluster_distance"], distances.min(axis=1), atol=1e-9)
    assert set(told["cluster_name"]) == set(fitted.names)


def test_segments_clusters_are_as_tight_as_sklearns(fitted, standardised):
    best = KMeans(3, n_init=10, random_state=0).fit(standardised)
    distances = np.linalg.norm(standardised[:, None, :] - np.array(fitted.centres)[None], axis=2)
    assert (distances.min(axis=1) ** 2).sum() == pytest.approx(best.inertia_, rel=1e-3)


def test_segments_clusters_say_how_the_number_was_chosen(fitted):
    table = fitted.trials_table()
    assert list(table["k"]) == [2, 3, 4, 5] and list(table.loc[table["chosen"], "k"]) == [3]
    three = table.set_index("k").loc[3]
    assert three["stability"] > 0.95 and three["stability_low"] <= three["stability"]
    assert three["stability"] > table.set_index("k").loc[5, "stability"]
    assert fitted.reason.startswith("k = 3: highest silhouette")


def test_segments_clusters_are_named_from_their_centres(fitted):
    assert fitted.names == (
        "very high income, low branch visits",
        "very high branch visits, very low spending",
        "high spending, low income",
    )
    described = fitted.describe()
    assert described["share"].sum() == pytest.approx(1)
    first = described.loc[0]
    assert first["description"].startswith(f"Cluster 1, {first['count']} of them ({100 * first['share']:.1f} %): very ")
    told, overall = f"{first['income_amt']:,.0f}", f"{np.exp(fitted.means[0]) - 1:,.0f}"
    assert f"very high income ({told} against {overall} overall)" in first["description"]
    assert first["income_amt"] == pytest.approx(np.exp(12), rel=0.1)


def test_segments_clusters_are_the_same_however_rows_come(spark, customers, fitted):
    shuffled = spark.createDataFrame(customers.sample(frac=1, random_state=1)).repartition(5)
    again = fit_clusters(shuffled, SPEC)
    np.testing.assert_allclose(again.centres, fitted.centres, atol=1e-9)
    assert (again.counts, again.names) == (fitted.counts, fitted.names)
    assert [trial.k for trial in again.trials] == [trial.k for trial in fitted.trials]
    np.testing.assert_allclose(again.trials_table()["stability"], fitted.trials_table()["stability"], atol=1e-9)


def test_segments_clusters_survive_as_text_and_leave_the_unknown_unplaced(spark, customers, fitted):
    read = Clusters.from_json(fitted.to_json())
    assert read == fitted
    rows = spark.createDataFrame(customers.head(2))
    empty = rows.withColumns({name: F.lit(None).cast("double") for name in FEATURES})
    places = read.assign(empty).select("cluster", "cluster_name", "cluster_distance").collect()
    assert [tuple(place) for place in places] == [(None, None, None)] * 2
