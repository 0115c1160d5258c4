"""The catalogue's page: everything is on it once, nothing on it runs, and the search finds by every word."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date

import pytest
from pyspark.sql import Row

from strata.conf.tables import ALL
from strata.features.views import account_views, customer_views
from strata.jobs.feature_store.feature_uses import Offer, Use
from strata.jobs.reports.charts.catalogue_drawings import bars
from strata.jobs.reports.pages.catalogue import Catalogue, catalogue

HOSTILE = "</script><img src=x onerror=alert(1)>"


def _page(views, statistics=None, models=(), sets=(), facts=None) -> Catalogue:
    return catalogue("test", views, ALL, statistics or {}, models, sets, facts or {"Made": "today"})


def _row(feature: str, low: float = 0.0, high: float = 10.0) -> Row:
    figures = dict.fromkeys(("mean", "std", "min", "max", "q01", "q05", "q25", "q50", "q75", "q95", "q99"), 1.5)
    ranks = [low + (high - low) * place / 99 for place in range(100)]
    return Row(
        as_of_date=date(2025, 3, 31), feature=feature, rows=2000, nulls=500, null_ratio=0.25, distinct=7,
        **{**figures, "q01": low, "q99": high}, ranks=ranks,
    )  # fmt: skip


def _search(html: str) -> list[dict]:
    return json.loads(re.search('id="search-data">(.*?)</script>', html).group(1))


def test_every_feature_stands_once_with_owner_class_and_purposes():
    html = _page(customer_views()).html()
    for view in customer_views():
        for feature in view.features:
            assert html.count(f'id="feature-{feature.name}"') == 1
            told = html.split(f'id="feature-{feature.name}"')[1].split('<details class="f"')[0]
            assert f"<dt>Owner</dt><dd>{view.owner}</dd>" in told
            assert f"<dt>Personal class</dt><dd>{feature.personal}</dd>" in told
            assert f"<dt>Purposes</dt><dd>{', '.join(sorted(feature.purposes))}</dd>" in told
    assert len(html) < 3_000_000
    assert (
        len(_search(html))
        == len({row["name"] for row in _search(html)})
        == sum(len(view.features) for view in customer_views())
    )


def test_every_link_leads_somewhere_and_no_address_stands_twice():
    first = account_views()[0].features[0].name
    html = _page(account_views(), models=[Use("card", "scorecard", (first,), (), 1, "champion")]).html()
    anchors = re.findall(' id="([^"]+)"', html)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall('href="#([^"]+)"', html)) <= set(anchors)
    assert not re.findall('(?:src|href)="(?!#)', html)


def test_statistics_and_uses_are_those_of_the_feature():
    view = account_views()[0]
    one, other = view.features[0].name, view.features[1].name
    used = Use("card", "scorecard", (one, "age"), (other,), 3, "champion")
    page = _page(account_views(), {one: _row(one)}, [used], [Offer("set", "credit_risk", (one, other))])
    entries = {entry.feature.name: entry for entry in page.views[0].entries}
    assert entries[one].uses == (used,) and entries[other].tried == (used,)
    assert ("different values", "7") in entries[one].figures and entries[one].null_share == "25.0 %"
    assert entries[other].bars is None and not entries[other].figures
    model = page.models[0]
    assert (model.used, model.tried, model.others) == ((one,), (other,), ("age",))
    table = next(table for table in page.tables if table.table.name == "transaction")
    touched = {column.column.name for column in table.columns if used in column.uses}
    assert {"amount", "direction", "known_ts"} <= touched
    assert [tile.value for tile in page.tiles][:2] == ["61", "6"] and page.tiles[-1].value == "2025-03-31"


def test_hostile_words_are_shown_and_never_run():
    view = replace(account_views()[0], description=HOSTILE, owner=HOSTILE)
    html = _page([view], facts={HOSTILE: HOSTILE}).html()
    assert "<img" not in html and html.count("</script>") == 2
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in html
    assert HOSTILE in _search(html)[0]["words"]


@pytest.mark.parametrize(
    "word", ["household", "amount", "data platform", "marketing", "quasi", "transaction", "derived"]
)
def test_the_search_knows_names_columns_owner_purposes_class_and_source(word):
    rows = {row["name"]: row for row in _search(_page(account_views()).html())}
    assert word in rows["household_committed_share_180d_ratio"]["words"]


def test_bars_are_as_tall_as_their_share():
    assert bars([1.0] * 100, 1.0, 1.0) == "M84 28v-28h6v28z"
    drawn = bars([0.0] * 50 + [10.0] * 25 + [12.0] * 25, 0.0, 10.0)
    assert [float(height) for height in re.findall(r"v-([\d.]+)", drawn)] == [28, 14, 14]
