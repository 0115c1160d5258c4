"""GraphFrames is tried once for an installation, and again when anything of it has changed."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from strata.conf.settings import load_settings
from strata.graph.algorithms.graphframes_calls import USED, Verdict
from strata.graph.algorithms.inputs import GraphError
from strata.jobs.network import graph_verdicts
from strata.jobs.network import network_tables as network
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.progress import Progress
from strata.jobs.table_catalog import lake_at

pytestmark = pytest.mark.integration


class Tried:
    """Stands in for the self-test, which has tests of its own; counts how often it is run."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.times = failing, 0

    def __call__(self, spark: SparkSession, calls: tuple[str, ...]) -> tuple[Verdict, ...]:
        self.times += 1
        return tuple(Verdict(call, call not in self.failing, "it is wrong") for call in calls)


@pytest.fixture
def context(spark: SparkSession, tmp_path: Path) -> Context:
    settings = load_settings("test", lake=str(tmp_path))
    lake = lake_at(spark, settings.lake)
    return Context(spark, settings, lake, Progress("network", None), "run", datetime.now(UTC), argparse.Namespace())


def test_what_passed_is_not_tried_again(context, monkeypatch):
    tried = Tried()
    monkeypatch.setattr(network, "self_test", tried)
    for _ in range(3):
        network.trust_graphframes(context)
    assert tried.times == 1
    (kept,) = Path(context.lake.root, "_checks").glob("graphframes-*.json")
    kept.write_text('[{"call": "compo')
    network.trust_graphframes(context)
    assert tried.times == 2 and graph_verdicts.kept_verdicts(context.spark, context.lake.root)


def test_what_failed_is_tried_again(context, monkeypatch):
    tried = Tried("motif")
    monkeypatch.setattr(network, "self_test", tried)
    for _ in range(2):
        with pytest.raises(GraphError, match="motif can't be trusted here"):
            network.trust_graphframes(context)
    assert tried.times == 2


def test_a_verdict_on_fewer_calls_does_not_do(context):
    graph_verdicts.keep_verdicts(context.spark, context.lake.root, [Verdict(USED[0], True)])
    assert graph_verdicts.kept_verdicts(context.spark, context.lake.root) == ()


@pytest.mark.parametrize("what", ["jar", "package", "test"])
def test_another_installation_is_tried(context, monkeypatch, tmp_path, what):
    tried = Tried()
    monkeypatch.setattr(network, "self_test", tried)
    network.trust_graphframes(context)
    if what == "jar":
        other = tmp_path / "other.jar"
        other.write_bytes(b"another build")
        monkeypatch.setattr(graph_verdicts, "_jar", lambda spark: other)
    elif what == "package":
        monkeypatch.setattr(graph_verdicts, "version", lambda name: "0.99")
    else:
        monkeypatch.setattr(graph_verdicts.inspect, "getsource", lambda module: "another test")
    network.trust_graphframes(context)
    assert tried.times == 2


def test_a_jar_that_cannot_be_found_is_tried_always(context, monkeypatch):
    tried = Tried()
    monkeypatch.setattr(network, "self_test", tried)
    monkeypatch.setattr(graph_verdicts, "_jar", lambda spark: None)
    for _ in range(2):
        network.trust_graphframes(context)
    assert tried.times == 2
