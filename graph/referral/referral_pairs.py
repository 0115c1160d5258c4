"""Who can introduce whom: pairs of a customer and somebody outside the bank, one or two steps apart over warm ties.

A pair is described by what was known at the moment of its ties alone. Nothing here looks at whether the prospect
came later: that is ``with_outcome``, for training and for measuring.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from strata.graph.algorithms.inputs import GraphError, check_columns, check_whole, checked
from strata.graph.algorithms.ranks import check_damping
from strata.graph.ties.dated_edges import check_caps

CAPS: Mapping[str, int] = {
    "call": 200, "co_account": 10, "colleague": 30, "contact": 200, "family": 20, "shared_address": 10, "transfer": 50,
}  # fmt: skip
"""Most people that a person may be tied to by a kind: beyond, they hardly know each other, or it is a service."""

FEATURES = (
    "tie_strength", "tie_kind_cnt", "common_contact_cnt", "common_colleague_cnt", "adamic_adar", "resource_allocation",
    "path_strength", "walk_rank", "prospect_degree_cnt", "referrer_degree_cnt", "referral_cnt",
)  # fmt: skip
"""What a pair's chance may be judged by."""

PAIR = ("referrer_id", "prospect_id")
WORDS: Mapping[str, str] = {
    "call": "they call each other",
    "co_account": "one account for both",
    "colleague": "same employer",
    "contact": "in the address book",
    "family": "family",
    "shared_address": "same address",
    "transfer": "money sent between them",
}
NO_CONSENT = "the referrer gave no consent to marketing"
RISKY_REFERRER = "the referrer is in a risk ring"
RISKY_PROSPECT = "the prospect is in a risk ring"
HELD_OUT = "held out to measure the lift"
_SLICES = 10_000


def referral_candidates(
    ties: DataFrame, persons: DataFrame, *, caps: Mapping[str, int] = CAPS, damping: float = 0.5
) -> DataFrame:
    """Pairs of a customer and a person outside, tied or with a contact in common, one row each.

    ``ties``: src, dst, kind, weight (> 0), one row a pair of persons and kind, all known by one moment; ``persons``:
    id, customer_id (null outside) and, if known, referral_cnt (whom the person has brought). Ids are long or string.
    Kinds without a cap are not used; with more people than its cap a person is a hub of the kind, and such ties are
    left out before any pair is made, so a contact in common makes at most (sum of caps) squared / 4 pairs.

    Columns: referrer_id, customer_id, prospect_id, step_cnt (1 or 2), tie_kinds (array), ``FEATURES``, reason_text.
    tie_strength is the sum of the weights between the two (0 at two steps), path_strength the sum over the contacts
    in common of the product of both strengths; adamic_adar and resource_allocation add 1 / ln(degree) and 1 / degree
    of these contacts; common_colleague_cnt counts those who are the referrer's colleagues. walk_rank is the prospect's
    rank after two steps of personalised PageRank from the referrer (``personalised_pagerank`` with iterations=2 over
    strengths, both ways): a longer walk differs by at most damping cubed, and goes by persons three steps away, of
    whom there are too many to join.

    Plan: the check, one job; links and degrees, three shuffles; one self-join at the contact in common and one
    aggregation of pairs, the only exchange that is larger than the ties; two joins of pairs with persons.
    Raises ``GraphError`` on a missing column, an end that is no person, a bad weight or cap, a damping not in 0..1.
    """
    _check(ties, persons, damping)
    check_caps(caps)
    near = warm_links(ties, caps).localCheckpoint()
    nodes = _nodes(near, persons).localCheckpoint()
    pairs = _met(near, nodes).groupBy(*PAIR).agg(*_sums())
    referrer = nodes.where("customer_id IS NOT NULL").select(
        F.col("id").alias("referrer_id"), "customer_id", "referral_cnt", "strength",
        F.col("degree_cnt").alias("referrer_degree_cnt"),
    )  # fmt: skip
    prospect = nodes.select(F.col("id").alias("prospect_id"), F.col("degree_cnt").alias("prospect_degree_cnt"))
    named = pairs.join(referrer, on="referrer_id", how="inner").join(prospect, on="prospect_id", how="inner")
    first, second = F.col("tie_strength"), F.col("_second")
    rank = (damping * (1 - damping) * first + damping**2 * second) / F.col("strength")
    kinds = F.size("tie_kinds")
    named = named.withColumns({"walk_rank": rank, "tie_kind_cnt": kinds, "step_cnt": F.when(kinds > 0, 1).otherwise(2)})
    columns = ("referrer_id", "customer_id", "prospect_id", "step_cnt", "tie_kinds", *FEATURES)
    return named.select(*columns, reason_text().alias("reason_text"))


def referral_paths(ties: DataFrame, pairs: DataFrame, *, caps: Mapping[str, int] = CAPS, most: int = 3) -> DataFrame:
    """The ties that pairs rest on: those between the two, and those to and from the best contacts in common.

    ``ties``: as of ``referral_candidates``, with known_ts; ``pairs``: referrer_id, prospect_id, one row each, for
    example the best of a day. A contact's place is by the product of both strengths, at most ``most`` are told, and
    of equals the smallest id. Columns: referrer_id, prospect_id, src, dst (from the referrer on), kind,
    evidence_count, known_ts; a tie to a contact stands once under each pair it serves. Plan: that of ``warm_links``,
    a join of pairs with links at either end, one window, one join with the ties. Raises ``GraphError`` on a missing
    column, a bad cap, or ``most`` below 1.
    """
    check_columns("ties", ties, "src", "dst", "kind", "weight", "evidence_count", "known_ts")
    check_columns("pairs", pairs, *PAIR)
    check_caps(caps)
    check_whole("most", most, 1)
    used = _used(ties, caps).localCheckpoint()
    links = _links(used).localCheckpoint()
    asked = pairs.select(*PAIR).distinct().localCheckpoint()
    first = links.select(F.col("id").alias("referrer_id"), F.col("other").alias("via"), F.col("strength").alias("s1"))
    second = links.select(F.col("id").alias("via"), F.col("other").alias("prospect_id"), F.col("strength").alias("s2"))
    ways = asked.join(first, on="referrer_id", how="inner").join(second, on=["via", "prospect_id"], how="inner")
    best = Window.partitionBy(*PAIR).orderBy((F.col("s1") * F.col("s2")).desc(), "via")
    ways = ways.withColumn("place", F.row_number().over(best)).where(F.col("place") <= most)
    legs = asked.select(*PAIR, F.col("referrer_id").alias("src"), F.col("prospect_id").alias("dst"))
    for src, dst in (("referrer_id", "via"), ("via", "prospect_id")):
        legs = legs.unionByName(ways.select(*PAIR, F.col(src).alias("src"), F.col(dst).alias("dst")))
    told = used.select("src", "dst", "kind", "evidence_count", "known_ts")
    both = told.unionByName(told.select(F.col("dst").alias("src"), F.col("src").alias("dst"), *told.columns[2:]))
    return legs.join(both, on=["src", "dst"], how="inner").select(*PAIR, *told.columns)


def warm_links(ties: DataFrame, caps: Mapping[str, int] = CAPS) -> DataFrame:
    """Ties that are no hub's, by pair and both ways: id, other, strength (sum of weights), kinds (sorted array).

    A hub has more people of a kind than its cap. Three shuffles: degrees by kind, and the joins with the hubs.
    """
    return _links(_used(ties, caps))


def _used(ties: DataFrame, caps: Mapping[str, int]) -> DataFrame:
    """The ties of kinds with a cap between two persons of whom neither is a hub of the kind."""
    used = ties.where(F.col("kind").isin(*caps) & (F.col("src") != F.col("dst")))
    ends = used.selectExpr("src AS id", "kind", "dst AS other").unionByName(
        used.selectExpr("dst AS id", "kind", "src AS other")
    )
    cap = F.create_map(*(F.lit(part) for pair in sorted(caps.items()) for part in pair))
    degrees = ends.groupBy("id", "kind").agg(F.countDistinct("other").alias("degree"))
    hubs = degrees.where(F.col("degree") > cap[F.col("kind")])
    for end in ("src", "dst"):
        used = used.join(hubs.select(F.col("id").alias(end), "kind"), on=[end, "kind"], how="left_anti")
    return used


def _links(used: DataFrame) -> DataFrame:
    pairs = used.groupBy(F.least("src", "dst").alias("id"), F.greatest("src", "dst").alias("other")).agg(
        F.sum("weight").alias("strength"), F.sort_array(F.collect_set("kind")).alias("kinds")
    )
    return pairs.unionByName(pairs.selectExpr("other AS id", "id AS other", "strength", "kinds"))


def reason_text() -> Column:
    """Why the two may know each other, from tie_kinds, common_contact_cnt and common_colleague_cnt, in words."""
    words = F.create_map(*(F.lit(part) for pair in WORDS.items() for part in pair))
    direct = F.transform("tie_kinds", lambda kind: F.coalesce(words[kind], kind))
    count, work = F.col("common_contact_cnt"), F.col("common_colleague_cnt")
    common = F.when(count == 1, "1 common contact").when(count > 1, F.format_string("%d common contacts", count))
    colleagues = F.when(work > 0, F.format_string(" (%d of the same employer)", work)).otherwise("")
    return F.concat_ws(", ", F.concat(common, colleagues), direct)


def allowed(
    candidates: DataFrame,
    *,
    consents: DataFrame,
    risky: DataFrame,
    holdout: float = 0.1,
    salt: str = "referral",
) -> DataFrame:
    """Add to every pair ``is_allowed`` and ``refusal`` (why not, null when allowed); no row is lost.

    ``consents``: customer_id of those who allow marketing now; ``risky``: id of persons, customers or not, that no
    referral may come from or lead to. ``holdout`` is the share of prospects whom nobody is asked to introduce, by a
    hash of ``salt`` and the prospect, so that what comes of them tells the lift; a prospect is held out from every
    referrer, since another's invitation would reach him just as well. Who is refused for another reason is not
    counted as held out. Three joins. Raises ``GraphError`` on a missing column or a ``holdout`` that is no share.
    """
    for name, frame, column in (("consents", consents, "customer_id"), ("risky", risky, "id")):
        check_columns(name, frame, column)
    check_columns("candidates", candidates, "customer_id", *PAIR)
    if not 0 <= holdout < 1:
        raise GraphError(f"holdout: a share of prospects from 0 and below 1 is expected, not {holdout!r}")
    rows = candidates.join(consents.select("customer_id").distinct().withColumn("_ok", F.lit(1)), "customer_id", "left")
    for end in PAIR:
        marked = risky.select(F.col("id").alias(end)).distinct().withColumn(f"_{end}", F.lit(1))
        rows = rows.join(marked, on=end, how="left")
    slice_of = F.pmod(F.xxhash64(F.lit(salt), "prospect_id"), F.lit(_SLICES))
    refusal = (
        F.when(F.col("_ok").isNull(), NO_CONSENT)
        .when(F.col("_referrer_id").isNotNull(), RISKY_REFERRER)
        .when(F.col("_prospect_id").isNotNull(), RISKY_PROSPECT)
        .when(slice_of < round(holdout * _SLICES), HELD_OUT)
    )
    return rows.withColumn("refusal", refusal).select(
        *candidates.columns, F.col("refusal").isNull().alias("is_allowed"), "refusal"
    )


def with_outcome(candidates: DataFrame, referrals: DataFrame) -> DataFrame:
    """Add ``is_referred`` (1 or 0) to every pair: whether it is among ``referrals`` (referrer_id, prospect_id).

    Give those that happened after the moment of the candidates and by the end of the period. One join.
    """
    happened = referrals.select(*PAIR).distinct().withColumn("is_referred", F.lit(1))
    return candidates.join(happened, on=list(PAIR), how="left").select(
        *candidates.columns, F.coalesce("is_referred", F.lit(0)).alias("is_referred")
    )


def _check(ties: DataFrame, persons: DataFrame, damping: float) -> None:
    check_columns("ties", ties, "kind")
    check_columns("persons", persons, "customer_id")
    check_damping(damping)
    checked(persons, ties, weight="weight")


def _nodes(near: DataFrame, persons: DataFrame) -> DataFrame:
    """Persons with a link: id, customer_id, referral_cnt, degree_cnt, strength (of all links)."""
    brought = F.coalesce("referral_cnt", F.lit(0)) if "referral_cnt" in persons.columns else F.lit(0)
    degrees = near.groupBy("id").agg(F.count(F.lit(1)).alias("degree_cnt"), F.sum("strength").alias("strength"))
    return degrees.join(
        persons.select("id", "customer_id", brought.cast("long").alias("referral_cnt")), on="id", how="inner"
    )


def _met(near: DataFrame, nodes: DataFrame) -> DataFrame:
    """A row a direct tie or contact in common of a customer and somebody outside, with its part of each sum."""
    sides = nodes.select(F.col("id").alias("other"), F.col("customer_id").isNotNull().alias("inside"))
    placed = near.join(sides, on="other", how="inner")
    to_prospect = placed.where("NOT inside").select(
        "id", F.col("other").alias("prospect_id"), F.col("strength").alias("s2"), F.col("kinds").alias("kinds2")
    )
    to_referrer = placed.where("inside").select(
        "id", F.col("other").alias("referrer_id"), F.col("strength").alias("s1"),
        F.array_contains("kinds", "colleague").cast("long").alias("colleague"),
    )  # fmt: skip
    direct = to_prospect.join(nodes.where("customer_id IS NOT NULL").select("id"), on="id", how="left_semi").select(
        F.col("id").alias("referrer_id"),
        "prospect_id",
        F.col("s2").alias("tie_strength"),
        F.col("kinds2").alias("kinds"),
    )
    via = to_referrer.join(nodes.select("id", "degree_cnt", "strength"), on="id", how="inner")
    common = via.join(to_prospect, on="id", how="inner").select(
        "referrer_id", "prospect_id", F.lit(1).cast("long").alias("common"), "colleague",
        (1 / F.log(F.col("degree_cnt").cast("double"))).alias("adamic_adar"),
        (1 / F.col("degree_cnt")).alias("resource_allocation"),
        (F.col("s1") * F.col("s2")).alias("path"), (F.col("s1") * F.col("s2") / F.col("strength")).alias("second"),
    )  # fmt: skip
    return direct.unionByName(common, allowMissingColumns=True)


def _sums() -> list[Column]:
    def total(name: str, of: str) -> Column:
        return F.coalesce(F.sum(of), F.lit(0)).alias(name)

    return [
        total("tie_strength", "tie_strength"),
        F.flatten(F.collect_list("kinds")).alias("tie_kinds"),
        total("common_contact_cnt", "common"),
        total("common_colleague_cnt", "colleague"),
        total("adamic_adar", "adamic_adar"),
        total("resource_allocation", "resource_allocation"),
        total("path_strength", "path"),
        total("_second", "second"),
    ]
