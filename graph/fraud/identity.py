"""The same person behind several customer records: who, by which evidence, as of a moment, and what changed since.

Records that hold the same values are one person's as far as a rule says so. Strong evidence (an ID number) ties
whoever shares it, and is what a record says now: a correction takes it back. Weak evidence is what a record said in
any period, for people move; it ties only those whom no strong evidence keeps apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.window import WindowSpec

from strata.graph.algorithms.inputs import GraphError, check_columns
from strata.graph.communities.groups import components_within
from strata.graph.ties.dated_edges import instant


@dataclass(frozen=True)
class Rule:
    """Records with the same values in all ``columns``, none of them null, are one person's.

    ``caps``: how many records may hold one value of a column; above that it is evidence of nothing.
    """

    name: str
    columns: tuple[str, ...]
    strong: bool
    caps: Mapping[str, int] = field(default_factory=dict)


RULES = (
    Rule("id_number", ("id_hash",), strong=True, caps={"id_hash": 5}),
    Rule(
        "phone_birth_address",
        ("phone_hash", "birth_date", "home_address_hash"),
        strong=False,
        caps={"phone_hash": 5, "home_address_hash": 20},
    ),
)
"""An ID number; or phone, date of birth and home address together."""

EVIDENCE = ("customer_id", "rule", "strong", "values", "holder_cnt", "tied_to", "known_ts", "verdict")
ENDS = {"low": F.min, "high": F.max}


def resolve_identities(customers: DataFrame, as_of: date | datetime | str, rules: Sequence[Rule] = RULES) -> DataFrame:
    """Who is who as of a moment: customer_id, person_id, evidence, known_ts, one row a record known by ``as_of``.

    ``customers``: versions of records, customer_id (long or string), valid_from, known_ts and the rules' columns;
    those with known_ts and valid_from <= ``as_of`` count, of one period the version known last. ``person_id`` is
    the smallest customer_id of the person's records. ``evidence`` is an array of struct (rule, tied_to, known_ts):
    by which rule the record is tied to which other, the smallest that holds the same values; empty for a record
    alone. ``known_ts``: when the newest evidence that holds the person together was first known; alone, the record.

    Plan: that of ``identity_evidence``, then the components of its ties, one aggregation and one window by person.
    Raises ``GraphError`` on missing columns and on rules that can't be.
    """
    records, evidence = _judged(customers, as_of, rules)
    ties = evidence.where(F.col("verdict") == "tie").localCheckpoint()
    persons = _components(records, ties).withColumnRenamed("component", "person_id")
    tied = ties.groupBy("customer_id").agg(
        F.sort_array(F.collect_list(F.struct("rule", "tied_to", "known_ts"))).alias("evidence"),
        F.max("known_ts").alias("tied_ts"),
    )
    named = records.join(persons, on="customer_id", how="inner").join(tied, on="customer_id", how="left")
    newest = F.max("tied_ts").over(Window.partitionBy("person_id"))
    none = F.array().cast(tied.schema["evidence"].dataType)
    return named.select(
        "customer_id",
        "person_id",
        F.coalesce("evidence", none).alias("evidence"),
        F.coalesce(newest, "known_ts").alias("known_ts"),
    )


def identity_evidence(customers: DataFrame, as_of: date | datetime | str, rules: Sequence[Rule] = RULES) -> DataFrame:
    """What more than one record holds, and whether it ties them: the register behind ``resolve_identities``.

    One row a record, rule and values: customer_id, rule, strong, values (array of string), holder_cnt (records that
    hold them), tied_to (the smallest other one), known_ts (when the bank first knew it of both), verdict:

    - ``hub``: a value is held by more records than its cap;
    - ``contested``: weak evidence, and the strong evidence of those who hold it differs;
    - ``doubtful``: weak evidence that with other weak evidence would make one person of records whose strong
      evidence differs, through records that have none. All of it falls, not the last that was looked at;
    - ``tie``: none of these.

    Plan: one window by record over the versions; a rule, one aggregation by record and values and one window by
    values; a cap, one aggregation and one join; components of the strong ties, and with the uncontested weak ones;
    a join and a window after each. Nothing comes to the driver. Raises as ``resolve_identities``.
    """
    return _judged(customers, as_of, rules)[1]


def identity_history(today: DataFrame, before: DataFrame, day: date) -> DataFrame:
    """Records that changed persons: day, kind, from_person, to_person, customer_ids (array, ascending).

    ``today`` and ``before``: answers of ``resolve_identities``. Records that went together from one person to
    another make one row of kind ``merged`` when that one has records of several persons of before, one of kind
    ``split`` when theirs has records in several persons today (both can be), else ``renamed``: the number alone
    changed, for a smaller new record joined or the smallest went. Records that are new make no row. One join, one
    aggregation and two windows by person.
    """
    were = before.select("customer_id", F.col("person_id").alias("from_person"))
    are = today.select("customer_id", F.col("person_id").alias("to_person"))
    moves = were.join(are, on="customer_id", how="inner").groupBy("from_person", "to_person")
    moves = moves.agg(F.sort_array(F.collect_list("customer_id")).alias("customer_ids"))
    parts = [F.count(F.lit(1)).over(Window.partitionBy(person)) for person in ("to_person", "from_person")]
    merged, split = (F.when(part > 1, kind) for part, kind in zip(parts, ("merged", "split")))
    kinds = F.array_compact(F.array(merged, split))
    moves = moves.withColumn("kind", F.when(F.size(kinds) > 0, kinds).otherwise(F.array(F.lit("renamed"))))
    moves = moves.where(F.col("from_person") != F.col("to_person")).withColumn("kind", F.explode("kind"))
    return moves.select(F.lit(day).cast("date").alias("day"), "kind", "from_person", "to_person", "customer_ids")


def rekey(rows: DataFrame, identities: DataFrame, column: str = "customer_id") -> DataFrame:
    """The rows with persons in place of customers in ``column``; nulls and records without a person stay.

    ``identities``: an answer of ``resolve_identities``. Columns and number of rows are as before. One join.
    Raises ``GraphError`` when the column is missing.
    """
    check_columns("rows", rows, column)
    persons = identities.select(F.col("customer_id").alias(column), F.col("person_id").alias("_person"))
    met = rows.join(persons, on=column, how="left").withColumn(column, F.coalesce("_person", column))
    return met.select(*rows.columns)


def check_rules(rules: Sequence[Rule]) -> None:
    """Raise ``GraphError`` unless there are rules, each with a name of its own, columns, and caps from 1 on these."""
    if not rules or len({rule.name for rule in rules}) < len(rules):
        raise GraphError("rules: at least one is expected, each with a name of its own")
    for rule in rules:
        if not rule.columns:
            raise GraphError(f"rules: {rule.name} has no columns")
        for column, cap in rule.caps.items():
            if column not in rule.columns or isinstance(cap, bool) or not isinstance(cap, int) or cap < 1:
                raise GraphError(
                    f"rules: {rule.name}: caps are whole numbers from 1 on its columns, not {column}: {cap!r}"
                )


def _judged(customers: DataFrame, as_of: date | datetime | str, rules: Sequence[Rule]) -> tuple[DataFrame, DataFrame]:
    """Records (customer_id, known_ts) and the evidence that several of them hold, with its verdict."""
    check_rules(rules)
    columns = sorted({column for rule in rules for column in rule.columns})
    check_columns("customers", customers, "customer_id", "valid_from", "known_ts", *columns)
    versions = _versions(customers, as_of, columns).localCheckpoint()
    records = versions.groupBy("customer_id").agg(F.min("known_ts").alias("known_ts")).localCheckpoint()
    held = reduce(DataFrame.unionByName, [_held(versions, rule) for rule in rules]).localCheckpoint()
    strong = [rule.name for rule in rules if rule.strong]
    kin = _components(records, held.where(F.col("strong") & ~F.col("hub") & (F.col("holder_cnt") > 1)))
    known = _strong_values(held, kin, strong).localCheckpoint()
    shared = held.where(F.col("holder_cnt") > 1).join(known, on="customer_id", how="inner")
    contested = ~F.col("strong") & _differ(strong, Window.partitionBy("rule", "values"))
    verdict = F.when(F.col("hub"), "hub").when(contested, "contested").otherwise("tie")
    shared = shared.withColumn("verdict", verdict).localCheckpoint()
    whole = _components(records, shared.where(F.col("verdict") == "tie")).join(known, on="customer_id", how="inner")
    doubt = whole.select("customer_id", _differ(strong, Window.partitionBy("component")).alias("doubt"))
    fallen = (F.col("verdict") == "tie") & ~F.col("strong") & F.col("doubt")
    judged = shared.join(doubt, on="customer_id", how="inner")
    judged = judged.withColumn("verdict", F.when(fallen, "doubtful").otherwise(F.col("verdict")))
    return records, judged.select(*EVIDENCE)


def _versions(customers: DataFrame, as_of: date | datetime | str, columns: list[str]) -> DataFrame:
    """Versions known by then, values as text; ``stands``: the last of its period; ``now``: and of the last period."""
    begun = F.col("valid_from").cast("timestamp") <= instant(as_of)
    known = customers.where((F.col("known_ts") <= instant(as_of)) & begun)
    last = F.col("valid_from") == F.max("valid_from").over(Window.partitionBy("customer_id"))
    stands = F.col("known_ts") == F.max("known_ts").over(Window.partitionBy("customer_id", "valid_from"))
    texts = [F.col(column).cast("string").alias(column) for column in columns]
    return known.select("customer_id", "known_ts", *texts, stands.alias("stands"), (stands & last).alias("now"))


def _held(versions: DataFrame, rule: Rule) -> DataFrame:
    """What records hold of a rule's values, shared or not: the columns of ``EVIDENCE`` with hub for verdict."""
    counts = F.col("now" if rule.strong else "stands")
    rows, hub = versions, F.lit(False)
    for column, cap in sorted(rule.caps.items()):
        holders = versions.where(counts).groupBy(column).agg(F.countDistinct("customer_id").alias("holders"))
        crowd = holders.where(F.col("holders") > cap).select(column, F.lit(True).alias(f"{column}_crowd"))
        rows = rows.join(crowd, on=column, how="left")
        hub = hub | F.coalesce(f"{column}_crowd", F.lit(False))
    full = reduce(Column.__and__, [F.col(column).isNotNull() for column in rule.columns])
    # A version that a correction has replaced tells when the values were first known, if they still are held.
    held = rows.where(full).groupBy("customer_id", F.array(*rule.columns).alias("values"))
    held = held.agg(F.min("known_ts").alias("known_ts"), F.max(counts).alias("counts"), F.max(hub).alias("hub"))
    same = Window.partitionBy("values")
    return held.where("counts").select(
        "customer_id",
        F.lit(rule.name).alias("rule"),
        F.lit(rule.strong).alias("strong"),
        "values",
        F.count(F.lit(1)).over(same).alias("holder_cnt"),
        _of_smallest_other("customer_id", same).alias("tied_to"),
        F.greatest("known_ts", _of_smallest_other("known_ts", same)).alias("known_ts"),
        "hub",
    )


def _of_smallest_other(column: str, same: WindowSpec) -> Column:
    """A column of the smallest record of the window, of the next one for the smallest itself."""
    order = same.orderBy("customer_id")
    return F.when(F.row_number().over(order) == 1, F.lead(column).over(order)).otherwise(F.first(column).over(order))


def _components(records: DataFrame, ties: DataFrame) -> DataFrame:
    """customer_id, component."""
    ids = records.select(F.col("customer_id").alias("id"))
    edges = ties.select(F.col("customer_id").alias("src"), F.col("tied_to").alias("dst"))
    return components_within(ids, edges).withColumnRenamed("id", "customer_id")


def _strong_values(held: DataFrame, kin: DataFrame, strong: Sequence[str]) -> DataFrame:
    """customer_id and, a strong rule, the lowest and highest values that its kin hold: they differ if two are held."""
    if not strong:
        return kin.select("customer_id")
    own = held.where(F.col("strong") & ~F.col("hub")).join(kin, on="customer_id", how="inner")
    by_rule = {name: F.when(F.col("rule") == name, F.col("values")) for name in strong}
    ends = [end(by_rule[name]).alias(f"{name}_{word}") for name in strong for word, end in ENDS.items()]
    bounds = own.groupBy("component").agg(*ends)
    return kin.join(bounds, on="component", how="left").drop("component")


def _differ(strong: Sequence[str], among: WindowSpec) -> Column:
    """Whether the records of a window hold two different values of one strong rule."""
    apart = [F.min(f"{name}_low").over(among) != F.max(f"{name}_high").over(among) for name in strong]
    return reduce(Column.__or__, [F.coalesce(one, F.lit(False)) for one in apart], F.lit(False))
