"""``strata assign`` on files: what it writes, and what it must refuse."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from deltalake import DeltaTable

from strata.conf.settings import load_settings
from strata.jobs import assign
from strata.jobs.job_runner import execute, parser

pytestmark = pytest.mark.integration

CANDIDATES = """Client;Home;offer;unit;channel;Worth
007;h1;card;N-01;app;5,25
007;h1;loan;N-01;visit;9,50
0008;h1;card;N-01;app;8,00
009;h2;loan;N-01;visit;4,00
009;h2;card;N-01;app;3,00
010;h3;card;S-02;app;-1,50
011;h4;card;S-02;app;2,00
011;h4;loan;S-02;visit;2,50
"""
LIMITS = """unit,offer,minimum,maximum
,loan,,1
S-02,,3,
"""


@pytest.fixture(scope="module")
def called(spark, tmp_path_factory):
    root = tmp_path_factory.mktemp("assign")
    settings = load_settings("test", lake=str(root / "lake"), tracking_uri=f"sqlite:///{root}/mlflow.db")

    def call(*arguments: object) -> int:
        return execute(assign.JOB, settings, parser(assign.JOB).parse_args([*map(str, arguments)]), spark)

    return call


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    (folder / "candidates.csv").write_text(CANDIDATES)
    (folder / "limits.csv").write_text(LIMITS)
    return folder


def given(files, out, **changed):
    asked = {"candidates": files / "candidates.csv", "limits": files / "limits.csv", "customer": "client",
             "value": "worth", "output": out} | changed  # fmt: skip
    return [part for name, value in asked.items() if value for part in (f"--{name}", value)]


def test_everything_is_written(called, files, tmp_path, capsys):
    assert called(*given(files, tmp_path / "out")) == 0
    out = tmp_path / "out"
    written = ["chosen", "chosen.csv", "metrics.json", "prices.csv", "shortfalls.csv"]
    assert sorted(path.name for path in out.iterdir()) == written
    chosen = pd.read_csv(out / "chosen.csv", dtype={"Client": str})
    picked = {"007": "loan", "0008": "card", "009": "card", "010": "card", "011": "card"}
    assert dict(zip(chosen["Client"], chosen["offer"], strict=True)) == picked
    assert chosen["Worth"].sum() == pytest.approx(21.0)
    assert sorted(DeltaTable(str(out / "chosen")).to_pandas()["Client"]) == sorted(picked)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["value"] == pytest.approx(21.0) == metrics["bound"] and metrics["gap"] == pytest.approx(0)
    assert (metrics["candidates"], metrics["chosen"], metrics["missing"]) == (8, 5, 1) and metrics["seconds"] > 0
    prices = pd.read_csv(out / "prices.csv")
    assert prices["used"].tolist() == [1, 2] and prices.loc[0, "price"] == pytest.approx(1.0)
    assert prices["maximum"].isna().tolist() == [False, True]
    short = pd.read_csv(out / "shortfalls.csv")
    assert short[["unit", "minimum", "missing"]].to_numpy().tolist() == [["S-02", 3, 1]]
    assert "warning: unit S-02: 1 of the minimum of 3 are missing" in capsys.readouterr().err


def test_a_household_is_a_block(called, files, tmp_path):
    assert called(*given(files, tmp_path / "out", block="home")) == 0
    chosen = pd.read_csv(tmp_path / "out" / "chosen.csv", dtype={"Client": str})
    assert chosen["Home"].is_unique and set(chosen["Client"]) == {"007", "009", "010", "011"}


REFUSED = {
    "--customer: the candidates have no column 'customer'; they have Client": {"customer": None},
    "--channel: the candidates have no column 'way'": {"channel": "way"},
    "value: the column 'offer' is no number": {"value": "offer"},
    "no such file": {"limits": "/nowhere/limits.csv"},
    "has neither a column 'minimum' nor 'maximum'": {"limits": "candidates"},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_sentence(called, files, tmp_path, capsys, sentence):
    changed = dict(REFUSED[sentence])
    if changed.get("limits") == "candidates":
        changed["limits"] = files / "candidates.csv"
    assert called(*given(files, tmp_path / "out", **changed)) in (2, 3)
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error and not (tmp_path / "out").exists()
