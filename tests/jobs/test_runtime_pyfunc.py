"""A registered model, whichever kind it is, loads by our registry and by MLflow's, and promotion moves both."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
import pytest

from strata.jobs.runtime.pyfunc import read_model, save_pyfunc
from strata.jobs.runtime.tracking import CHALLENGER, CHAMPION, Tracking
from strata.models import ScorecardSpec, fit_scorecard
from strata.models.boosting.trees import BoostingSpec, fit_boosting

pytestmark = pytest.mark.integration

NAME = "loan_default"


@pytest.fixture(scope="module")
def rows(spark):
    rng = np.random.default_rng(3)
    income, late = rng.normal(size=300), rng.integers(0, 4, 300)
    bad = (rng.random(300) < 1 / (1 + np.exp(1 + income - late / 2))).astype(int)
    return pd.DataFrame({"income": income, "late": late, "bad": bad})


@pytest.fixture(scope="module")
def models(spark, rows):
    data = spark.createDataFrame(rows)
    features = ["income", "late"]
    card = fit_scorecard(data, ScorecardSpec("bad", features, forced=features, max_p_value=None, reasons=2))
    return {"scorecard": card, "boosted": fit_boosting(data, BoostingSpec(target="bad", features=features, trees=5))}


def test_registered_models_load_by_both_registries(spark, rows, models, tmp_path):
    tracking = Tracking(f"sqlite:///{tmp_path}/mlflow.db")
    for kind, alias in (("scorecard", CHAMPION), ("boosted", CHALLENGER)):
        with tracking.run(kind, {}, {"kind": kind}) as run_id:
            files = {f"{kind}.json": models[kind].to_json(), "points.csv": "feature,points\n"}
            tracking.alias(NAME, alias, tracking.register(NAME, run_id, kind, files, "for a test"))
        stored = mlflow.artifacts.list_artifacts(run_id=run_id, artifact_path=NAME)
        names = {file.path.removeprefix(f"{NAME}/") for file in stored}
        assert {"MLmodel", "data", "points.csv"} <= names and not [name for name in names if name.endswith(".pkl")]
    for _ in range(2):
        for alias in (CHAMPION, CHALLENGER):
            registered = tracking.load(NAME, alias)
            assert registered.text == models[registered.kind].to_json()
            loaded = mlflow.pyfunc.load_model(f"models:/{NAME}@{alias}")
            assert loaded.metadata.get_input_schema().input_names() == ["income", "late"]
            pd.testing.assert_frame_equal(loaded.predict(rows), models[registered.kind].score_pandas(rows))
        tracking.promote(NAME)
    assert tracking.load(NAME, CHAMPION).kind == "scorecard"


def test_a_version_from_before_pyfunc_still_loads(models, tmp_path):
    tracking = Tracking(f"sqlite:///{tmp_path}/mlflow.db")
    text = models["scorecard"].to_json()
    (tmp_path / "old" / NAME).mkdir(parents=True)
    (tmp_path / "old" / NAME / "scorecard.json").write_text(text)
    tracking.client.create_registered_model(NAME)
    tracking.client.create_model_version(NAME, (tmp_path / "old" / NAME).as_uri(), tags={"kind": "scorecard"})
    tracking.alias(NAME, CHAMPION, 1)
    assert tracking.load(NAME, CHAMPION).text == text


def test_the_boosted_model_scores_pandas_as_spark(spark, rows, models):
    boosted = models["boosted"]
    local = boosted.score_pandas(rows)
    scored = boosted.score(spark.createDataFrame(rows.assign(id=rows.index))).toPandas().sort_values("id")
    for name in local.columns:
        assert local[name].tolist() == scored[name].tolist()


def test_refusals_name_the_argument(models, rows, tmp_path):
    with pytest.raises(ValueError, match="kind: 'tree' is none of scorecard, boosted"):
        read_model("tree", "{}")
    for model in models.values():
        with pytest.raises(ValueError, match="there is no column 'late'"):
            model.score_pandas(rows.drop(columns="late"))
    save_pyfunc(models["scorecard"], tmp_path / "model")
    with pytest.raises(mlflow.exceptions.MlflowException, match="late"):
        mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(rows.drop(columns="late"))
