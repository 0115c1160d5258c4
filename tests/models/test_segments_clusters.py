"""Clusters: names made from centres, the choice of a number, and what is refused."""

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import make_blobs
from sklearn.metrics import silhouette_score

from strata.models.segmentation.cluster_names import names, phrases
from strata.models.segmentation.cluster_trials import Trial, choose, silhouette
from strata.models.segmentation.clusters import Clusters, ClusterSpec, fit_clusters

WORDS = ["income", "spending", "age of account"]


def test_segments_phrases_go_from_the_farthest_to_the_average():
    assert phrases([0.4, -1.2, 0.1], WORDS) == [(1, "very low spending"), (0, "high income")]
    assert phrases([1.0, -1.0, 0.35], WORDS) == [
        (0, "very high income"),
        (1, "very low spending"),
        (2, "high age of account"),
    ]
    assert phrases([0.34, -0.34, 0.0], WORDS) == []
    assert phrases([-0.35, -0.99, 0.99], WORDS) == [
        (1, "low spending"),
        (2, "high age of account"),
        (0, "low income"),
    ]


def test_segments_names_differ():
    centres = [[2.0, 1.5, 0.5], [2.0, 1.5, -0.5], [0.0, 0.1, 0.2], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert names(centres, WORDS) == [
        "very high income, very high spending, high age of account",
        "very high income, very high spending, low age of account",
        "average in everything (1)",
        "very low income",
        "average in everything (2)",
    ]


def test_segments_choice_prefers_sound_trials_then_separation():
    trials = [Trial(2, 0.5, 0.9, 0.8, 0.3), Trial(3, 0.6, 0.9, 0.8, 0.1), Trial(4, 0.9, 0.5, 0.1, 0.1)]
    best, reason = choose(trials, min_stability=0.6, min_share=0.05)
    assert best.k == 3
    assert reason == (
        "k = 3: highest silhouette (0.600) of 2 numbers of clusters with stability of at least 0.60 "
        "and no cluster under 5 %"
    )
    assert choose(trials, min_stability=0.6, min_share=0.2)[0].k == 2
    best, reason = choose(trials, min_stability=0.95, min_share=0.0)
    assert best.k == 2
    assert reason.startswith("k = 2: no number of clusters is stable to 0.95 with none under 0 %, so the most stable")


@pytest.mark.parametrize("seed", range(5))
def test_segments_silhouette_agrees_with_sklearn(seed):
    points, labels = make_blobs(120, n_features=4, centers=5, cluster_std=3.0, random_state=seed)
    labels[0] = 9
    assert silhouette(points, labels) == pytest.approx(silhouette_score(points, labels, metric="sqeuclidean"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"features": ("a",)}, "features"),
        ({"features": ("a", "a")}, "named twice"),
        ({"words": {"c": "x"}}, "words: 'c' is not a feature"),
        ({"order_by": "c"}, "order_by: 'c' is not a feature"),
        ({"candidates": (1, 2)}, "from 2 upwards"),
        ({"k": 3}, "k"),
    ],
)
def test_segments_cluster_spec_is_checked(fields, words):
    with pytest.raises(ValidationError, match=words):
        ClusterSpec(**{"key": "id", "features": ("a", "b"), **fields})


def test_segments_clusters_refuse_in_one_sentence(spark):
    spec = ClusterSpec(key="id", features=("a", "b"), candidates=(2,))
    rows = spark.createDataFrame([(i, float(i), 1.0) for i in range(19)], "id int, a double, b double")
    with pytest.raises(ValueError, match="^customers: 19 rows are too few; 2 clusters need 20$"):
        fit_clusters(rows, spec)
    with pytest.raises(ValueError, match="^customers: column 'b' has the same value everywhere"):
        fit_clusters(rows.union(rows), spec)
    with pytest.raises(ValueError, match="^customers: column 'b' is missing"):
        fit_clusters(rows.drop("b"), spec)
    for text in ("", "[]", "{}", '{"kind": "strata-clusters-1"}'):
        with pytest.raises(ValueError, match="^text: this is not a strata-clusters-1"):
            Clusters.from_json(text)


def test_segments_silhouette_of_lone_rows_is_zero():
    assert silhouette(np.array([[0.0], [1.0]]), np.array([0, 1])) == 0
