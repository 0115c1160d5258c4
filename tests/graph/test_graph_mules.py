"""Transfers out of postings, flows of money, features and alerts of mules, against plain loops."""

import random
from collections import Counter, defaultdict, namedtuple
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

import pytest
from pyspark.sql import functions as F

from strata import graph
from strata.graph.fraud import mules
from strata.graph.ties import transfers
from tests.conftest import having

pytestmark = pytest.mark.oracle

HOUR, DAY = 3600, 86_400
T = int(datetime(1997, 7, 1, tzinfo=UTC).timestamp())
AS_OF = datetime(1997, 7, 1, tzinfo=UTC)
RULES = mules.MuleRules(days=10, hours=(6, 24), round_to=10, limits=(30, 50), near=0.9, hops=6, day_cap=9)

Transfer = namedtuple("Transfer", "id src dst cents at known")


def frame_of(spark, rows, kind="string"):
    schema = f"transfer_id long, src {kind}, dst {kind}, cents long, seconds long, known long"
    frame = spark.createDataFrame(list(map(tuple, rows)), schema)
    times = {name: F.timestamp_seconds(of) for name, of in (("event_ts", "seconds"), ("known_ts", "known"))}
    return (
        frame.withColumn("amount", transfers.money(F.col("cents"))).withColumns(times).drop("cents", "seconds", "known")
    )


@pytest.fixture(scope="module")
def rows():
    return random_rows()


def random_rows():
    """Some forty accounts in small circles over 25 days: bursts, equal times, late rows and rows not known yet."""
    rng, found = random.Random(8), []
    for bank in range(10):
        accounts = [f"{bank}:{n}" for n in range(rng.randint(2, 7))]
        for _ in range(rng.randint(5, 90)):
            src, dst = rng.choice(accounts), rng.choice(accounts)
            at = T - rng.choice([rng.randrange(25 * DAY), 3 * DAY + HOUR * rng.randrange(30)])
            cents = rng.choice([1000, 2500, 2700, 2699, 3000, 4500, 4999, 5000, rng.randrange(1, 6000)])
            known = at + rng.choice([60, 60, 60, 40 * HOUR, 30 * DAY])
            found.append(Transfer(len(found), src, dst, cents, at, known))
        found += relay(accounts, len(found), T - rng.randrange(8 * DAY))
    return found


def relay(accounts, first, at):
    """All send to the second account, and what it got goes on along the others, to the first again."""
    into = [(account, accounts[1], 4000) for account in accounts if account != accounts[1]]
    ring = zip(accounts[1:], [*accounts[2:], accounts[0]], range(len(into) * 4000, 0, -500))
    return [Transfer(first + n, *one, at + 1200 * n, at + 1200 * n) for n, one in enumerate([*into, *ring])]


@pytest.fixture(scope="module")
def frame(spark, rows):
    made = frame_of(spark, rows).repartition(3).persist()
    yield made
    made.unpersist()


def known_of(rows, days):
    return tuple(r for r in rows if r.src != r.dst and r.known <= T and T - days * DAY < r.at <= T)


@cache
def flows_of(rows):
    """Every cent by itself: the newest there is goes first."""
    found, held = Counter(), defaultdict(list)
    moments = [(r.at, 0, r.id, r) for r in rows] + [(r.at, 1, r.id, r) for r in rows]
    for _, goes, _, r in sorted(moments, key=lambda one: one[:3]):
        if goes:
            for _ in range(min(r.cents, len(held[r.src]))):
                came = held[r.src].pop()
                found[r.src, came.id, r.id, r.at - came.at] += 1
        else:
            held[r.dst] += [r] * r.cents
    return found


def seconds_of(flows):
    waited = F.round(F.col("waited_hours") * HOUR).cast("long")
    rows = flows.select("account", "in_id", "out_id", waited, (F.col("amount") * 100).cast("long")).collect()
    return {tuple(row)[:4]: row[4] for row in rows}, len(rows)


def test_flows_take_the_newest_first(spark, rows, frame):
    # An account's rows go over many batches.
    with having(spark, {"spark.sql.execution.arrow.maxRecordsPerBatch": "5"}):
        found, number = seconds_of(transfers.money_flows(frame))
    moved = tuple(r for r in rows if r.src != r.dst)
    assert found == flows_of(moved) and number == len(found) > 150
    assert any(r.at == s.at and r.dst == s.src for r in moved for s in moved)


def test_flows_of_text_ids(spark):
    rows = [Transfer(1, 7, 8, 100, T, T), Transfer(2, 8, 9, 60, T, T), Transfer(3, 8, 7, 60, T + HOUR, T)]
    frame = frame_of(spark, rows, "long").withColumn("transfer_id", F.concat(F.lit("t"), "transfer_id"))
    found, _ = seconds_of(transfers.money_flows(frame))
    assert found == {(8, "t1", "t2", 0): 60, (8, "t1", "t3", HOUR): 40}
    assert transfers.money_flows(frame.limit(0)).collect() == []


def features_of(account, rows, chains):
    """All columns of one account, by loops over moments."""
    recent = known_of(rows, RULES.days)
    came, went = [r for r in recent if r.dst == account], [r for r in recent if r.src == account]
    money_in, both = sum(r.cents for r in came), came + went
    before = {r.src for r in known_of(rows, 10_000) if r.dst == account and r not in recent}
    near = [any(90 * limit <= r.cents < 100 * limit for limit in RULES.limits) for r in both]
    flows = {key: cents for key, cents in flows_of(recent).items() if key[0] == account}
    passed = sum(flows.values())
    expected = {
        "in_amt": Decimal(money_in) / 100,
        "out_amt": Decimal(sum(r.cents for r in went)) / 100,
        "in_cnt": len(came),
        "out_cnt": len(went),
        "sender_cnt": len({r.src for r in came}),
        "receiver_cnt": len({r.dst for r in went}),
        "new_sender_cnt": len({r.src for r in came} - before),
        "round_ratio": sum(r.cents % 1000 == 0 for r in both) / len(both),
        "near_limit_ratio": sum(near) / len(both),
        "dwell_hours": sum(key[3] * c for key, c in flows.items()) / HOUR / passed if passed else None,
        "kept_ratio": 1 - passed / money_in if money_in else None,
        "chain_cnt": max((row["hop_cnt"] for row in chains if account in row["links"]), default=0),
    }
    for hours in RULES.hours:

        def seen(some, at, span=hours * HOUR):
            return [r for r in some if at - span < r.at <= at]

        quick = sum(c for key, c in flows.items() if key[3] <= hours * HOUR)
        sums = [sum(s.cents for s in seen(came, r.at)) for r in came]
        pairs = [sum(s[1:3] == r[1:3] for s in seen(both, r.at)) for r in both]
        expected |= {
            f"passed_{hours}h_ratio": quick / money_in if money_in else None,
            f"gather_{hours}h_cnt": max((len({s.src for s in seen(came, r.at)}) for r in went), default=0),
            f"scatter_{hours}h_cnt": max((len({s.dst for s in seen(went, r.at)}) for r in went), default=0),
            f"split_{hours}h_cnt": max(pairs),
            f"burst_{hours}h_ratio": max(sums) / money_in if money_in else None,
        }
    return {f"mule_{name}": near_to(value) for name, value in expected.items()}


def near_to(value):
    return pytest.approx(value) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def chains(frame):
    recent = transfers.transfers_as_of(frame, AS_OF, days=RULES.days)
    return mules.transfer_chains(recent, hops=6, within_hours=6, day_cap=9).collect()


@pytest.fixture(scope="module")
def features(frame):
    return {row["account"]: row.asDict() for row in mules.mule_features(frame, AS_OF, rules=RULES).collect()}


def test_features(rows, features, chains):
    accounts = {end for r in known_of(rows, RULES.days) for end in (r.src, r.dst)}
    assert features == {account: {"account": account, **features_of(account, rows, chains)} for account in accounts}
    assert len(accounts) > 25 and sum(row["mule_chain_cnt"] > 2 for row in features.values()) > 3
    for least, name in ((3, "gather_6h_cnt"), (4, "gather_24h_cnt"), (3, "scatter_6h_cnt"), (3, "split_24h_cnt")):
        assert max(row[f"mule_{name}"] for row in features.values()) >= least


def test_what_is_known_later_changes_nothing(spark, rows, features):
    early = frame_of(spark, [r for r in rows if r.known <= T])
    found = mules.mule_features(early, AS_OF, rules=RULES).collect()
    assert {row["account"]: row.asDict() for row in found} == features
    assert sum(r.known > T for r in rows) > 20


def test_alerts(rows, frame, features, chains):
    found = {
        row["account"]: row for row in mules.mule_alerts(frame, AS_OF, rules=RULES, least=0.2, evidence=8).collect()
    }
    scores = {account: scores_of(row) for account, row in features.items()}
    assert {account: (row["relay_score"], row["chain_score"], row["score"]) for account, row in found.items()} == {
        account: tuple(map(near_to, three)) for account, three in scores.items() if three[2] >= 0.2
    }
    assert 5 < len(found) < len(features) and any(three[0] and three[1] for three in scores.values())
    for account, row in found.items():
        assert [tuple(one)[1:] for one in row["evidence"]] == evidence_of(account, rows, chains, 8)
        assert row["evidence"] == sorted(row["evidence"])
    assert max(len(row["evidence"]) for row in found.values()) == 8


def scores_of(row):
    relay = (row["mule_passed_6h_ratio"] or 0) * (1 - 1 / max(1, row["mule_gather_6h_cnt"]))
    chain = 1 - 1 / (max(2, row["mule_chain_cnt"]) - 1)
    return relay, chain, 1 - (1 - relay) * (1 - chain)


def evidence_of(account, rows, chains, most):
    recent = {r.id: r for r in known_of(rows, RULES.days)}
    quick = [key[1:3] for key in flows_of(tuple(recent.values())) if key[0] == account and key[3] <= 6 * HOUR]
    ids = {transfer for pair in quick for transfer in pair}
    for row in chains:
        if row["hop_cnt"] > 2 and account in row["links"]:
            ids |= set(row["transfer_ids"])
    largest = sorted((recent[i] for i in ids), key=lambda r: (-r.cents, r.at, r.id))[:most]
    ordered = sorted(largest, key=lambda r: (r.at, r.id))
    return [(r.id, r.src, r.dst, Decimal(r.cents) / 100) for r in ordered]


def test_a_mule_and_what_is_said_of_it(spark):
    """Four send to a, that passes it on along b and c; d moves one payer's money to another bank."""
    fan = [Transfer(n, f"v{n}", "a", 25_000, T - 20 * HOUR + n, T) for n in range(4)]
    chain = [("a", "b", 98_000), ("b", "c", 96_000), ("c", "x", 94_000)]
    walk = [Transfer(10 + n, s, d, c, T - (18 - n) * HOUR, T) for n, (s, d, c) in enumerate(chain)]
    wages = [Transfer(20, "firm", "d", 100_000, T - 9 * HOUR, T), Transfer(21, "d", "d2", 99_900, T - 8 * HOUR, T)]
    frame = frame_of(spark, [*fan, *walk, *wages])
    found = {row["account"]: row for row in mules.mule_alerts(frame, AS_OF, least=0.0).collect()}
    assert {a for a, row in found.items() if row["score"] > 0.3} == {"a", "b", "c"}
    assert found["d"]["score"] == 0 and found["d"]["reason"] == ""
    assert found["a"]["score"] == pytest.approx(0.98 * 0.75)
    assert found["a"]["reason"] == "4 senders within 24 hours, and 98 % of the money in went on within 24 hours"
    assert [one["transfer_id"] for one in found["a"]["evidence"]] == [0, 1, 2, 3, 10]
    assert found["b"]["reason"] == "on a chain of 3 transfers, each within 24 hours"
    assert [one["transfer_id"] for one in found["c"]["evidence"]] == [10, 11, 12]


POSTINGS = (
    "transaction_id long, account_id long, amount double, direction string, channel string, counterparty_bank string, "
    "counterparty_hash string, event long, known long"
)


def postings_of(spark, rows):
    frame = spark.createDataFrame(rows, POSTINGS).withColumn("amount", F.col("amount").cast("decimal(18,2)"))
    times = {name: F.timestamp_seconds(of) for name, of in (("event_ts", "event"), ("known_ts", "known"))}
    return frame.withColumns(times).drop("event", "known")


def accounts_of(spark, rows):
    frame = spark.createDataFrame(rows, "account_id long, account_hash string, known long")
    return frame.withColumn("known_ts", F.timestamp_seconds("known")).drop("known")


def random_postings(rng):
    """Payments of a few sums among five accounts and two outside, posted on both sides; some sides are missing."""
    found, payments = [], []
    for _ in range(400):
        src, dst = rng.sample(["1", "2", "3", "4", "5", "x", "y"], 2)
        at, amount, lag = T - rng.randrange(90 * DAY), rng.choice([10.0, 10.0, 25.5]), rng.randrange(5 * HOUR)
        if {src, dst} <= {"x", "y"}:
            continue
        payments.append((name_of(src), name_of(dst), Decimal(str(amount)), at))
        for me, other, direction, when in ((src, dst, "debit", at), (dst, src, "credit", at + lag)):
            if me.isdigit() and (rng.random() < 0.9 or not other.isdigit()):
                bank = "own" if other.isdigit() else "AB"
                found.append((len(found), int(me), amount, direction, "transfer", bank, f"h{other}", when, when + 60))
    return found, payments


def name_of(end):
    return f"account:{end}" if end.isdigit() else f"counterparty:AB:h{end}"


def lots_of(rows):
    """One side of every lot of postings of equal ends and amount."""
    alike = defaultdict(list)
    for number, me, amount, direction, _, bank, hashed, at, _ in rows:
        mine, other = f"account:{me}", f"account:{hashed[1:]}" if bank == "own" else f"counterparty:{bank}:{hashed}"
        ends = (mine, other) if direction == "debit" else (other, mine)
        alike[*ends, amount].append((at, number, direction))
    kept = []
    for (src, dst, amount), lines in alike.items():
        lots, last = [], None
        for line in sorted(lines):
            if last is None or line[0] - last > DAY:
                lots.append([])
            lots[-1].append(line)
            last = line[0]
        for lot in lots:
            debits = [line for line in lot if line[2] == "debit"]
            credits = [line for line in lot if line[2] == "credit"]
            more = debits if len(debits) >= len(credits) else credits
            kept += [(number, src, dst, Decimal(str(amount)), at) for at, number, _ in more]
    return sorted(kept)


def test_a_payment_posted_on_both_sides_stands_once(spark):
    rows, payments = random_postings(random.Random(4))
    accounts = accounts_of(spark, [(n, f"h{n}", T - 99 * DAY) for n in range(1, 6)])
    made = transfers.transfers_of(postings_of(spark, rows), accounts, AS_OF)
    rows_known = [row for row in rows if row[8] <= T]
    found = made.withColumn("event_ts", F.unix_seconds("event_ts")).drop("known_ts").collect()
    assert sorted(map(tuple, found)) == lots_of(rows_known)
    sums = Counter((src, dst, amount) for src, dst, amount, _ in payments)
    right = sum(sums[key] == n for key, n in Counter((r["src"], r["dst"], r["amount"]) for r in found).items())
    assert right > 0.9 * len(sums) and len(rows) > 1.3 * len(found)


def test_postings_as_known_then(spark):
    postings = [
        (1, 1, 110.0, "debit", "transfer", "own", "h2", T - 9 * DAY, T - 9 * DAY),
        (1, 1, 100.0, "debit", "transfer", "own", "h2", T - 9 * DAY, T - 5 * DAY),
        (1, 1, 999.0, "debit", "transfer", "own", "h2", T - 9 * DAY, T + 5 * DAY),
        (2, 2, 100.0, "credit", "transfer", "own", "h1", T - 9 * DAY + 60, T - 9 * DAY),
        (3, 1, 50.0, "debit", "transfer", "own", "h3", T - 9 * DAY, T - 9 * DAY),
        (4, 1, 7.0, "debit", "card", "AB", "h7", T - 9 * DAY, T - 9 * DAY),
        (5, 1, 8.0, "debit", "transfer", None, None, T - 9 * DAY, T - 9 * DAY),
        (6, 1, 9.0, "credit", "transfer", "AB", "h1", T - 9 * DAY, T - 9 * DAY),
    ]
    # The third account is known only later, so it's still a number of the bank's.
    accounts = accounts_of(spark, [(1, "h1", 0), (1, "h1", 60), (2, "h2", 0), (3, "h3", T + DAY), (4, None, 0)])
    made = transfers.transfers_of(postings_of(spark, postings), accounts, AS_OF)
    found = {row["transfer_id"]: (row["src"], row["dst"], float(row["amount"])) for row in made.collect()}
    assert found == {
        1: ("account:1", "account:2", 100.0),
        3: ("account:1", "counterparty:own:h3", 50.0),
        6: ("counterparty:AB:h1", "account:1", 9.0),
    }
    early = transfers.transfers_of(postings_of(spark, postings), accounts, datetime(1997, 6, 24, tzinfo=UTC))
    assert sorted(float(row["amount"]) for row in early.collect()) == [9.0, 50.0, 100.0, 110.0]


def test_rules_are_checked(frame):
    for given, message in (
        ({"days": 0}, "days: a whole number from 1 is expected, not 0"),
        ({"hours": (24, 0.5)}, "hours: a whole number from 1 is expected, not 0.5"),
        ({"hours": ()}, "rules: hours and limits: give at least one"),
    ):
        with pytest.raises(graph.GraphError, match=message):
            mules.MuleRules(**given)
    with pytest.raises(graph.GraphError, match="evidence: a whole number from 1 is expected, not 0"):
        mules.mule_alerts(frame, AS_OF, evidence=0)
    with pytest.raises(graph.GraphError, match="transfers: column known_ts is missing"):
        mules.mule_features(frame.drop("known_ts"), AS_OF)
