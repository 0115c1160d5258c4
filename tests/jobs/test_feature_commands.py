"""``strata features …`` on the embedded bank: what it prints, what it writes, and how it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from strata.features import Manifest
from strata.features.store.slice_contracts import feature_table
from strata.features.views import account_views, customer_views
from strata.jobs import cli
from strata.jobs.feature_commands import CATALOGUE, JOBS
from strata.jobs.reports.pages.catalogue_entries import number
from strata.jobs.runtime.tracking import CHAMPION, Tracking
from strata.models.scorecard.scorecard import Scorecard
from strata.models.specs import loan_default
from tests.conftest import Bank, bank_at, in_zone

pytestmark = pytest.mark.integration

COMMANDS = {job.name.removeprefix("features "): job for job in JOBS}
DAYS = ("--from", "1994-03-29", "--to", "1994-03-31")


@pytest.fixture(scope="module")
def own(bank: Bank, tmp_path_factory) -> Bank:
    """A copy of the bank: what is published here makes nobody else's run outdated."""
    root = tmp_path_factory.mktemp("own")
    shutil.copytree(bank.lake, root / ".strata" / "lake")
    return bank_at(bank.spark, root, Path(bank.settings.token_key_file))


@pytest.fixture(autouse=True)
def banks_zone(own: Bank):
    with in_zone(own.spark, own.settings.bank_timezone):
        yield


def test_features_are_listed_and_described(own: Bank, capsys):
    assert own.run(COMMANDS["list"], "income_pension*") == 0
    printed = capsys.readouterr().out
    assert "income (version 1, of account)" in printed and "income_pension_90d_flag" in printed
    assert printed.strip().endswith("3 features in 1 views")
    assert own.run(COMMANDS["describe"], "income_pension_90d_flag") == 0
    printed = capsys.readouterr().out
    assert "from income_pension_count_90d_cnt" in printed and "credit_risk" in printed
    assert "on 1994-03-31: 1,229 rows, 0.0% null" in printed
    assert "missing: never null: what it is made of is 0" in printed
    assert own.run(COMMANDS["list"], "incom_*") == 2
    assert "features: nothing is called 'incom_*'; the nearest are income_*" in capsys.readouterr().err


def test_features_are_searched_by_words(own: Bank, capsys):
    assert own.run(COMMANDS["search"], "pension", "flag") == 0
    printed = capsys.readouterr().out
    assert "income_pension_90d_flag" in printed and "spending_" not in printed
    assert own.run(COMMANDS["search"], "moon", "landing") == 0
    assert "no feature's name, unit or meaning holds all of 'moon landing'" in capsys.readouterr().out


def test_a_plan_takes_patterns_of_features(own: Bank, capsys):
    assert own.run(COMMANDS["plan"], "tenure_*", "income_pension_90d_flag") == 0
    printed = capsys.readouterr().out
    assert "feature_account_tenure" in printed and "feature_account_income" in printed
    assert "feature_account_spending" not in printed
    assert own.run(COMMANDS["plan"], "tenure_*", "income_*", "--views", "income") == 0
    assert "feature_account_tenure" not in capsys.readouterr().out
    assert own.run(COMMANDS["plan"], "tenure_*", "--views", "income") == 2
    assert "--views: no feature of income is among tenure_*" in capsys.readouterr().err


def test_slices_are_planned_built_and_watched(own: Bank, capsys):
    assert own.run(COMMANDS["plan"], *DAYS) == 0
    printed = capsys.readouterr().out
    assert "transaction (event_ts, known_ts)" in printed and "shuffles 2" in printed and "without a join" in printed
    assert "feature_account_income: 1 days stand, 2 are missing (1994-03-29 to 1994-03-30)" in printed
    before = {view.name: own.tables().read(feature_table(view).name).collect() for view in account_views()}
    assert own.run(COMMANDS["build"], *DAYS) == 0
    assert own.run(COMMANDS["build"], *DAYS) == 0
    for view in account_views():
        rows = own.tables().read(feature_table(view).name)
        assert rows.select("as_of_date").distinct().count() == 3
        # The day that stood is what it was.
        assert sorted(rows.where("as_of_date = '1994-03-31'").collect()) == sorted(before[view.name])
    figures = own.tables().read("feature_statistics")
    assert figures.groupBy("as_of_date").count().count() == 3
    capsys.readouterr()
    assert own.run(COMMANDS["drift"], "--reference", "1994-03-29", "income_*") == 0
    printed = capsys.readouterr().out
    assert printed.count("stable") >= 10 and "PSI" in printed
    assert own.run(COMMANDS["drift"], "--reference", "1994-03-29", "--gate", "-1", "income_*") == 4
    assert "have a PSI above -1" in capsys.readouterr().err
    assert own.run(COMMANDS["build"], "--from", "1994-03-31", "--to", "1994-03-30") == 2
    assert "end: 1994-03-30 lies before start" in capsys.readouterr().err


def test_a_training_set_of_anybodys_spine_with_its_proxies(own: Bank, tmp_path, capsys):
    tables = own.tables()
    people = tables.read("account_holder").where("role = 'owner'").join(tables.read("customer"), "customer_id")
    spine = people.selectExpr(
        "account_id", "DATE '1994-03-31' AS asked_on", "gender", "account_id % 2 AS odd"
    ).toPandas()
    spine.sample(frac=1, random_state=1).head(800).to_csv(tmp_path / "spine.csv", index=False)
    asked = ("--spine", str(tmp_path / "spine.csv"), "--at", "asked_on", "--features", "spending_*", "balance_*")
    output = tmp_path / "out"
    given = ("--purpose", "credit_risk", "--label", "odd", "--protected", "gender", "--output", str(output))
    assert own.run(COMMANDS["training-set"], *asked, *given) == 0
    rows = own.spark.read.format("delta").load(str(output / "training_set"))
    assert rows.count() == 800 and rows.columns[-1] == "odd" and "gender" not in rows.columns
    manifest = Manifest.from_json((output / "manifest.json").read_text())
    assert manifest.spine_rows == 800 and set(manifest.tables) == {"transaction"}
    proxies = pd.read_csv(output / "proxies.csv")
    assert set(proxies["attribute"]) == {"gender"} and len(proxies) == len(manifest.features)
    assert own.run(COMMANDS["training-set"], *asked, "--purpose", "gossip", "--output", str(output)) == 2
    assert "is not for 'gossip'" in capsys.readouterr().err


def test_the_catalogue_says_what_table_and_registry_say(bank: Bank):
    assert bank.run(CATALOGUE, "--force") == 0
    page = (Path(bank.settings.reports) / "features.html").read_text()
    rows = json.loads(re.search('id="search-data">(.*?)</script>', page).group(1))
    offered = [feature.name for view in account_views() for feature in view.features]
    assert [row["name"] for row in rows] == offered
    figures = bank.tables().read("feature_statistics").where("as_of_date = '1994-03-31'").collect()
    for row in figures:
        told = _entry_of(page, row["feature"])
        for name, words in (("rows", "rows"), ("mean", "mean"), ("q50", "median"), ("max", "most")):
            assert f"<dt>{words}</dt><dd>{number(row[name])}</dd>" in told, (row["feature"], name)
    champion = Tracking(bank.settings.tracking_uri).load(loan_default.NAME, CHAMPION)
    named = f'used by</i><a href="#model-loan_default-{champion.version}-champion">'
    for name in offered:
        used = name in Scorecard.from_json(champion.text).features
        assert (named in _entry_of(page, name)) == used, name


def _entry_of(page: str, feature: str) -> str:
    """What the page says of a feature."""
    return page.split(f'id="feature-{feature}"')[1].split('<details class="f"')[0]


def test_a_bank_without_registry_or_lake_tables_has_a_catalogue_too(own: Bank, tmp_path):
    settings = own.settings.model_copy(
        update={"bank": "simulated", "lake": str(tmp_path / "lake"), "reports": str(tmp_path),
                "tracking_uri": f"sqlite:///{tmp_path}/none.db"}
    )  # fmt: skip
    assert Bank(tmp_path, settings, own.spark).run(CATALOGUE) == 0
    page = (tmp_path / "features.html").read_text()
    whole = sum(len(view.features) for view in customer_views())
    assert page.count('<details class="f"') == whole and "No model uses a feature of this bank yet." in page
    assert not (tmp_path / "none.db").exists()


def test_two_words_make_a_command(capsys):
    assert cli.main(["features", "plan", "--help"]) == 0
    assert "strata features plan" in capsys.readouterr().out
    assert cli.main(["features", "dance"]) == 2
