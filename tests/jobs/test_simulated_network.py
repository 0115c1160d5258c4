"""The network of the simulated bank: every table is written, what was planted is found, and each case has its page."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from strata.conf.tables import ALL
from strata.conf.tables.truth import TRUTH
from strata.features import FeatureStore
from strata.features.views import customer_views, network_views
from strata.jobs import build_network, show_case
from strata.jobs.build_network import PEOPLE
from strata.jobs.runtime.slices import FeatureTables
from strata.jobs.table_catalog import lake_at
from tests.conftest import Bank

pytestmark = pytest.mark.integration

AS_OF = "2025-04-01"


def planted(bank: Bank) -> dict[str, dict[int, set[int]]]:
    """kind -> group -> its customers, from the truth that only tests may read."""
    lake = lake_at(bank.spark, str(bank.root))
    lake.declare(TRUTH["truth_group"])
    groups: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in lake.read("truth_group").collect():
        groups[row["kind"]][row["group_id"]].add(row["customer_id"])
    return groups


def test_every_table_keeps_its_contract(networked: Bank):
    for name in PEOPLE:
        rows, contract = networked.tables().read(name), ALL[name]
        assert rows.columns == list(contract.names)
        assert rows.select(*contract.key).distinct().count() == rows.count(), f"{name}: the key is not one"
        empty = [c.name for c in contract.columns if not c.nullable and rows.where(F.col(c.name).isNull()).count()]
        assert not empty, name
    assert networked.tables().read("person_tie").count() > 500
    assert networked.tables().read("network_contagion").count() == networked.tables().read("customer").select(
        "customer_id"
    ).distinct().count()  # fmt: skip


def test_guarantee_circles_are_those_planted(networked: Bank):
    """Every circle in which all have borrowed and nobody has paid all back is found whole, under its kind."""
    rows = networked.tables().read("guarantee_circle").collect()
    found = defaultdict(set)
    for row in rows:
        found[row["kind"], row["circle_id"]].add(row["customer_id"])
    truth = planted(networked)
    of = {who: (kind, n) for kind in truth if kind.startswith("circle_") for n, g in truth[kind].items() for who in g}
    assert rows and all(who in of for row in rows for who in [row["customer_id"]]), "somebody is in no planted circle"
    for (kind, _), members in found.items():
        planted_kinds = {of[who][0] for who in members}
        assert len({of[who] for who in members}) == 1, "two circles were made one"
        if kind in ("cycle", "mutual", "joint"):
            assert planted_kinds == {f"circle_{kind}"}
    assert {"mutual", "cycle"} <= {kind for kind, _ in found}
    worst = max(rows, key=lambda row: row["failed_cnt"])
    assert worst["loss_amt"] >= 0 and all(0 <= row["debt_rank"] <= 1 for row in rows)


def test_rings_of_one_device_are_told_with_their_reason(networked: Bank):
    alerts = {row["case_id"]: row for row in networked.tables().read("fraud_alert").collect()}
    evidence = networked.tables().read("network_evidence").where("case_id LIKE 'ring:%'").collect()
    members = defaultdict(set)
    for row in evidence:
        members[row["case_id"]].add(int(row["src_key"].partition(":")[2]))
    truth = planted(networked)
    inside = {who for kind in truth if kind.startswith("ring_") for group in truth[kind].values() for who in group}
    told = {who for case, people in members.items() if case in alerts for who in people}
    assert told and told <= inside, "a ring was told of people who are in none"
    wanted = list(truth["ring_shared_device"].values())
    known = {row[0] for row in networked.tables().read("device").groupBy("customer_id").count().collect()}
    for group in wanted:
        assert len(group & told) >= 0.7 * len(group & known), "a ring of one device was not told"
    assert all("sign in from one device" in row["reason"] or "have one phone" in row["reason"]
               for case, row in alerts.items() if case.startswith("ring:"))  # fmt: skip


def test_contagion_re_enters_the_feature_store_and_the_own_outcome_never_counts(networked: Bank):
    tables = FeatureTables(networked.tables())
    store = FeatureStore(networked.spark, tables, views=(*customer_views(), *network_views()))
    people = networked.tables().read("network_contagion").select("customer_id", "contagion_all_cnt").limit(50)
    spine = people.select("customer_id").withColumn("at", F.lit("2025-04-03").cast("timestamp"))
    names = ["contagion_all_cnt", "contagion_age_days"]
    rows = store.training_set(spine, names, purpose="credit_risk").collect()
    wanted = dict(people.collect())
    assert {row["customer_id"]: row["contagion_all_cnt"] for row in rows} == wanted
    assert {row["contagion_age_days"] for row in rows} == {2}
    assert networked.tables().read("person_tie").where("customer_id = neighbour_id").count() == 0


def test_referrals_keep_away_from_rings_and_from_who_has_not_agreed(networked: Bank):
    pairs = networked.tables().read("referral_candidate")
    assert pairs.where("is_allowed").count() > 20
    assert pairs.where("is_allowed AND refusal IS NOT NULL OR NOT is_allowed AND refusal IS NULL").count() == 0
    assert pairs.where("place > 10 OR reason = ''").count() == 0
    risky = networked.tables().read("network_evidence").where("case_id LIKE 'ring:%'").select("src_key").distinct()
    named = pairs.withColumn("src_key", F.concat(F.lit("customer:"), "customer_id"))
    assert named.join(risky, "src_key", "left_semi").where("is_allowed").count() == 0
    owned = networked.tables().read("customer").where("known_ts <= '2025-04-01'")
    phones = owned.select(F.concat(F.lit("phone:"), "phone_hash").alias("prospect_key"))
    assert pairs.join(phones, "prospect_key", "left_semi").count() == 0, "a prospect is a customer already"
    seeds = networked.tables().read("key_customer")
    assert seeds.groupBy("manager_id").agg(F.max("reached_cnt").alias("n")).where("n < 1").count() == 0


def test_referral_paths_lead_from_the_customer_to_each_prospect_that_may_be_asked_for(networked: Bank):
    tables = networked.tables()
    pair = ["customer_id", "prospect_key"]
    may = {(row[0], row[1]): row[2] for row in tables.read("referral_candidate").where("is_allowed").select(
        *pair, "step_cnt").collect()}  # fmt: skip
    ways = defaultdict(set)
    for row in tables.read("referral_path").collect():
        ways[row["customer_id"], row["prospect_key"]].add((row["src_key"], row["dst_key"]))
    assert ways.keys() == may.keys()
    for (who, prospect), steps in may.items():
        start, legs = f"customer:{who}", ways[who, prospect]
        after = {dst for src, dst in legs if src == start}
        assert after and {src for src, _ in legs} <= after | {start}
        assert (start, prospect) in legs if steps == 1 else any((via, prospect) in legs for via in after)


def test_large_exposures_are_sums_of_what_groups_owe(networked: Bank):
    capital = networked.settings.tier1_capital
    owed, members = defaultdict(int), defaultdict(int)
    for row in networked.tables().read("connected_group").collect():
        owed[row["group_id"]] += row["exposure_amt"]
        members[row["group_id"]] += 1
    large = {row["group_id"]: row for row in networked.tables().read("large_exposure").collect()}
    assert set(large) == {group for group, sum_of in owed.items() if sum_of >= capital / 40} and large
    for group, row in large.items():
        limit = capital * 20 / 100 if members[group] > 1 else capital * 15 / 100
        assert (row["group_exposure_amt"], row["limit_amt"]) == (owed[group], limit)
        assert row["breach_flag"] == (owed[group] > limit)


def test_groups_are_born_on_the_first_day(networked: Bank):
    groups = networked.tables().read("network_group")
    events = networked.tables().read("network_group_event").collect()
    assert {(row["kind"], row["from_group"]) for row in events} == {("born", -1)}
    assert sum(row["member_cnt"] for row in events) == groups.count()
    assert groups.groupBy("group_id").count().where("count < 2").count() == 0


def test_each_kind_of_case_has_a_page(networked: Bank):
    cases = networked.tables().read("network_evidence")
    first = {row[0].partition(":")[0]: row[0] for row in cases.groupBy("case_id").count().collect()}
    group = networked.tables().read("network_group").collect()[0]["group_id"]
    assert {"ring", "circle", "exposure"} <= set(first)
    referrer = networked.tables().read("referral_path").collect()[0]["customer_id"]
    for name in (*first.values(), f"group:{group}", f"referral:{referrer}"):
        assert networked.run(show_case.JOB, "--case", name) == 0
        page = Path(networked.settings.reports) / f"case_{name.replace(':', '_')}_{AS_OF}.html"
        data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.S).group(1))
        assert len(data["nodes"]) >= 2 and data["ties"], name
        if name.startswith(("circle", "exposure")):
            # Guarantees are dated by days: midnights of the bank, wherever the page is made.
            assert all(" 00:00" in tie["words"] for tie in data["ties"]), name


def test_a_case_that_is_not_there_is_refused_with_names_that_are(networked: Bank, capfd):
    assert networked.run(show_case.JOB, "--case", "ring:1") == 2
    told = "".join(capfd.readouterr())
    assert "there is no case 'ring:1' on 2025-04-01; there are for example" in told


def test_the_same_day_again_is_already_done(networked: Bank, capfd):
    assert networked.run(build_network.JOB) == 0
    assert "already done" in "".join(capfd.readouterr())
