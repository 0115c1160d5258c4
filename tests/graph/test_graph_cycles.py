"""Steps, chains and cycles of transfers against plain search: many small random banks as disjoint parts of one."""

import random
from collections import Counter, defaultdict, namedtuple
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import functions as F

from strata import graph
from strata.graph.fraud import money_cycles as cycles

pytestmark = pytest.mark.oracle

HOURS, KEEP, CAP, HOPS = 15, (0.8, 1.0), 5, 5
# Some are just .8 of another, some just below.
AMOUNTS = ["100.00", "100.00", "99.00", "95.50", "80.00", "79.99"]
SCHEMA = "transfer_id long, src {0}, dst {0}, cents long, seconds long, known long"
BEGIN = int(datetime(1997, 3, 29, 20, tzinfo=UTC).timestamp())

Transfer = namedtuple("Transfer", "id src dst amount at known")


def random_transfers(name, banks):
    """Banks of three to six accounts over some days: equal times, parallel transfers, transfers to oneself."""
    rng, rows = random.Random(3), []
    for bank in range(banks):
        accounts = [name(bank, n) for n in range(rng.randint(3, 6))]
        for _ in range(rng.randint(4, 34)):
            src, dst, amount = rng.choice(accounts), rng.choice(accounts), Decimal(rng.choice(AMOUNTS))
            at = BEGIN + 3600 * rng.randrange(36) + rng.choice([0, 0, 0, 1, 1800])
            rows.append(Transfer(len(rows), src, dst, amount, at, at + rng.randrange(9000)))
            if rng.random() < 0.1:
                rows.append(rows[-1]._replace(id=len(rows)))
        if len(accounts) > 4:
            rows += ring(rng, accounts, len(rows))
    return rows


def ring(rng, accounts, first):
    """A sum that goes once round all accounts."""
    begin = BEGIN + rng.randrange(90_000)
    pairs = zip(accounts, [*accounts[1:], accounts[0]])
    at = [begin + hop * 3 * 3600 for hop in range(len(accounts))]
    return [Transfer(first + n, *pair, Decimal(100 - n), at[n], at[n]) for n, pair in enumerate(pairs)]


def frame_of(spark, rows, kind):
    data = [(r.id, r.src, r.dst, None if r.amount is None else int(r.amount * 100), r.at, r.known) for r in rows]
    frame = spark.createDataFrame(data, SCHEMA.format(kind))
    amount = (F.col("cents").cast("decimal(18,0)") / 100).cast("decimal(18,2)")
    times = {name: F.timestamp_seconds(of) for name, of in (("event_ts", "seconds"), ("known_ts", "known"))}
    return frame.withColumn("amount", amount).withColumns(times).drop("cents", "seconds", "known")


@pytest.fixture(scope="module", params=[("long", CAP, HOPS), ("string", 1000, 3)], ids=["long", "string"])
def case(spark, request):
    """Ids of each kind, with and without busy days, chains that are cut late and soon."""
    kind, cap, hops = request.param
    named = (lambda bank, n: bank * 100 + n) if kind == "long" else (lambda bank, n: f"{bank}:é{n}")
    rows = random_transfers(named, 90)
    frame = frame_of(spark, rows, kind).persist()
    yield rows, frame, ZoneInfo(spark.conf.get("spark.sql.session.timeZone")), cap, hops
    frame.unpersist()


def busy_of(rows, cap, zone):
    counts = defaultdict(Counter)
    for r in rows:
        day = datetime.fromtimestamp(r.at, zone).date()
        counts[r.dst, day]["in"] += r.src != r.dst
        counts[r.src, day]["out"] += r.src != r.dst
    return {at: (c["in"], c["out"]) for at, c in counts.items() if max(c.values()) > cap}


def followers_of(rows, cap, zone):
    """transfer -> those that may follow it."""
    busy, found = busy_of(rows, cap, zone), defaultdict(list)
    calm = {
        (r.id, end): (getattr(r, end), datetime.fromtimestamp(r.at, zone).date()) not in busy
        for r in rows
        for end in ("src", "dst")
    }
    leaving = defaultdict(list)
    for r in rows:
        leaving[r.src].append(r)
    low, high = (Decimal(str(share)) for share in KEEP)
    for a in rows:
        for b in leaving[a.dst]:
            both = a.src != a.dst and b.src != b.dst and calm[a.id, "dst"] and calm[b.id, "src"]
            if both and 0 < b.at - a.at <= HOURS * 3600 and low * a.amount <= b.amount <= high * a.amount:
                found[a].append(b)
    return found


def walks_of(rows, followers, hops):
    open_walks, found = [[r] for r in rows], []
    while open_walks:
        open_walks = [[*walk, b] for walk in open_walks for b in followers[walk[-1]] if len(walk) < hops]
        found += open_walks
    return found


def cycles_of(rows, followers, hops):
    found = []

    def search(walk):
        for b in followers[walk[-1]]:
            if b.at - walk[0].at <= HOURS * 3600:
                if b.dst == walk[0].src:
                    found.append([*walk, b])
                elif b.dst not in {r.src for r in walk} and len(walk) < hops - 1:
                    search([*walk, b])

    for r in rows:
        search([r])
    return found


def chains_of(rows, followers, hops):
    """To each transfer its longest walk, the latest steps before among equals; those that no other goes on from."""
    best = {}
    for walk in walks_of(rows, followers, hops):
        rank = (len(walk), [(r.at, r.id) for r in walk[-2::-1]])
        best[walk[-1].id] = max(best.get(walk[-1].id, (rank, walk)), (rank, walk))
    kept = [walk for _, walk in best.values()]
    gone_on = {walk[-2].id for walk in kept}
    return [walk for walk in kept if walk[-1].id not in gone_on or len(walk) == hops]


def told(walk):
    members, srcs = [walk[0].src], [r.src for r in walk]
    for r in walk:
        members += [] if r.dst in members else [r.dst]
    links = [a for n, a in enumerate(srcs) if a in {r.dst for r in walk} and a not in srcs[:n]]
    ratio = pytest.approx(float(walk[-1].amount) / float(walk[0].amount))
    return (len(walk), members, links, [r.id for r in walk], [r.amount for r in walk], [r.at for r in walk],
            walk[0].at, walk[-1].at, max(r.known for r in walk), ratio)  # fmt: skip


def rows_of(frame, name):
    seconds = {"times": F.transform("times", F.unix_seconds)}
    seconds |= {at: F.unix_seconds(at) for at in ("started", "ended", "known_ts")}
    found = frame.withColumns(seconds).collect()
    assert len({row[name] for row in found}) == len(found)
    return sorted((tuple(row)[1:] for row in found), key=lambda row: row[3])


def test_cycles(case):
    rows, frame, zone, cap, _ = case
    expected = sorted(map(told, cycles_of(rows, followers_of(rows, cap, zone), HOPS)), key=lambda row: row[3])
    found = cycles.transfer_cycles(frame, hops=HOPS, within_hours=HOURS, keep=KEEP, day_cap=cap)
    assert rows_of(found, "cycle_id") == expected
    lengths = Counter(row[0] for row in expected)
    assert set(lengths) == {2, 3, 4, 5} if cap > CAP else lengths[2] > 20


def test_chains(case):
    rows, frame, zone, cap, hops = case
    expected = sorted(map(told, chains_of(rows, followers_of(rows, cap, zone), hops)), key=lambda row: row[3])
    found = cycles.transfer_chains(frame, hops=hops, within_hours=HOURS, keep=KEEP, day_cap=cap)
    assert rows_of(found, "chain_id") == expected
    assert set(Counter(row[0] for row in expected)) == set(range(2, hops + 1))


def test_busy_days_are_told(case):
    rows, frame, zone, _, _ = case
    found = cycles.busy_days(frame, day_cap=CAP).collect()
    expected = busy_of(rows, CAP, zone)
    assert {(r["account"], r["day"]): (r["in_cnt"], r["out_cnt"]) for r in found} == expected
    assert len(found) == len(expected) > 20
    one = found[0]
    assert one["reason"] == (
        f"{one['in_cnt']} transfers in and {one['out_cnt']} out on {one['day']}, more than the cap of {CAP}"
    )


def test_nothing_where_nothing_goes_on(spark):
    lone = [
        Transfer(1, 1, 2, Decimal(100), BEGIN, BEGIN),
        Transfer(2, 2, 2, Decimal(90), BEGIN + 60, BEGIN),
        Transfer(3, 2, 1, None, BEGIN + 60, BEGIN),
        Transfer(4, 2, 1, Decimal(0), BEGIN + 60, BEGIN),
        Transfer(5, 2, 1, Decimal(90), BEGIN, BEGIN),
    ]
    frame = frame_of(spark, lone, "long")
    assert cycles.transfer_cycles(frame, within_hours=24).collect() == []
    assert cycles.transfer_chains(frame, within_hours=24).collect() == []


@pytest.mark.parametrize(
    "given, message",
    [
        ({"hops": 1}, "hops: a whole number from 2 is expected, not 1"),
        ({"within_hours": 0}, "within_hours: a number of hours above 0 is expected, not 0"),
        ({"keep": (1.0, 0.8)}, "keep: two shares"),
        ({"day_cap": 0}, "day_cap: a whole number from 1 is expected, not 0"),
    ],
)
def test_arguments_are_checked(spark, given, message):
    for call in (cycles.transfer_cycles, cycles.transfer_chains):
        with pytest.raises(graph.GraphError, match=message):
            call(frame_of(spark, [], "long"), **{"within_hours": 24, **given})


def test_frames_are_checked(spark, monkeypatch):
    frame = frame_of(spark, ring(random.Random(1), list(range(5)), 0), "long")
    with pytest.raises(graph.GraphError, match="transfers: column amount is missing"):
        cycles.transfer_cycles(frame.drop("amount"), within_hours=24)
    mixed = frame.withColumn("src", F.lit(1.5))
    with pytest.raises(graph.GraphTypeError, match="transfers: src is double and dst is bigint"):
        cycles.transfer_cycles(mixed, within_hours=24)
    monkeypatch.setattr(cycles, "MAX_WALKS", 2)
    with pytest.raises(graph.GraphError, match="transfers: 4 walks are open, more than 2; narrow keep or within_hours"):
        cycles.transfer_cycles(frame, within_hours=HOURS)
