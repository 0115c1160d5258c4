"""The page of a case: what is drawn, what is left out, and that nothing in it is taken for markup."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

from strata.jobs.reports.pages.case_page import MOST_NODES, Case, Event, Node, Tie
from strata.jobs.reports.pages.page import Sheet, Tile

START = datetime(2025, 3, 1, 9, 30)


def _case(people: int = 6) -> Case:
    nodes = [Node(f"customer:{n}", f"{n}", (f"2025-03-0{n % 9 + 1}: applied",), n == 1) for n in range(people)]
    nodes.append(Node("device:ab", "device </script><b>", ()))
    ties = [Tie(f"customer:{n}", "device:ab", "device", "device, 2025-03-01", n == 2) for n in range(people)]
    events = [
        Event(f"customer:{n % 4}", START + timedelta(hours=7 * n), "applied", f"applied {n}") for n in range(people)
    ]
    sheet = Sheet(("from", "to"), [("customer 1", "<device>")], "Ties")
    return Case("Ring: 1", "6 sign in from one <device>", nodes, ties, events, [sheet], [Tile("6", "customers")])


def test_the_page_holds_picture_timeline_and_evidence_and_escapes_all():
    html = _case().html()
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    graph = json.loads(data.group(1))
    assert len(graph["nodes"]) == 7 and len(graph["ties"]) == 6
    assert graph["nodes"][graph["ties"][0]["dst"]]["label"] == "device </script><b>"
    assert "<device>" not in html and "&lt;device&gt;" in html
    assert html.count("<circle") == 6 and "2025-03-01 09:30 applied 0" in html
    assert "Points with a red ring" in html and "money moved" not in html
    assert {node["entity"] for node in graph["nodes"]} == {"customer", "device"}


def test_time_runs_to_the_right_and_everybody_has_a_lane():
    line = _case().timeline
    assert [label for label, _ in line.lanes] == ["0", "1", "2", "3"]
    places = [x for x, *_ in line.dots]
    assert places == sorted(places) and places[0] == 150 and places[-1] == 740
    assert line.legend == [("applied", "#0b5c8a")]
    alone = Case("t", "l", [], [], [Event("customer:1", START, "bad", "late")], [])
    assert len(alone.timeline.dots) == 1 and Case("t", "l", [], [], [], []).timeline is None


def test_too_many_points_are_left_out_by_their_ties_and_said():
    case = _case(MOST_NODES + 20)
    assert case.left_out == 21 and len(case.drawn) == MOST_NODES
    # The marked one and the device, which has most ties, stay.
    assert {"customer:1", "device:ab"} <= {node.key for node in case.drawn}
    assert "21 points with the fewest ties are not drawn" in case.html()


def test_titles_stand_over_their_numbers():
    sheet = Sheet(("customer", "owes", "left"), [("1", None, None), ("2", 5.0, None)], "Owed")
    html = Case("t", "l", [], [], [], [sheet]).html()
    assert '<th>customer</th><th class="n">owes</th><th>left</th>' in html
    assert '<td>2</td><td class="n">5.000</td><td>–</td>' in html
    assert '<td>1</td><td class="n">–</td><td>–</td>' in html
    assert list(Sheet(("empty",), []).heads()) == [("empty", False)]
