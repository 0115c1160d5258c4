"""``strata uplift`` on whole files: a made-up campaign with known effects, and everything that it must refuse."""

from __future__ import annotations

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable

from strata.conf.settings import load_settings
from strata.jobs import uplift
from strata.jobs.job_runner import execute, parser
from strata.models import Uplift

pytestmark = pytest.mark.integration

ROWS = 2_500
ARMS = ["Letter", "No contact", "Phone call"]


def campaign(rows: int = ROWS) -> pd.DataFrame:
    """Letters move the young in town; nobody else; phone calls are another arm."""
    rng = np.random.default_rng(8)
    age, town = rng.integers(18, 80, rows), rng.choice(["town", "village"], rows)
    arm = rng.choice(ARMS, rows, p=[0.45, 0.45, 0.1])
    effect = 0.4 * (age < 45) * (town == "town") * (arm == "Letter")
    bought = (rng.uniform(size=rows) < 0.15 + effect).astype(int)
    opened = np.where(arm == "Letter", rng.uniform(size=rows) < 0.5, 0).astype(int)
    table = {"Client No": np.arange(rows), "Age": age, "Place": town, "Income": rng.lognormal(10, 1, rows).round()}
    return pd.DataFrame(table | {"opened": opened, "Arm": arm, "Bought": bought, "effect": effect})


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = tmp_path_factory.mktemp("uplift")
    return load_settings("test", lake=str(root / "lake"), tracking_uri=f"sqlite:///{root}/mlflow.db")


@pytest.fixture(scope="module")
def called(spark, settings):
    """The job in this session: exit code of a call."""

    def call(*arguments: object) -> int:
        return execute(uplift.JOB, settings, parser(uplift.JOB).parse_args([*map(str, arguments)]), spark)

    return call


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("campaign") / "campaign.csv"
    campaign().drop(columns="effect").to_csv(path, index=False, sep=";")
    return path


@pytest.fixture(scope="module")
def answered(called, file, tmp_path_factory):
    out = tmp_path_factory.mktemp("answer") / "out"
    arms = ["--treatment", "arm", "--treated", "letter", "--control", "No contact"]
    money = ["--cost", "0.05", "--value", "1", "--exclude", "opened"]
    assert called("--input", file, "--outcome", "BOUGHT", *arms, "--id", "client no", *money, "--output", out) == 0
    return out


def test_everything_is_written(answered):
    assert sorted(path.name for path in answered.iterdir()) == ["metrics.json", "model.json", "report.html", "scored"]
    metrics, table = json.loads((answered / "metrics.json").read_text()), campaign()
    inside = table[table["Arm"] != "Phone call"]
    assert metrics["left_out"] == len(table) - len(inside)
    parts = [metrics[part][arm] for part in ("train", "test") for arm in ("treated", "control")]
    assert sum(parts) == len(inside) and 0.27 < sum(parts[2:]) / len(inside) < 0.33
    assert metrics["normalised"] > 0.1 and metrics["intervals"]["area"]["low"] > 0
    assert metrics["uplift_at_10"] > metrics["ate"] and metrics["seconds"] > 0
    for name, interval in metrics["intervals"].items():
        assert interval["low"] < metrics[name] < interval["high"]
    assert 0 < metrics["best_share"] < 1 and metrics["net_gain"] > 0


def test_figures_are_those_of_the_scored_rows(answered):
    metrics, scored = (
        json.loads((answered / "metrics.json").read_text()),
        DeltaTable(str(answered / "scored")).to_pandas(),
    )
    test = scored[scored["split"] == "test"]
    means = test.groupby("treated")["Bought"].mean()
    assert metrics["ate"] == pytest.approx(means[1] - means[0], abs=1e-12)
    counts = scored.groupby(["split", "treated"]).size()
    assert counts["train", 1] == metrics["train"]["treated"] and counts["test", 0] == metrics["test"]["control"]
    rates = scored.groupby(["split", "treated"])["Bought"].mean()
    assert rates["train"].to_numpy() == pytest.approx(rates["test"].to_numpy(), abs=0.01)
    young = scored[(scored["Age"] < 45) & (scored["Place"] == "town")]
    assert young["uplift"].mean() > 0.25 and scored.drop(young.index)["uplift"].abs().mean() < 0.08


def test_the_model_scores_the_same_rows_alike(answered, spark):
    model = Uplift.from_json((answered / "model.json").read_text())
    scored = spark.read.format("delta").load(str(answered / "scored"))
    assert set(model.spec.features) == {"Age", "Place", "Income"}
    again = model.score(scored.withColumnRenamed("uplift", "first")).select("first", "uplift").toPandas()
    assert again["first"].tolist() == again["uplift"].tolist()


def test_the_page_says_what_a_campaign_asks(answered):
    page = (answered / "report.html").read_text()
    for title in ("Summary", "Arms", "Qini curve", "Deciles", "Drivers", "Money", "Data"):
        assert f"<h2>{title}</h2>" in page
    assert "rows of other arms are left out" in page and "<script" not in page
    assert "better than a random one is not certain" not in page


def test_the_run_is_tracked(answered, settings):
    mlflow.set_tracking_uri(settings.tracking_uri)
    run = mlflow.search_runs(search_all_experiments=True, filter_string="tags.kind = 'uplift'").iloc[0]
    metrics = json.loads((answered / "metrics.json").read_text())
    assert run["metrics.test_normalised"] == pytest.approx(metrics["normalised"])
    named = {file.path for file in mlflow.MlflowClient().list_artifacts(run["run_id"])}
    assert {"report.html", "model.json", "metrics.json"} <= named


def test_a_feature_set_by_the_treatment_is_warned_of(called, file, tmp_path, capsys):
    table = pd.read_csv(file, sep=";")
    rng = np.random.default_rng(1)
    table["mood"] = rng.normal(size=len(table)) + 0.15 * (table["Arm"] == "Letter")
    table.drop(columns="opened").to_csv(tmp_path / "t.csv", index=False)
    arms = ["--treatment", "Arm", "--treated", "Letter", "--control", "No contact"]
    assert called("--input", tmp_path / "t.csv", "--outcome", "Bought", *arms, "--output", tmp_path / "out") == 0
    assert "suspected leak: 'mood' differs between random arms" in capsys.readouterr().err


def test_a_chosen_treatment_is_refused_unless_it_is_said(called, tmp_path, capsys):
    table = campaign().assign(Arm=lambda rows: (rows["Income"].rank(pct=True) > np.linspace(0, 1, ROWS)) * 1)
    table.drop(columns=["effect", "opened", "Client No"]).to_csv(tmp_path / "t.csv", index=False)
    given = ["--input", tmp_path / "t.csv", "--outcome", "Bought", "--treatment", "Arm", "--output", tmp_path / "out"]
    assert called(*given) == 3
    assert "so it was not drawn at random" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert called(*given, "--observational") == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["overlap"]["auc"] > 0.6
    assert "weighed by the inverse" in (tmp_path / "out" / "report.html").read_text()
    assert "arm_weight" in DeltaTable(str(tmp_path / "out" / "scored")).to_pandas()


REFUSED = {
    "--outcome: the table has no column 'sold'": ["--outcome", "sold"],
    "--exclude: the table has no column 'x'": ["--exclude", "x"],
    "--treatment: 'bought' is the outcome too": ["--treatment", "bought"],
    "'Arm': the treatment is not 0 and 1 but": ["--treated", None, "--control", None],
    "--treated: 'Arm' has no value 'Leter'; the nearest are 'Letter'": ["--treated", "Leter"],
    "--control: 'letter' and --treated are the same arm": ["--control", "letter", "--treated", "LETTER"],
    "--treated and --control: name both": ["--control", None],
    "--cost and --value: the net gain needs both": ["--cost", "1"],
    "'Place': the outcome is string": ["--outcome", "Place"],
    "'one': the outcome is 1 in all rows": ["--outcome", "one"],
    "'holes': the outcome is missing in": ["--outcome", "holes"],
    "'one': the treatment has one value only": ["--treatment", "one"],
    "'few': 9 treated rows are too few": ["--treatment", "few", "--treated", "1", "--control", "0"],
    "'rare': 5 rows have an outcome other than 0": ["--outcome", "rare"],
    "'gaps': the treatment is missing in 1 rows": ["--treatment", "gaps", "--treated", None, "--control", None],
    "--learner class: needs an outcome of 0 and 1": ["--outcome", "Income", "--learner", "class"],
    "no such file": ["--input", "/nowhere/t.csv"],
}


@pytest.fixture(scope="module")
def ugly(tmp_path_factory):
    table = campaign(1_500).drop(columns=["effect", "opened"])
    place = np.arange(len(table))
    table["one"], table["rare"], table["few"] = 1, (place < 5) * 1, (place < 9) * 1
    table.loc[table["Arm"] == "Phone call", "rare"] = 0
    table["rare"] = ((table["Arm"] != "Phone call").cumsum() <= 5) * (table["Arm"] != "Phone call") * 1
    table["holes"] = table["Bought"].where(place > 40)
    table["gaps"] = (place % 2 * 1.0).astype(object)
    table.loc[0, "gaps"] = None
    path = tmp_path_factory.mktemp("ugly") / "t.csv"
    table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_sentence(called, ugly, tmp_path, capsys, sentence):
    given = {"--input": ugly, "--outcome": "Bought", "--treatment": "Arm", "--treated": "Letter"}
    given |= {"--control": "No contact", "--output": tmp_path / "out"}
    given |= dict(zip(REFUSED[sentence][::2], REFUSED[sentence][1::2], strict=True))
    arguments = [part for name, value in given.items() if value is not None for part in (name, value)]
    assert called(*arguments) in (2, 3)
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error and not (tmp_path / "out").exists()
