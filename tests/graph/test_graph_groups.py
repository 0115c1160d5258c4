"""Stable groups, their history, updated components and capped giants against plain Python and networkx."""

import math
import random
from collections import Counter, defaultdict
from datetime import date

import networkx as nx
import pytest

from strata import graph
from strata.graph.communities import groups

pytestmark = pytest.mark.oracle

WORLDS = 40
LETTERS = ["a", "Z", "é", "中", "\U0001f600", "\uffff", "0"]


def order(value):
    """Strings compare by bytes."""
    return value.encode() if isinstance(value, str) else value


def table(spark, rows, schema):
    return spark.createDataFrame([*rows], schema)


def labelled(spark, labels, kind, column="component", of=None):
    return table(spark, labels.items(), f"id {kind}, {column} {of or kind}")


def pairs(frame):
    rows = frame.collect()
    found = {row[0]: row[1] for row in rows}
    assert len(found) == len(rows)
    return found


def components(vertices, edges):
    whole = nx.Graph(edges)
    whole.add_nodes_from(vertices)
    return {v: min(part, key=order) for part in nx.connected_components(whole) for v in part}


# A bank of many small worlds over some days: each world changes in its own way, so every day tries many cases at once.


def first_day(rng):
    vertices, edges = [], []
    for world in range(WORLDS):
        own = [world * 1000 + n for n in range(rng.randint(1, 9))]
        vertices += own
        edges += [(rng.choice(own), rng.choice(own)) for _ in range(rng.randint(0, len(own) + 2))]
    return vertices, edges


def next_day(rng, vertices, edges):
    """Vertices, edges, and what was added and removed; a third of the worlds lies still."""
    added, removed, now = [], [], [*vertices]
    for world in range(WORLDS):
        own = [v for v in vertices if v // 1000 == world]
        if rng.random() < 1 / 3:
            continue
        new = [world * 1000 + len(own) + n for n in range(rng.randint(0, 2))]
        now += new
        removed += rng.sample(ties := [e for e in edges if e[0] // 1000 == world], rng.randint(0, min(3, len(ties))))
        if rng.random() < 0.2:
            hub = rng.choice(own)
            removed += [e for e in ties if hub in e and e not in removed]
        added += [(rng.choice(own + new), rng.choice(own + new)) for _ in range(rng.randint(0, 3))]
    # Two ties between worlds, and one that is there already, which may be told again.
    added += [(rng.choice(now), rng.choice(now)) for _ in range(2)] + edges[:1]
    kept = Counter(edges) - Counter(removed)
    return now, [*kept.elements(), *added], added, removed


def history(seed, days):
    rng = random.Random(seed)
    vertices, edges = first_day(rng)
    seen = [(vertices, edges, [], [])]
    for _ in range(days):
        seen.append(next_day(rng, *seen[-1][:2]))
    return seen


def names_for(kind):
    rng = random.Random(3)
    if kind == "long":
        return lambda v: v * 7919 - 2**40
    marks = defaultdict(lambda: "".join(rng.choices(LETTERS, k=2)))
    return lambda v: f"{marks[v]}{v}"


@pytest.mark.parametrize(("kind", "number"), [("long", 2), ("string", 1)])
def test_updated_components_are_those_of_a_full_rebuild(spark, kind, number):
    name, seen = names_for(kind), history(1, number)
    days = [tuple([tuple(map(name, e)) for e in edges] for edges in day[1:]) for day in seen]
    ids = [[name(v) for v in day[0]] for day in seen]
    before, moved = components(ids[0], days[0][0]), 0
    for vertices, (edges, added, removed) in zip(ids[1:], days[1:]):
        frames = [table(spark, rows, f"src {kind}, dst {kind}").repartition(3) for rows in (edges, added, removed)]
        known = table(spark, [(v,) for v in vertices], f"id {kind}")
        found = pairs(groups.update_components(labelled(spark, before, kind), known, *frames))
        expected = components(vertices, edges)
        assert found == expected
        moved += sum(before.get(v) != label for v, label in expected.items())
        before = expected
    assert moved > 60


def test_only_touched_components_are_found_again(spark):
    """A label that the edges don't bear out stays where nothing was removed, and falls where something was."""
    before = {1: 1, 2: 1, 3: 3, 4: 3, 5: 5, 6: 6}
    edges = [(3, 4), (2, 5)]
    frames = [table(spark, rows, "src long, dst long") for rows in (edges, [(2, 5)], [(3, 4)])]
    found = groups.update_components(labelled(spark, before, "long"), spark.range(1, 7), *frames)
    assert pairs(found) == {1: 1, 2: 1, 3: 3, 4: 3, 5: 1, 6: 6}
    frames[2] = table(spark, [(1, 2)], "src long, dst long")
    # A vertex that went has no row; one that came is its own.
    found = groups.update_components(labelled(spark, before, "long"), spark.range(1, 8).where("id <> 6"), *frames)
    assert pairs(found) == {1: 1, 2: 2, 3: 3, 4: 3, 5: 2, 7: 7}
    frames[1] = table(spark, [(2, 99)], "src long, dst long")
    with pytest.raises(graph.GraphError, match="added: 1 edges have an end that is no vertex"):
        groups.update_components(labelled(spark, before, "long"), spark.range(1, 7), *frames)
    with pytest.raises(graph.GraphError, match="before: column component is missing; there are: id"):
        groups.update_components(spark.range(3), spark.range(3), *frames)


def heirs(today, before):
    overlap = Counter((today[i], before[i]) for i in today.keys() & before.keys())
    size = Counter(before.values())
    heard = sorted(overlap, key=lambda claim: (-overlap[claim], -size[claim[1]], claim[1], order(claim[0])))
    granted = {}
    for component, group in heard:
        if component not in granted and group not in granted.values():
            granted[component] = group
    return granted


def check_names(found, today, before, highest):
    """Heirs as by plain loops; everybody else new, one a component, without gaps above all that were given."""
    names = {today[i]: group for i, group in found.items()}
    assert found.keys() == today.keys() and all(names[today[i]] == group for i, group in found.items())
    granted = heirs(today, before)
    assert {c: names[c] for c in granted} == granted
    fresh = sorted(names[c] for c in names.keys() - granted.keys())
    assert fresh == [*range(highest + 1, highest + 1 + len(fresh))]
    return names


@pytest.mark.parametrize("kind", ["long", "string"])
def test_tangled_claims_are_heard_in_order(spark, kind):
    """Random components and groups over 300 worlds of up to 14 vertices: ties of every sort, and long tangles."""
    rng, name = random.Random(5), names_for(kind)
    today, before = {}, {}
    for world in range(300):
        for n in range(rng.randint(1, 14)):
            v = name(world * 100 + n)
            if rng.random() < 0.9:
                today[v] = name(world * 100 + rng.randrange(6))
            if rng.random() < 0.9:
                before[v] = world * 10 + rng.randrange(6)
    frames = labelled(spark, today, kind), labelled(spark, before, kind, "group_id", "long")
    found = pairs(groups.stable_groups(*frames, highest=7000))
    check_names(found, today, before, 7000)
    # Some that had overlap won nothing, so the order decided.
    assert len(heirs(today, before)) < len({today[i] for i in today.keys() & before.keys()}) - 50


def events_of(today, before):
    """The history by loops over members, from either group's side."""
    found = Counter()
    for i in today.keys() | before.keys():
        was, now = before.get(i), today.get(i)
        if was == now:
            continue
        if now is not None:
            known = now in before.values()
            found[now, "born" if not known else "grown" if was is None else "merged", was, now] += 1
        if was is not None:
            lives = was in today.values()
            found[was, "ended" if not lives else "shrunk" if now is None else "split", was, now] += 1
    return dict(found)


def test_groups_over_days_keep_their_names_and_their_history(spark):
    days = [components(vertices, edges) for vertices, edges, _, _ in history(2, 1)]
    # Vertices that go: a tenth of the last day's.
    days.append({v: c for v, c in days[-1].items() if v % 10})
    before = pairs(groups.stable_groups(labelled(spark, days[0], "long")))
    assert sorted(set(before.values())) == [*range(1, 1 + len(set(days[0].values())))]
    highest, kinds = max(before.values()), set()
    for number, today in enumerate(days[1:], start=1):
        old = labelled(spark, before, "long", "group_id")
        found = pairs(groups.stable_groups(labelled(spark, today, "long"), old, highest=highest))
        check_names(found, today, before, highest)
        rows = groups.group_history(labelled(spark, found, "long", "group_id"), old, date(2026, 3, number)).collect()
        events = {(r.group_id, r.kind, r.from_group, r.to_group): r.member_cnt for r in rows}
        assert {r.day for r in rows} <= {date(2026, 3, number)} and len(events) == len(rows)
        assert events == events_of(found, before)
        sizes, sign = (
            Counter(before.values()),
            {"born": 1, "merged": 1, "grown": 1, "ended": -1, "split": -1, "shrunk": -1},
        )
        for (group, kind, *_), members in events.items():
            sizes[group] += sign[kind] * members
        assert {g: n for g, n in sizes.items() if n} == Counter(found.values())
        kinds |= {kind for _, kind, _, _ in events}
        highest, before = max(highest, *found.values()), found
    assert kinds == {"born", "merged", "grown", "ended", "split", "shrunk"}


def test_ids_of_ended_groups_are_not_given_again(spark):
    today = labelled(spark, {1: 1, 2: 2}, "long")
    before = labelled(spark, {1: 4}, "long", "group_id")
    assert pairs(groups.stable_groups(today, before, highest=9)) == {1: 4, 2: 10}
    assert pairs(groups.stable_groups(today, before)) == {1: 4, 2: 5}
    with pytest.raises(graph.GraphError, match="before: column group_id is missing"):
        groups.stable_groups(today, today)


# Giants.


def recut(ids, edges, limit, ladder):
    """Edges left and edges cut, with the giant, its size, threshold and step, by loops."""
    weights = sorted(w for _, _, w in edges)
    steps = {}
    for step in sorted(ladder):
        steps.setdefault(weights[math.ceil(step * len(weights)) - 1], step)
    left, cut = [*edges], []
    for threshold, step in sorted(steps.items()):
        label = components(ids, [e[:2] for e in left])
        size = Counter(label.values())
        if max(size.values()) <= limit or threshold == weights[-1]:
            break
        weak = [e for e in left if size[label[e[0]]] > limit and e[2] <= threshold]
        cut += [(*e, label[e[0]], size[label[e[0]]], threshold, step) for e in weak]
        left = list((Counter(left) - Counter(weak)).elements())
    return left, cut


@pytest.fixture(scope="module")
def giants(spark):
    """Two giants of different strength that fall into blocks of 12 step by step, small groups, and lone vertices."""
    rng, edges = random.Random(8), []
    for first, blocks, low in ((0, 9, 1), (200, 6, 4)):
        for block in range(blocks):
            own = [first + block * 12 + n for n in range(12)]
            edges += [(rng.choice(own), v, float(rng.randint(low + 2, 12))) for v in own for _ in range(2)]
            onward = first + (block + 1) % blocks * 12
            edges += [(rng.choice(own), onward + n, float(low + n)) for n in range(3)]
    edges += [(400 + n, 400 + n - n % 3, 1.0) for n in range(30)]
    ids = [*range(108), *range(200, 272), *range(400, 460)]
    frames = table(spark, [(i,) for i in ids], "id long"), table(spark, edges, "src long, dst long, weight double")
    return ids, edges, *frames


def test_giants_are_cut_step_by_step(giants):
    ids, edges, vertices, ties = giants
    ladder = (0.4, 0.1, 0.12, 0.15, 0.2, 0.7)
    found = groups.cap_giant(vertices, ties, share=0.2, least=10, ladder=ladder)
    limit = int(0.2 * len(ids))
    left, cut = recut(ids, edges, limit, ladder)
    assert sorted(map(tuple, found.edges.collect())) == sorted(left)
    columns = ("src", "dst", "weight", "component", "component_size_cnt", "threshold", "ladder_share")
    rows = found.cut.collect()
    assert sorted(tuple(row[c] for c in columns) for row in rows) == sorted(cut)
    assert pairs(found.components) == components(ids, [e[:2] for e in left])
    assert (
        len({row.threshold for row in rows}) == 4 and max(Counter(pairs(found.components).values()).values()) <= limit
    )
    assert not [e for e in cut if e[0] >= 400]
    one = min(rows, key=lambda row: (row.src, row.dst, row.weight))
    assert one.reason == (
        f"weight of {one.weight:.4f} in a component of {one.component_size_cnt} vertices, more than {limit}: "
        f"ties there must exceed {one.threshold:.4f}, the {one.ladder_share * 100:.0f} % step"
    )


def test_giants_that_stay_raise_and_dwarfs_are_left_alone(spark, giants):
    ids, edges, vertices, ties = giants
    # By default nothing of fewer than a thousand is a giant.
    alone = groups.cap_giant(vertices, ties)
    assert alone.cut.count() == 0 and alone.edges.count() == len(edges)
    assert alone.cut.columns[3:] == ["component", "component_size_cnt", "threshold", "ladder_share", "reason"]
    even = ties.withColumn("weight", ties["weight"] * 0 + 2)
    with pytest.raises(graph.GraphError, match="edges: a component has 108 vertices, more than 48, with the strongest"):
        groups.cap_giant(vertices, even, share=0.2, least=10)
    refused = [
        ({"share": 1.5}, "share: a part of the vertices above 0 and below 1"),
        ({"ladder": (0.5, 1)}, "ladder: quantiles above 0 and below 1"),
        ({"strength": "amount"}, "edges: column amount is missing"),
    ]
    for arguments, message in refused:
        with pytest.raises(graph.GraphError, match=message):
            groups.cap_giant(vertices, ties, **arguments)
    with pytest.raises(graph.GraphError, match="strength: 1 values of weight are null"):
        groups.cap_giant(vertices, ties.unionByName(table(spark, [(1, 2, None)], "src long, dst long, weight double")))
