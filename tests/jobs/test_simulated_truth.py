"""What is planted in the simulated bank can be found again, as strongly as it says, and its shapes are real ones."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression

from strata.conf.simulation import load_calendar, load_simulation
from strata.jobs.simulate import behaviour, collection, credit, marketing, money, ties, truth, work
from strata.jobs.simulate.bank import Bank
from strata.jobs.simulate.behaviour import geohash
from strata.jobs.simulate.draws import Draws
from strata.jobs.simulate.groups import out_for_money
from strata.jobs.simulate.world import World

pytestmark = pytest.mark.oracle

MONTHS, MANY = 12, 12_000


@pytest.fixture(scope="module", params=[3_000, pytest.param(MANY, marks=pytest.mark.slow)])
def customers(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def room(customers: int) -> float:
    """How much wider the bounds of a mean are than among ``MANY`` customers."""
    return (MANY / customers) ** 0.5


@pytest.fixture(scope="module")
def bank(spark: SparkSession, customers: int) -> Bank:
    sim = load_simulation(seed=11, customers=customers, start=date(2024, 1, 1), months=MONTHS)
    return Bank(World(spark, sim, 0, MONTHS - 1))


@pytest.fixture(scope="module")
def people(bank: Bank) -> pd.DataFrame:
    return bank.people.drop("home_address", "next_address").toPandas()


@pytest.fixture(scope="module")
def applications(bank: Bank) -> pd.DataFrame:
    return truth.credits(bank).toPandas()


@pytest.fixture(scope="module")
def lent(bank: Bank) -> pd.DataFrame:
    columns = ["loan_id", "opened_on", "circle", "circle_kind", "circle_place", "ring", "month_no", "stops", "true_pd"]
    return bank.lent.select(*columns, "infected_by", "customer_id").toPandas()


def test_draws_are_uniform_normal_and_poisson(spark: SparkSession):
    draws = Draws(5)
    rows = spark.range(20_000).select("id", draws.uniform("u", "id").alias("u"), draws.normal("z", "id").alias("z"))
    rows = draws.counted(rows, "few", 1.3, "few", "id").withColumn("other", draws.uniform("v", "id")).toPandas()
    assert abs(rows["u"].mean() - 0.5) < 0.01 and abs(rows["u"].std() - 12**-0.5) < 0.01
    assert abs(rows["z"].mean()) < 0.03 and abs(rows["z"].std() - 1) < 0.02
    assert abs(rows["few"].mean() - 1.3) < 0.03 and abs(rows["few"].var() - 1.3) < 0.06
    assert abs(np.corrcoef(rows["u"], rows["other"])[0, 1]) < 0.02


def test_traits_are_standard_and_hang_together(people: pd.DataFrame, room: float):
    for trait in ("ability", "willingness", "stability", "sociability", "price_sensitivity"):
        assert abs(people[trait].mean()) < 0.05 * room and abs(people[trait].std() - 1) < 0.05 * room, trait
    assert people["ability"].corr(people["willingness"]) == pytest.approx(0.3, abs=0.05 * room)
    assert people["digital"].corr(people["age"]) < -0.3


def test_incomes_and_ages_are_those_of_the_sources(people: pd.DataFrame):
    working = people[people["work"] != "none"]["income"]
    assert 5_500 < working.median() < 8_500
    assert 0.30 < gini(working) < 0.47
    assert 0.22 < people["age"].between(25, 35).mean() < 0.28
    assert people["id_number"].is_unique and (people["id_number"].str.len() == 18).all()
    assert 0.035 < (people["employer"] == 0).mean() < 0.07


def gini(values: pd.Series) -> float:
    ordered = np.sort(values.to_numpy())
    ranks = np.arange(1, len(ordered) + 1)
    return float((2 * ranks - len(ordered) - 1).dot(ordered) / (len(ordered) * ordered.sum()))


def test_households_are_of_real_sizes(people: pd.DataFrame):
    usual = people[people["ring"].isna() & people["circle"].isna()]
    sizes = usual.groupby("household").size()
    assert (sizes == usual.groupby("household")["household_size"].first()).all()
    assert 1.9 < sizes.mean() < 2.8
    assert usual.groupby("household")["district"].nunique().max() == 1


def test_the_planted_drivers_are_found_with_their_weights(bank: Bank, people: pd.DataFrame, applications: pd.DataFrame):
    """A logistic regression of who would default on the traits: the refused too, so nothing is selected away."""
    rows = applications.merge(people, on="customer_id")
    plain = rows[rows["ring"].isna() & rows["circle"].isna()]
    traits = ["willingness", "ability", "stability"]
    bad = plain["would_default"].astype(int)
    found = dict(zip(traits, LogisticRegression(C=1000).fit(plain[traits], bad).coef_[0], strict=True))
    weights = bank.world.sim.credit.drivers
    # Enough bads for the bound below to tell the weight of willingness from none.
    assert 3 / bad.sum() ** 0.5 < abs(weights["willingness"])
    # Ability also works through the instalment's share of income, so its own weight is a bound.
    assert found["willingness"] == pytest.approx(weights["willingness"], abs=3 / bad.sum() ** 0.5)
    assert found["stability"] == pytest.approx(weights["stability"], abs=3 / bad.sum() ** 0.5)
    assert found["ability"] < 0


def test_true_chances_are_those_that_come_true(applications: pd.DataFrame):
    true, came = applications["true_pd"], applications["would_default"].astype(float)
    spread = (true * (1 - true)).sum() ** 0.5
    assert abs(came.sum() - true.sum()) < 3.5 * spread
    parts = pd.qcut(true, 4, labels=False)
    assert came.groupby(parts).mean().is_monotonic_increasing


def test_the_old_policy_refused_the_worse_but_not_only(bank: Bank, applications: pd.DataFrame, room: float):
    refused = applications["decision"] == "declined"
    assert abs(refused.mean() - bank.world.sim.credit.refused) < 0.06 * room
    assert applications.loc[refused, "true_pd"].mean() > 1.2 * applications.loc[~refused, "true_pd"].mean()
    assert (applications.loc[refused, "would_default"]).sum() > 0, (
        "the refused would not all have been bad, nor all good"
    )
    assert (~applications.loc[refused, "would_default"]).mean() > 0.5


def test_dearer_offers_are_accepted_less(applications: pd.DataFrame, room: float):
    assert (applications["acceptance_a_point_dearer"] < applications["acceptance"]).all()
    offered = applications[applications["decision"] != "declined"]
    assert abs((offered["decision"] == "approved").mean() - offered["acceptance"].mean()) < 0.06 * room


def test_hazards_rise_after_the_drift(bank: Bank):
    world = bank.world
    first = bank.asked.where("circle IS NULL AND ring IS NULL").withColumn("h", F.element_at("hazard", 1))
    score = F.exp(credit.driver_score(world)) * F.when(F.col("product_code") == "scene", 0.0408).when(
        F.col("product_code") == "business", 0.0356
    ).otherwise(0.0305)
    rows = first.select("month_no", (F.col("h") / score).alias("ratio")).toPandas()
    late = rows["month_no"] + 1 >= world.drift_month
    assert rows.loc[late, "ratio"].median() / rows.loc[~late, "ratio"].median() == pytest.approx(
        world.sim.drift.hazard, rel=0.02
    )


def test_default_spreads_in_guarantee_circles(bank: Bank, lent: pd.DataFrame, room: float):
    circles = lent[lent["circle"].notna()]
    fallen = dict(zip(circles["customer_id"], circles["stops"], strict=True))
    infected = circles[circles["infected_by"].notna()]
    assert len(infected) > 3 / room**2
    for loan in infected.itertuples():
        assert fallen[loan.infected_by] < loan.stops
    pairs = ties.guarantees(bank.world, bank.lent).toPandas()
    size = bank.world.sim.groups.circle_size
    by_kind = pairs.merge(
        circles[["customer_id", "circle_kind", "circle"]], left_on="src_customer_id", right_on="customer_id"
    )
    number = circles.groupby("circle_kind")["circle"].nunique()
    wanted = {"mutual": size, "cycle": size, "joint": size - 1, "chain": size - 1}
    assert by_kind.groupby("circle_kind").size().to_dict() == {
        kind: wanted[kind] * number[kind] for kind in number.index
    }


def test_fates_of_a_circle_by_hand():
    members = pd.DataFrame(
        {
            "circle_kind": "chain",
            "circle_place": [0, 1, 2],
            "customer_id": [10, 11, 12],
            "loan_id": [1, 2, 3],
            "_draws": [[0.5, 0.5, 0.05, 0.5], [0.5, 0.04, 0.5, 0.5], [0.005, 0.5, 0.5, 0.5]],
            "_hazards": [[0.01] * 4] * 3,
        }
    )
    found = credit._fates(members, factor=6.0, size=3).set_index("loan_id")
    assert found["stops"].to_dict() == {3: 1, 2: 2, 1: 3}
    assert found["infected_by"].dropna().to_dict() == {2: 12, 1: 11}


def test_uplift_measured_from_the_control_group_is_the_true_one(bank: Bank, room: float):
    seen = marketing.touches(bank.world, bank.people).where("response_ts IS NOT NULL")
    rows = seen.groupBy("channel", "treatment").agg(
        F.avg((F.col("response") == "take_up").cast("double")).alias("rate"), F.count("*").alias("n")
    )
    rates = rows.toPandas().pivot(index="channel", columns="treatment", values="rate")
    true = marketing.true_responses(bank.world, bank.people)
    means = (
        true.groupBy("channel").agg(F.avg("treated").alias("treated"), F.avg("untreated").alias("control")).toPandas()
    )
    means = means.set_index("channel")
    both = rates.join(means, lsuffix="_seen")
    assert np.abs(both["treated_seen"] - both["treated"]).max() < 0.02 * room
    assert np.abs(both["control_seen"] - both["control"]).mean() < 0.02 * room
    put_off = true.where("treated < untreated").count() / true.count()
    assert 0.005 < put_off < 0.3, "some are put off by being approached"


def test_amounts_follow_benford_and_days_the_calendar(bank: Bank, room: float):
    world = bank.world
    some = bank.account_months.where("position % 8 = 0")
    paid = money.transactions(world, some, bank.people, bank.lent, bank.paid)
    rows = (
        paid.where("channel = 'card'")
        .select(F.to_date("occurred_at").alias("day"), F.col("amount").cast("double"))
        .toPandas()
    )
    digits = rows["amount"].map(lambda amount: int(f"{amount:.6e}"[0]))
    share = digits.value_counts(normalize=True).sort_index()
    benford = np.log10(1 + 1 / np.arange(1, 10))
    assert np.abs(share.to_numpy() - benford).max() < 0.02 * room
    by_day = rows.groupby("day").size()
    index = pd.to_datetime(pd.Series(by_day.index))
    calendar = load_calendar()
    off = by_day.index.isin(list(calendar.holidays))
    weekend = (index.dt.weekday >= 5).to_numpy() & ~off & ~by_day.index.isin(list(calendar.worked))
    usual = by_day[~off & ~weekend].median()
    assert by_day[off].median() > 1.1 * usual
    assert by_day[weekend].median() > 1.05 * usual


def test_contacts_have_a_long_tail_and_friends_are_mutual(bank: Bank, people: pd.DataFrame):
    known = bank.known.select("position", "other", "tie").toPandas()
    degree = known.groupby("position").size()
    assert 8 < degree.mean() < 20
    assert degree.quantile(0.99) > 2 * degree.median()
    near = known[known["tie"] == "near"]
    sharing = set(known["position"])
    pairs = set(zip(near["position"], near["other"], strict=True))
    back = [(other, one) in pairs for one, other in pairs if other in sharing]
    # A synthetic identity shares nothing but a few numbers of outsiders.
    assert np.mean(back) > 0.97


def test_contributions_are_shares_of_bases_between_floor_and_ceiling(bank: Bank):
    numbers = bank.world.sim.contributions
    rows = work.social_insurance(bank.world, bank.people.where("position % 6 = 0")).toPandas()
    paid = rows[rows["status"] != "stopped"]
    assert rows["base"].between(numbers.base_floor, numbers.base_ceiling).all()
    assert np.allclose(paid["amount"], paid["base"] * numbers.social_rate, atol=0.011)
    assert (rows.loc[rows["status"] == "stopped", "amount"] == 0).all()


def test_who_is_reached_cures_more(bank: Bank):
    rows = bank.people.select(
        collection.cure_chance(bank.world, contacted=False).alias("alone"),
        collection.cure_chance(bank.world, contacted=True).alias("reached"),
    ).toPandas()
    assert (rows["reached"] > rows["alone"]).all()
    assert rows["reached"].max() <= 1


def test_a_schedule_adds_up_to_its_loan(bank: Bank):
    rows = bank.due.groupBy("loan_id").agg(
        F.sum("due_principal").alias("sum"), F.count("*").alias("n"), F.min("balance").alias("left")
    )
    rows = rows.join(bank.lent.select("loan_id", "principal", "term_months"), "loan_id")
    assert rows.count() == bank.lent.count()
    assert rows.where("sum <> principal OR n <> term_months OR left <> 0").count() == 0


def test_geohash_is_that_of_its_inventor(spark: SparkSession):
    places = [(57.64911, 10.40744, "u4pruyd"), (-25.382708, -49.265506, "6gkzwgj"), (30.6, 114.2, "wt3mb29")]
    rows = spark.createDataFrame(places, "lat double, lon double, wanted string")
    found = rows.select(geohash(F.col("lat"), F.col("lon")).alias("found"), "wanted").collect()
    assert [row.found for row in found[:2]] == [row.wanted for row in found[:2]]
    assert found[2].found.startswith("wt3")


def test_rings_of_one_device_and_of_made_up_people_share_what_they_should(people: pd.DataFrame, room: float):
    rings = people[people["ring"].notna()]
    found = rings.groupby(["ring_kind", "ring"]).agg(devices=("device_serial", "nunique"), phones=("phone", "nunique"))
    size = int(rings.groupby("ring").size().iloc[0])
    wanted = {"shared_device": (1, size), "synthetic_identity": (size, 2)}
    for kind in rings["ring_kind"].unique():
        numbers = found.xs(kind)
        assert len(numbers) >= 4 / room**2
        assert (numbers[["devices", "phones"]] == wanted.get(kind, (size, size))).all(axis=None), kind
    usual = people[people["ring"].isna()]
    assert usual["device_serial"].is_unique
    hubs = usual[usual["phone"].str.startswith("10000000")]
    assert hubs["phone"].nunique() == 3 and 0.01 < len(hubs) / len(usual) < 0.03
    assert usual.drop(hubs.index)["phone"].is_unique


def test_who_forges_types_fast_and_pastes(bank: Bank, room: float):
    forges = out_for_money()
    some = bank.people.where(forges | (F.col("position") < 400))
    typed = behaviour.app_events(bank.world, some).where("action = 'input'")
    rows = typed.join(some.select("customer_id", forges.alias("forges")), "customer_id").toPandas()
    middle = rows.groupby("forges")["typing_ms_per_char"].median()
    pasted = rows.groupby("forges")["paste_count"].mean()
    assert rows["forges"].value_counts().min() > 100 / room**2
    assert middle[True] / middle[False] == pytest.approx(90 / 230, rel=0.1)
    assert pasted[True] == pytest.approx(2.5, abs=0.3) and pasted[False] == pytest.approx(0.12, abs=0.03)


def test_sums_go_along_chains_and_round_cycles(bank: Bank, room: float):
    """Every hop by hand: to the next member's account, later and in a chain a fee less."""
    rows = money._rings(bank.world, bank.people)
    member = bank.people.select("position", "ring", "ring_kind", "ring_place", "account_number")
    moves = rows.select("position", "month_no", "direction", "occurred_at", "amount", "counterparty_account")
    moves = moves.join(member, "position").toPandas()
    out = moves[moves["direction"] == "debit"].set_index(["ring", "month_no", "ring_place"]).sort_index()
    accounts = out.reset_index().drop_duplicates(["ring", "ring_place"]).set_index(["ring", "ring_place"])
    size, hops = bank.world.sim.groups.ring_size, 0
    for (ring, month), hop in out.groupby(level=["ring", "month_no"]):
        kind = hop["ring_kind"].iloc[0]
        steps = hop.droplevel(["ring", "month_no"])
        assert list(steps.index) == list(range(size))
        assert steps["occurred_at"].is_monotonic_increasing
        kept = steps["amount"].astype(float) / float(steps["amount"].iloc[0])
        assert np.allclose(kept, (1 - bank.world.sim.groups.mule_fee) ** np.arange(size), atol=1e-3)
        following = [accounts.loc[(ring, (place + 1) % size), "account_number"] for place in range(size)]
        wanted = following if kind == "transfer_cycle" else [*following[:-1], f"X9{ring}"]
        assert list(steps["counterparty_account"]) == wanted, (ring, month)
        hops += size
    assert hops > 300 / room**2
    into = moves[(moves["direction"] == "credit") & (moves["ring_kind"] == "mule_chain") & (moves["ring_place"] == 0)]
    assert (into.groupby(["ring", "month_no"])["counterparty_account"].nunique() == 6).all()


def test_who_refers_is_a_friend_and_was_there_before(bank: Bank, people: pd.DataFrame, room: float):
    told = ties.referrals(bank.world, bank.people)
    position = bank.people.select(F.col("customer_id").alias("referrer_id"), F.col("position").alias("by"))
    friends = ties.are_friends(bank.world, F.col("position"), F.col("by"))
    rows = told.join(position, "referrer_id").select("*", friends.alias("friends")).toPandas()
    opened = people.set_index("customer_id")["opened_on"]
    assert len(rows) > 300 / room**2 and rows["friends"].all() and rows["customer_id"].is_unique
    assert (opened[rows["referrer_id"]].to_numpy() < opened[rows["customer_id"]].to_numpy()).all()
