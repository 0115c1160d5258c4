"""Identities against plain loops over random records, and the stories that the rules are for."""

import random
from collections import Counter, defaultdict
from datetime import date, timedelta

import pytest

from strata import graph
from strata.graph.fraud import identity
from strata.graph.fraud.identity import Rule

pytestmark = pytest.mark.oracle

START = date(2026, 1, 1)
COLUMNS = ("customer_id", "valid_from", "known", "id_hash", "phone_hash", "birth_date", "home_address_hash")
RULES = (
    Rule("id_number", ("id_hash",), strong=True, caps={"id_hash": 2}),
    Rule(
        "phone_birth_address",
        ("phone_hash", "birth_date", "home_address_hash"),
        strong=False,
        caps={"phone_hash": 4, "home_address_hash": 6},
    ),
)
WORLDS = 250


def day(number):
    return START + timedelta(days=number)


def moment(number):
    return f"{day(number)} 10:00:00"


def customers(spark, rows, kind="long"):
    """Rows (customer_id, day of valid_from, day known, id, phone, birth, address) as silver has them."""
    made = [(row[0], day(row[1]), moment(row[2]), row[3], row[4], row[5] and day(-row[5]), row[6]) for row in rows]
    schema = f"customer_id {kind}, valid_from date, known string, id_hash string, phone_hash string, birth_date date"
    frame = spark.createDataFrame(made, f"{schema}, home_address_hash string")
    return frame.selectExpr("*", "to_timestamp(known) AS known_ts").drop("known")


def random_rows():
    """Worlds of up to seven records over few values: moves, corrections, twins, shared phones, unknown numbers."""
    rng, rows = random.Random(4), []
    for world in range(WORLDS):
        for n in range(rng.randint(1, 7)):
            customer, begin, known = world * 10 + n, rng.randrange(20), 0

            def values(world=world):
                pools = (
                    [*[None] * 8, "i", "i", "j", "k"],
                    ["p", "p", "q", "q", None],
                    [1, 1, 1, 2],
                    ["a", "a", "a", "b"],
                )
                found = [rng.choice(pool) for pool in pools]
                return [v if v is None or isinstance(v, int) else f"{v}{world}" for v in found]

            held = values()
            for _ in range(rng.choice([1, 1, 1, 2, 3])):
                known = max(known + 1, begin) + rng.randrange(6)
                rows.append((customer, begin, known, *held))
                if rng.random() < 0.5:
                    # A correction of the same period, else the next one.
                    held = [rng.choice(both) for both in zip(held, values())]
                else:
                    begin, held = begin + rng.randint(1, 9), [rng.choice(both) for both in zip(held, values())]
        if world % 6 == 0:
            rows += bridge(rng, world)
    return rows


def bridge(rng, world):
    """Records with different numbers, in a row, between them such as have none and share a phone with either."""
    first, length, rows = world * 10 + 7, rng.choice([2, 2, 3]), []
    for n in range(length):
        number = None if n == 1 else f"{'xyz'[n]}{world}"
        phones = [f"{m}v{world}" for m in (n, n + 1)]
        rows += [(first + n, m * 3, rng.randrange(20), number, phone, 9, f"v{world}") for m, phone in enumerate(phones)]
    return rows


class Groups:
    """Union-find that keeps the smallest."""

    def __init__(self, members):
        self.root = {m: m for m in members}

    def find(self, m):
        while self.root[m] != m:
            m = self.root[m]
        return m

    def join(self, one, two):
        low, high = sorted((self.find(one), self.find(two)))
        self.root[high] = low

    def parts(self):
        found = defaultdict(list)
        for m in self.root:
            found[self.find(m)].append(m)
        return found


def state(rows, at):
    """Known versions; those that are the last of their period; those that are so of the last period."""
    known = [r for r in rows if r[1] <= at and r[2] < at]
    last = {}
    for r in known:
        last[r[0], r[1]] = max(last.get((r[0], r[1]), r), r, key=lambda v: v[2])
    newest = {}
    for r in known:
        newest[r[0]] = max(newest.get(r[0], r[1]), r[1])
    stands = [r for r in known if last[r[0], r[1]] is r]
    return known, stands, [r for r in stands if newest[r[0]] == r[1]]


def judged(rows, at, rules=RULES):
    """{(customer, rule, values): (holders, tied_to, known, verdict)} and the persons, by loops."""
    known, stands, now = state(rows, at)
    records = {r[0]: min(v[2] for v in known if v[0] == r[0]) for r in known}
    holders, first, hub = defaultdict(set), {}, {}
    for rule in rules:
        places = [COLUMNS.index(c) for c in rule.columns]
        used = now if rule.strong else stands
        crowd = {
            (c, value)
            for c, cap in rule.caps.items()
            for value in {r[COLUMNS.index(c)] for r in used}
            if len({r[0] for r in used if r[COLUMNS.index(c)] == value}) > cap
        }
        for r in used:
            values = tuple(r[p] for p in places)
            if None not in values:
                holders[rule.name, values].add(r[0])
                hub[rule.name, values] = any(pair in crowd for pair in zip(rule.columns, values))
                same = [v[2] for v in known if v[0] == r[0] and tuple(v[p] for p in places) == values]
                first[r[0], rule.name, values] = min(same)
    strong = {rule.name for rule in rules if rule.strong}

    def differ(members):
        held = defaultdict(set)
        for (rule, values), who in holders.items():
            if rule in strong and not hub[rule, values] and who & set(members):
                held[rule].add(values)
        return any(len(values) > 1 for values in held.values())

    kin = Groups(records)
    for key, who in holders.items():
        if key[0] in strong and not hub[key]:
            for one in who:
                kin.join(min(who), one)
    parts = kin.parts()
    verdict = {}
    for key, who in holders.items():
        apart = key[0] not in strong and differ({m for one in who for m in parts[kin.find(one)]})
        verdict[key] = "hub" if hub[key] else "contested" if apart else "tie"

    def joined(doubtful=()):
        whole = Groups(records)
        for key, who in holders.items():
            if verdict[key] == "tie" and key not in doubtful:
                for one in who:
                    whole.join(min(who), one)
        return whole

    whole = joined()
    odd = {root for root, members in whole.parts().items() if differ(members)}
    for key, who in holders.items():
        if verdict[key] == "tie" and key[0] not in strong and whole.find(min(who)) in odd:
            verdict[key] = "doubtful"
    found = {}
    for key, who in holders.items():
        for one in who if len(who) > 1 else ():
            other = min(who - {one})
            since = max(first[one, *key], first[other, *key])
            found[one, *key] = (len(who), other, since, verdict[key])
    persons = joined()
    return found, {m: persons.find(m) for m in records}, records


def texts(values):
    return tuple(str(day(-v)) if isinstance(v, int) else v for v in values)


def evidence_of(frame):
    rows = frame.selectExpr("*", "string(known_ts) AS since").collect()
    found = {(r.customer_id, r.rule, tuple(r["values"])): (r.holder_cnt, r.tied_to, r.since, r.verdict) for r in rows}
    assert len(found) == len(rows) and all(r.strong == (r.rule == "id_number") for r in rows)
    return found


def persons_of(frame):
    rows = frame.select("customer_id", "person_id").collect()
    found = {r.customer_id: r.person_id for r in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture(scope="module")
def rows():
    return random_rows()


@pytest.fixture(scope="module")
def days(spark, rows):
    """The answers of two days, each read several times."""
    table = customers(spark, rows).repartition(3).persist()
    found = {at: identity.resolve_identities(table, day(at), RULES).persist() for at in (14, 30)}
    yield table, found
    for frame in (table, *found.values()):
        frame.unpersist()


def test_evidence_is_judged_as_by_loops(rows, days):
    found = evidence_of(identity.identity_evidence(days[0], day(30), RULES))
    expected = {
        (c, rule, texts(values)): (n, other, moment(since), verdict)
        for (c, rule, values), (n, other, since, verdict) in judged(rows, 30)[0].items()
    }
    assert found == expected
    assert min(Counter((v[3], k[1]) for k, v in found.items()).values()) > 20
    assert {v[3] for v in found.values()} == {"tie", "hub", "contested", "doubtful"}


def test_persons_are_those_of_a_union_find(rows, days):
    for at, frame in days[1].items():
        evidence, persons, records = judged(rows, at)
        assert persons_of(frame) == persons
        ties = defaultdict(list)
        for (c, rule, _), (_, other, since, verdict) in evidence.items():
            if verdict == "tie":
                ties[c].append((rule, other, moment(since)))
        newest = defaultdict(str)
        for c, person in persons.items():
            newest[person] = max([newest[person], *(since for *_, since in ties[c])])
        since = "string(known_ts) AS since"
        shown = frame.selectExpr(
            "customer_id",
            f"transform(evidence, e -> struct(e.rule, e.tied_to, {since.replace('known', 'e.known')})) e",
            since,
        )
        for r in shown.collect():
            assert sorted(map(tuple, r.e)) == sorted(ties[r.customer_id])
            assert r.since == (newest[persons[r.customer_id]] or moment(records[r.customer_id]))
        assert len(set(persons.values())) < len(persons) - 100


def test_history_tells_merges_and_splits(rows, days):
    before, today = (judged(rows, at)[1] for at in (14, 30))
    were, are, together = defaultdict(set), defaultdict(set), defaultdict(list)
    for c in before:
        were[before[c]].add(today[c])
        are[today[c]].add(before[c])
        together[before[c], today[c]].append(c)
    expected = set()
    for (old, new), members in together.items():
        kinds = [kind for kind, many in (("merged", are[new]), ("split", were[old])) if len(many) > 1]
        if old != new:
            expected |= {(kind, old, new, tuple(sorted(members))) for kind in kinds or ["renamed"]}
    frame = identity.identity_history(days[1][30], days[1][14], day(30))
    found = [(r.kind, r.from_person, r.to_person, tuple(r.customer_ids)) for r in frame.collect()]
    assert sorted(found) == sorted(expected)
    assert min(Counter(kind for kind, *_ in found).values()) > 3
    assert {r.day for r in frame.collect()} == {day(30)}


def test_rekeyed_rows_are_those_of_persons(spark, rows, days):
    persons = judged(rows, 30)[1]
    held = [(n, c, n * 2) for n, c in enumerate([*persons, *persons, 10**9, None])]
    table = spark.createDataFrame(held, "loan_id long, owner_id long, amount long")
    found = identity.rekey(table, days[1][30], "owner_id")
    assert found.columns == table.columns
    assert sorted(map(tuple, found.collect())) == [(n, persons.get(c, c), amount) for n, c, amount in held]
    with pytest.raises(graph.GraphError, match="rows: column customer_id is missing"):
        identity.rekey(table, days[1][30])


STORY = [
    # Two records with one number; the second's is corrected on day 20.
    ("a1", 0, 0, "A", "p1", 1, "h1"),
    ("a2", 0, 5, "A", "p2", 1, "h2"),
    ("a2", 0, 20, "B", "p2", 1, "h2"),
    # One person without numbers: known as such on day 10, when the phone is; a move parts nobody.
    ("c1", 0, 0, None, "p3", 3, "h3"),
    ("c2", 0, 1, None, None, 3, "h3"),
    ("c2", 0, 10, None, "p3", 3, "h3"),
    ("c2", 15, 16, None, "p3", 3, "h4"),
    # Twins who share phone and home have different numbers; a third record with neither belongs to nobody.
    ("d1", 0, 0, "D", "p5", 5, "h5"),
    ("d2", 0, 0, "E", "p5", 5, "h5"),
    ("d3", 0, 0, None, "p5", 5, "h5"),
    # Two numbers bridged by a record that has none, by two phones of it.
    ("f1", 0, 0, "F", "p6", 6, "h6"),
    ("f2", 0, 0, None, "p6", 6, "h6"),
    ("f2", 3, 4, None, "p7", 6, "h6"),
    ("f3", 0, 0, "G", "p7", 6, "h6"),
    # A number that was never asked for is no number.
    *[(f"n{n}", 0, 0, "0000", f"n{n}", 7, f"n{n}") for n in range(6)],
    # A phone that fifty share, two of whom have the same home and date of birth.
    *[(f"s{n:02}", 0, 0, None, "shared", max(n, 1), f"s{max(n, 1)}") for n in range(50)],
]


def test_the_stories_that_the_rules_are_for(spark):
    table = customers(spark, STORY, "string")
    early, late = (identity.resolve_identities(table, day(at)).persist() for at in (8, 25))
    told = {8: persons_of(early), 25: persons_of(late)}
    apart = {c: c for c, *_ in STORY}
    assert told == {8: apart | {"a2": "a1"}, 25: apart | {"c2": "c1"}}
    history = identity.identity_history(late, early, day(25)).orderBy("kind").collect()
    assert [(r.kind, r.from_person, r.to_person, r.customer_ids) for r in history] == [
        ("merged", "c2", "c1", ["c2"]),
        ("split", "a1", "a2", ["a2"]),
    ]
    tied = late.where("customer_id LIKE 'c%'").selectExpr("customer_id", "evidence", "string(known_ts) AS since")
    shown = {r.customer_id: ([(e.rule, e.tied_to) for e in r.evidence], r.since) for r in tied.collect()}
    assert shown == {
        "c1": ([("phone_birth_address", "c2")], moment(10)),
        "c2": ([("phone_birth_address", "c1")], moment(10)),
    }
    evidence = identity.identity_evidence(table, day(25)).select("customer_id", "verdict").collect()
    verdicts = {(r.customer_id[0], r.verdict) for r in evidence}
    assert verdicts == {("c", "tie"), ("d", "contested"), ("f", "doubtful"), ("n", "hub"), ("s", "hub")}


def test_rules_that_can_not_be_are_refused(spark):
    table = customers(spark, STORY[:2], "string")
    one = Rule("one", ("id_hash",), strong=True)
    refused = [
        ((), "rules: at least one is expected"),
        ((one, one), "rules: at least one is expected, each with a name of its own"),
        ((Rule("none", (), strong=True),), "rules: none has no columns"),
        (
            (Rule("cap", ("id_hash",), strong=True, caps={"phone_hash": 5}),),
            "rules: cap: caps are whole numbers from 1",
        ),
        ((Rule("cap", ("id_hash",), strong=True, caps={"id_hash": 0}),), "rules: cap: caps are whole numbers from 1"),
        ((Rule("tax", ("tax_hash",), strong=True),), "customers: column tax_hash is missing"),
    ]
    for rules, message in refused:
        with pytest.raises(graph.GraphError, match=message):
            identity.resolve_identities(table, day(9), rules)


def test_weak_rules_alone(spark):
    weak = [Rule("phone", ("phone_hash",), strong=False)]
    rows = [("x", 0, 0, "A", "p", 1, "h"), ("y", 0, 0, "B", "p", 1, "h"), ("z", 0, 0, None, "q", 1, "h")]
    found = persons_of(identity.resolve_identities(customers(spark, rows, "string"), day(9), weak))
    assert found == {"x": "x", "y": "x", "z": "z"}
