"""``strata scorecard`` on whole files: German credit, an ugly file, and everything that it must refuse."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from pathlib import Path

import duckdb
import mlflow
import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from sklearn.metrics import roc_auc_score

from strata.conf.settings import load_settings
from strata.jobs import promote, scorecard
from strata.jobs.job_runner import execute, parser
from strata.models import Scorecard

pytestmark = pytest.mark.integration

GERMAN = Path(__file__).parents[1] / "data" / "german_credit" / "german.csv.gz"
FILES = [
    "binning.csv",
    "challenger.json",
    "metrics.json",
    "model_card.md",
    "points.csv",
    "report.html",
    "scorecard.json",
    "scorecard.pmml",
    "scorecard.sql",
    "scored",
    "selection.csv",
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("card")
    return load_settings("test", lake=str(root / "lake"), tracking_uri=f"sqlite:///{root}/mlflow.db")


@pytest.fixture(scope="module")
def card(spark, settings):
    """The job in this session: exit code of a call."""

    def called(*arguments: str, job=scorecard.JOB) -> int:
        return execute(job, settings, parser(job).parse_args([*map(str, arguments)]), spark)

    return called


@pytest.fixture(scope="module")
def german(card, tmp_path_factory):
    out = tmp_path_factory.mktemp("german") / "out"
    arguments = ["--input", GERMAN, "--target", "creditability", "--event", "bad", "--output", out]
    assert card(*arguments, "--protected", "age_in_years", "--profit", "200", "--loss", "900", "--model", "german") == 0
    return out


def test_everything_is_written(german):
    assert sorted(path.name for path in german.iterdir()) == FILES
    metrics = json.loads((german / "metrics.json").read_text())
    train, test = metrics["train"], metrics["test"]
    assert (train["n"], test["n"], train["bad_rate"], test["bad_rate"]) == (700, 300, 0.3, 0.3)
    assert 0.70 < test["auc"] < 0.85 and test["gini"] == pytest.approx(2 * test["auc"] - 1)
    low, high = (test["intervals"]["auc"][end] for end in ("low", "high"))
    assert low < test["auc"] < high and metrics["seconds"] > 0
    assert metrics["challenger"]["test"]["auc"] > 0.65
    points, bins = pd.read_csv(german / "points.csv"), pd.read_csv(german / "binning.csv")
    assert points["feature"].iloc[0] == "(base)" and bins["feature"].nunique() == 19
    assert "age_in_years" not in set(bins["feature"])


def test_scored_rows_are_those_of_the_card_in_every_form(german):
    scored = DeltaTable(str(german / "scored")).to_pandas()
    card = Scorecard.from_json((german / "scorecard.json").read_text())
    assert len(scored) == 1000 and scored["split"].value_counts().to_dict() == {"train": 700, "test": 300}
    told = card.score_pandas(scored)
    assert told["score"].tolist() == scored["score"].tolist()
    applications = scored.drop(columns=[*told.columns, *(c for c in scored.columns if c.startswith("challenger"))])
    answer = duckdb.sql((german / "scorecard.sql").read_text()).df()
    assert len(applications) == len(answer) and answer["score"].tolist() == scored["score"].tolist()
    learnt = scored[scored["split"] == "test"]
    good, bad = (learnt[learnt["bad"] == side]["score"].to_numpy() for side in (0, 1))
    area = (np.greater.outer(good, bad) + 0.5 * np.equal.outer(good, bad)).mean()
    assert area == pytest.approx(json.loads((german / "metrics.json").read_text())["test"]["auc"], abs=1e-12)


def test_the_run_is_tracked_and_the_model_can_be_promoted(german, card, settings, capsys):
    mlflow.set_tracking_uri(settings.tracking_uri)
    run = mlflow.search_runs(search_all_experiments=True, filter_string="tags.kind = 'scorecard'").iloc[0]
    metrics = json.loads((german / "metrics.json").read_text())
    assert run["metrics.scorecard_test_auc"] == pytest.approx(metrics["test"]["auc"])
    assert run["tags.input.fingerprint"].startswith("sha256:")
    named = {file.path for file in mlflow.MlflowClient().list_artifacts(run["run_id"])}
    assert {"report.html", "model_card.md", "scorecard.json", "points.csv"} <= named
    loaded = mlflow.pyfunc.load_model("models:/german@champion")
    scored = DeltaTable(str(german / "scored")).to_pandas()
    assert loaded.predict(scored)["score"].tolist() == scored["score"].tolist()
    assert card("--model", "german", job=promote.JOB) == 3
    assert "no challenger to promote" in capsys.readouterr().err


def test_the_page_says_what_a_committee_asks(german):
    page = (german / "report.html").read_text()
    for title in [
        "Summary",
        "Data",
        "Points",
        "Binning",
        "Selection",
        "Discrimination",
        "Calibration",
        "Scores",
        "Cut-offs",
        "Challenger",
        "Fairness",
    ]:
        assert f"<h2>{title}</h2>" in page
    assert "the given profit and loss" in page and "<script" not in page and 'src="http' not in page


def customers(n=600):
    """Cases of customers (one to three each) with a weight, of an unequally risky group that no model may see."""
    rng = np.random.default_rng(8)
    customer = np.repeat(np.arange(n), rng.integers(1, 4, n))
    group = np.array(["f", "m"])[rng.integers(0, 2, n)][customer]
    income, late = rng.lognormal(8, 0.5, len(customer)).round(2), rng.poisson(0.8, len(customer))
    risk = 1 / (1 + np.exp(1.9 + 1.2 * np.log(income / 3000) - 0.8 * late - 0.7 * (group == "m")))
    bad = (rng.random(len(customer)) < risk).astype(int)
    noise = {f"noise_{i}": rng.normal(size=len(customer)).round(3) for i in range(3)}
    weight = rng.choice([0.5, 1.0, 4.0], len(customer))
    return pd.DataFrame({"customer": customer, "gender": group, "income": income, "late": late, **noise, "bad": bad,
                         "sampled": weight})  # fmt: skip


@pytest.fixture(scope="module")
def weighted(card, tmp_path_factory):
    """One run with weights, groups, a protected attribute and the lasso: its folder and its scored rows."""
    root = tmp_path_factory.mktemp("weighted")
    customers().to_csv(root / "cases.csv", index=False)
    arguments = ["--input", root / "cases.csv", "--target", "bad", "--weight", "sampled", "--group", "customer"]
    kept = ["--protected", "gender", "--selection", "lasso", "--forced", "income"]
    assert card(*arguments, *kept, "--output", root / "out") == 0
    return root / "out", DeltaTable(str(root / "out" / "scored")).to_pandas()


def test_weights_groups_and_protected_columns_hold_together(weighted):
    out, scored = weighted
    metrics = json.loads((out / "metrics.json").read_text())
    assert scored.groupby("customer")["split"].nunique().max() == 1
    for split, rows in scored.groupby("split"):
        weight, bad = rows["sampled"], rows["bad"]
        assert metrics[split]["n"] == pytest.approx(weight.sum())
        assert metrics[split]["bad_rate"] == pytest.approx(np.average(bad, weights=weight))
        for risk, told in (("probability", metrics), ("challenger_probability", metrics["challenger"])):
            area = roc_auc_score(bad, rows[risk], sample_weight=weight)
            assert told[split]["auc"] == pytest.approx(area, abs=1e-9)
    train = scored[scored["split"] == "train"]
    bins = pd.read_csv(out / "binning.csv")
    assert set(bins["feature"]) == {"income", "late", "noise_0", "noise_1", "noise_2"}
    assert bins.groupby("feature")["count"].sum().tolist() == pytest.approx([train["sampled"].sum()] * 5)
    learnt = json.loads((out / "challenger.json").read_text())
    assert "gender" not in json.dumps(learnt) and "customer" not in json.dumps(learnt)
    selection = pd.read_csv(out / "selection.csv").set_index("feature")
    assert selection.loc[["income", "late"], "stage"].tolist() == ["kept", "kept"]


def test_the_page_compares_the_protected_groups_person_by_person(weighted):
    out, scored = weighted
    test = scored[scored["split"] == "test"].sort_values("probability")
    section = (out / "report.html").read_text().split("<h2>Fairness</h2>")[1]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", section, re.DOTALL)]
    told = {cells[1]: int(cells[2]) for cells in rows if cells and cells[0] == "gender"}
    shares = (test.groupby("probability")["sampled"].sum().cumsum() / test["sampled"].sum()).reset_index()
    limit = shares["probability"][int((shares["sampled"] <= 0.7).sum())]
    expected = test.assign(approved=test["probability"] <= limit).groupby("gender")["approved"].agg(["size", "mean"])
    assert told == expected["size"].to_dict() and expected["mean"]["f"] > expected["mean"]["m"]


def ugly_rows(n=1200):
    """An analyst's file: leaks, keys, dates, constants, and a target in words."""
    rng = np.random.default_rng(3)
    income = rng.lognormal(8, 0.5, n).round(2)
    late = rng.poisson(1.0, n)
    bad = rng.random(n) < 1 / (1 + np.exp(2.2 + 0.6 * np.log(income / 3000) * 2 - 0.7 * late))
    days = [date(2024, 1, 1) + timedelta(days=int(d)) for d in np.sort(rng.integers(0, 365, n))]
    return pd.DataFrame(
        {
            "Kunden Nr.": [f"K{i:06d}" for i in range(n)],
            "Einkommen, netto": income,
            "late.payments": late,
            "opened": [f"{d:%d.%m.%Y}" for d in days],
            "nothing": "",
            "same": "x",
            "recovered `amount`": np.where(bad, rng.integers(10, 900, n).astype(float), np.nan),
            "days in arrears": np.where(bad, rng.normal(80, 20, n), rng.normal(20, 20, n)).round(1),
            "region": rng.choice(["Nord", "Süd", "Ost, neu", 'West "alt"'], n),
            "score": rng.normal(size=n).round(3),
            "outcome": np.where(bad, "schlecht", "gut"),
        }
    )


@pytest.fixture(scope="module")
def ugly(tmp_path_factory):
    path = tmp_path_factory.mktemp("ugly") / "ugly file.csv"
    path.write_bytes(b"\xef\xbb\xbf" + ugly_rows().to_csv(index=False, sep=";").encode())
    return path


def test_an_ugly_file_is_read_screened_and_scored_in_time(card, ugly, tmp_path, capsys):
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"late.payments": [1, 2, 4]}))
    out = tmp_path / "out"
    arguments = ["--input", ugly, "--target", "outcome", "--event", "schlecht", "--time", "opened", "--output", out]
    assert card(*arguments, "--id", "Kunden Nr.", "--splits", splits, "--exclude", "recovered `amount`") == 0
    told = capsys.readouterr().err
    assert "suspected leak: 'days in arrears' alone has AUC" in told and "--exclude days in arrears drops it" in told
    scored = DeltaTable(str(out / "scored")).to_pandas()
    assert len(scored) == 1200 and {"Kunden_Nr.", "score_input", "score", "late.payments"} <= set(scored.columns)
    train, test = (pd.to_datetime(scored[scored["split"] == part]["opened"]) for part in ("train", "test"))
    assert train.max() < test.min() and len(test) == pytest.approx(360, abs=12)
    bins = pd.read_csv(out / "binning.csv")
    assert bins[bins["feature"] == "late.payments"]["bin"].tolist() == ["[-inf, 1)", "[1, 2)", "[2, 4)", "[4, inf)"]
    page = (out / "report.html").read_text()
    assert "is an identifier" not in page and "&#39;nothing&#39; is missing in all rows" in page
    assert "&#39;same&#39; has one value" in page and "<h2>Vintages</h2>" in page


def test_filled_for_one_outcome_is_named(card, ugly, tmp_path, capsys):
    arguments = ["--input", ugly, "--target", "outcome", "--event", "schlecht", "--output", tmp_path / "out"]
    assert card(*arguments, "--exclude", "days in arrears") == 3
    assert "'recovered `amount`' tells every outcome; it is the target in disguise" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "arguments", "code", "words"),
    [
        (lambda t: t.head(10), [], 3, "too few for a scorecard|one class"),
        (lambda t: t[t["outcome"] == "gut"], [], 3, "never 'schlecht'"),
        (
            lambda t: t.assign(twin=(t["outcome"] == "gut") * 7),
            [],
            3,
            "'twin' is the target in disguise.*--exclude twin",
        ),
        (lambda t: t, ["--event", "böse"], 3, "'outcome' is never 'böse'"),
        (lambda t: t, ["--weight", "nothing there"], 2, "--weight: the table has no column 'nothing there'"),
        (lambda t: t, ["--special=-7"], 3, None),
        (lambda t: t, ["--splits", "/none.json"], 2, "--splits /none.json: can't be read"),
        (lambda t: t, ["--time", "region"], 3, "time: 'region' is string"),
        (lambda t: t[["outcome", "same", "Kunden Nr."]], [], 3, "no column is left"),
    ],
)
def test_each_refusal_is_one_clear_sentence(card, tmp_path, capsys, change, arguments, code, words):
    path = tmp_path / "table.csv"
    leaks = ["recovered `amount`", "days in arrears"]
    change(ugly_rows().drop(columns=leaks)).to_csv(path, index=False)
    given = ["--input", path, "--target", "outcome", "--event", "schlecht", "--output", tmp_path / "out", *arguments]
    if words is None:
        assert card(*given) == 0
        return
    assert card(*given) == code
    told = capsys.readouterr().err
    assert re.search(words, told), told
    assert "Traceback" not in told and not (tmp_path / "out" / "scorecard.json").exists()


def test_words_ids_and_days_are_kept_or_set_aside_by_name(card, tmp_path, capsys):
    rows = ugly_rows(800)[["Einkommen, netto", "late.payments", "opened", "outcome"]]
    rows["outcome"] = rows["outcome"].map({"schlecht": "Default", "gut": "None"})
    rows.insert(0, "number", [f"{i // 10}.{i % 10}0" for i in range(800)])
    rows.loc[[5, 7], "opened"] = ["0000-00-00", "n.d."]
    path, out = tmp_path / "cases.csv", tmp_path / "out"
    given = ["--input", path, "--target", "outcome", "--event", "Default", "--id", "number", "--output", out]
    rows.assign(outcome=rows["outcome"].where(rows.index > 3)).to_csv(path, index=False)
    assert card(*given, "--time", "opened") == 3
    told = capsys.readouterr().err
    # What reading did is there when a later step refuses.
    assert "note: cases.csv: set aside for want of a time in 'opened': 2 rows, row 7 '0000-00-00', row 9 'n.d.'" in told
    assert "'outcome' is null in 4 rows" in told
    assert pd.read_csv(out / "quarantine.csv")["row"].tolist() == [7, 9]
    # The mended file is read in the same session.
    rows.to_csv(path, index=False)
    assert card(*given, "--time", "opened") == 0
    scored = DeltaTable(str(out / "scored")).to_pandas()
    assert sorted(scored["number"]) == sorted(rows["number"].drop([5, 7]))
    assert scored["outcome_input"].value_counts().to_dict() == rows["outcome"].drop([5, 7]).value_counts().to_dict()
    assert pd.read_csv(out / "quarantine.csv").drop(columns="file").to_numpy().tolist() == [
        [7, "opened", "0000-00-00", "is no day"],
        [9, "opened", "n.d.", "is no day"],
    ]
    assert json.loads((out / "metrics.json").read_text())["set_aside"] == 2
    assert "set aside for want of a time in &#39;opened&#39;: 2 rows" in (out / "report.html").read_text()


def test_numbers_as_people_write_them_are_numbers_and_can_be_overruled(card, tmp_path, capsys):
    draw = np.random.default_rng(4)
    rate, term = draw.normal(12, 3, 900).round(2), draw.choice([36, 60], 900)
    bad = (draw.random(900) < 1 / (1 + np.exp(3.2 - 0.15 * rate - 0.6 * (term == 60)))).astype(int)
    grade = np.array(["A1", "A2", "B1", "B2"])[np.digitize(rate, [9, 12, 15])]
    raw = pd.DataFrame({"rate": [f"{x}%" for x in rate], "term": [f" {x} months" for x in term], "grade": grade})
    raw.loc[::97, "rate"] = "not yet"
    raw.assign(bad=bad).to_csv(tmp_path / "t.csv", index=False)
    arguments = ["--input", tmp_path / "t.csv", "--target", "bad", "--output", tmp_path / "out"]
    assert card(*arguments, "--as", "grade=text", "--forced", "rate,term") == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "percent, 890 numbers, 10 not understood: &#39;not yet&#39;" in page and "number of month/months" in page
    found = Scorecard.from_json((tmp_path / "out" / "scorecard.json").read_text())
    kinds = {name: b.bins.reading.kind for name, b in found.kept.items() if b.bins.reading}
    assert kinds == {"rate": "percent", "term": "unit"} and found.binning.features["grade"].bins.kind == "text"
    scored = DeltaTable(str(tmp_path / "out" / "scored")).to_pandas().sort_values("rate", ignore_index=True)
    local = found.score_pandas(raw, unreadable=0.02).assign(rate=found.kept["rate"].bins.reading.series(raw["rate"]))
    assert sorted(local["score"]) == sorted(scored["score"])
    assert duckdb.sql((tmp_path / "out" / "scorecard.sql").read_text().replace("applications", "raw")).df()[
        "score"
    ].tolist() == local["score"].tolist()  # fmt: skip
    for given, words in {
        "grad=text": "--as grad=text: the table has no column 'grad'",
        "rate=money": "--as 'rate' can't be read as money",
        "rate": "--as rate=: '' is none of text, number, comma, point, percent, money, unit, order",
    }.items():
        assert card(*arguments, "--as", given) in (2, 3)
        assert words in capsys.readouterr().err
