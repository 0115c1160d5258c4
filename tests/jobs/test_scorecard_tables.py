"""``strata scorecard`` on tables at the edge: few patterns, one safe score, weights, thin periods, drift."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from strata.conf.settings import load_settings
from strata.jobs import scorecard
from strata.jobs.job_runner import execute, parser

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def card(spark, tmp_path_factory):
    """The job on a frame: exit code and the folder of its answer."""
    root = tmp_path_factory.mktemp("tables")
    settings = load_settings("test", lake=str(root / "lake"), tracking_uri=f"sqlite:///{root}/mlflow.db")

    def called(name: str, frame: pd.DataFrame, *arguments: str):
        frame.to_csv(root / f"{name}.csv", index=False)
        given = ["--input", str(root / f"{name}.csv"), "--target", "bad", "--output", str(root / name), *arguments]
        return execute(scorecard.JOB, settings, parser(scorecard.JOB).parse_args(given), spark), root / name

    return called


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_a_table_of_few_patterns_is_split_as_it_should_and_says_so(card):
    rng = np.random.default_rng(2)
    n = 2000
    risk, home = rng.choice(["low", "mid", "high"], n, p=[0.5, 0.3, 0.2]), rng.choice(["rent", "own"], n)
    chance = 0.1 + 0.25 * (risk == "high") + 0.1 * (home == "rent")
    code, folder = card("few", pd.DataFrame({"risk": risk, "home": home, "bad": (rng.random(n) < chance).astype(int)}))
    assert code == 0
    found = metrics_of(folder)
    assert found["test"]["n"] / n == pytest.approx(0.3, abs=0.01)
    assert found["test"]["bad_rate"] == pytest.approx(found["train"]["bad_rate"], abs=0.01)
    assert "2,000 rows are equal to many others" in (folder / "report.html").read_text()


def test_most_rows_may_share_the_safest_score(card):
    rng = np.random.default_rng(3)
    late = (rng.random(1200) < 0.15).astype(int)
    frame = pd.DataFrame({"id": [f"K{i}" for i in range(1200)], "late": late})
    frame["bad"] = (rng.random(1200) < np.where(late == 1, 0.45, 0.08)).astype(int)
    code, folder = card("safe", frame, "--id", "id")
    assert code == 0 and "of the test share the safest score" in (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def loans():
    rng = np.random.default_rng(5)
    n = 1500
    x, home = rng.normal(50, 12, n).round(2), rng.choice(["own", "rent"], n)
    risk = 1 / (1 + np.exp(1.4 + 0.05 * (x - 50) - (home == "rent")))
    frame = pd.DataFrame({"id": [f"L{i}" for i in range(n)], "x": x, "home": home, "w": rng.choice([0.5, 1.0, 2.5], n)})
    return frame.assign(bad=(rng.random(n) < risk).astype(int))


def test_the_unit_of_the_weights_changes_no_split_model_figure_or_interval(card, loans):
    found = {}
    for name, unit in (("ones", 1.0), ("thousands", 1024.0)):
        code, folder = card(name, loans.assign(w=loans["w"] * unit), "--weight", "w", "--exclude", "id")
        assert code == 0
        found[name] = (
            metrics_of(folder),
            pd.read_csv(folder / "points.csv"),
            DeltaTable(str(folder / "scored")).to_pandas(),
        )
    (one, points, scored), (other, others, rescored) = found.values()
    assert points["points"].tolist() == others["points"].tolist() and points["bin"].equals(others["bin"])
    assert scored.set_index("id")["split"].sort_index().equals(rescored.set_index("id")["split"].sort_index())
    for model in ("train", "test", "challenger", "monotone", "prices", "drops"):
        left, right = (json.dumps(_rounded(metrics[model])) for metrics in (one, other))
        assert left == right, model
    assert other["test"]["n"] == pytest.approx(1024 * one["test"]["n"])
    width = one["test"]["intervals"]["auc"]["high"] - one["test"]["intervals"]["auc"]["low"]
    rows = 0.3 * loans["w"].sum() ** 2 / (loans["w"] ** 2).sum()
    assert width == pytest.approx(2 * 1.96 * hanley(one["test"]["auc"], rows, one["test"]["bad_rate"]), rel=0.25)


def hanley(area, rows, bad_rate):
    """Hanley and McNeil's standard error of an AUC."""
    bads, goods = rows * bad_rate, rows * (1 - bad_rate)
    by_bad, by_good = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    return np.sqrt((area * (1 - area) + (bads - 1) * by_bad + (goods - 1) * by_good) / (bads * goods))


def _rounded(value):
    """Figures to nine digits, without the weight of the rows."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items() if name != "n"}
    return round(value, 9) if isinstance(value, float) else value


def small_lender(rows=26):
    """A lender that starts with six loans a month; its rates rise, its terms lengthen, a postcode tells nothing."""
    rng = np.random.default_rng(20)
    parts = []
    for month in range(rows):
        n, drift = round(6 * 1.2**month), 1.2 ** (month - rows + 1)
        part = pd.DataFrame({"rate": rng.normal(11 + 9 * drift, 3, n).round(2), "inquiries": rng.poisson(0.8, n)})
        part["term"] = np.where(rng.random(n) < 0.1 + 0.4 * drift, 60, 36)
        first = date(2021 + month // 12, month % 12 + 1, 1)
        part["opened"] = [first + timedelta(days=int(day)) for day in rng.integers(0, 28, n)]
        part["postcode"] = [f"P{code}" for code in rng.integers(0, 700, n)]
        logit = -2.2 + 0.16 * (part["rate"] - 14) + 0.5 * (part["term"] == 60) + 0.22 * part["inquiries"]
        part["bad"] = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def lender():
    return small_lender()


def test_a_lender_that_starts_small_keeps_its_features(card, lender, capsys):
    code, folder = card("lender", lender, "--time", "opened", "--monotone")
    assert code == 0
    found, told = metrics_of(folder), capsys.readouterr()
    scored = DeltaTable(str(folder / "scored")).to_pandas()
    train, test = (scored[scored["split"] == part] for part in ("train", "test"))
    drivers = ["rate", "term", "inquiries"]
    x = {
        name: (part[drivers] - train[drivers].mean()) / train[drivers].std()
        for name, part in (("a", train), ("b", test))
    }
    logistic = LogisticRegression().fit(x["a"], train["bad"]).decision_function(x["b"])
    assert found["test"]["auc"] > roc_auc_score(test["bad"], logistic) - 0.02
    assert set(pd.read_csv(folder / "points.csv")["feature"]) == {"(base)", *drivers}
    assert "moves over time and stays in the card" in told.err + told.out
    assert "that the rules dropped are worth" not in told.err + told.out
    assert found["prices"]["form"] == pytest.approx(found["monotone"]["test"]["auc"] - found["test"]["auc"])
    assert (folder / "challenger_monotone.json").exists() and "monotone_probability" in scored
    area = roc_auc_score(test["bad"], test["monotone_probability"])
    assert found["monotone"]["test"]["auc"] == pytest.approx(area, abs=1e-9)
    page = (folder / "report.html").read_text()
    assert "monotonicity costs" in page and "chance alone stays under" in page


def test_drops_that_cost_are_named_at_the_end_of_the_run(card, lender, capsys):
    code, folder = card("strict", lender, "--time", "opened", "--drift", "shifted")
    told = capsys.readouterr()
    assert code == 0
    *_, last = (told.err + told.out).strip().splitlines()
    drops = metrics_of(folder)["drops"]
    cost = drops["all rules"]["auc_with"] - drops["all rules"]["auc_without"]
    assert cost > 0.01 and f"the rules dropped are worth {cost:.3f} AUC out of fold" in last
    assert "'drift'" in last and "--drift keep" in last and drops["drift"]["features"]
    assert "Dropped features would help" in (folder / "report.html").read_text()
