"""Feeds in dated folders: CSV, JSON lines and Parquet, every kind of broken row, and the versions of a row."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import Row
from pyspark.sql import functions as F

from strata.conf.banks import Feed, load_bank
from strata.conf.banks.feeds import Delivered, Reference
from strata.conf.settings import Gates, load_settings
from strata.conf.tables import SILVER
from strata.jobs.cli import main
from strata.jobs.runtime.errors import GateError, InputError
from strata.jobs.runtime.job import Context
from strata.jobs.runtime.progress import Progress
from strata.jobs.runtime.tokens import tokeniser
from strata.jobs.sources import cleaning, flow
from strata.jobs.sources.coverage import from_opening
from strata.jobs.sources.deliveries import Delivery, drops
from strata.jobs.sources.formats import check_header, fields, objects, shape, staged_rows
from strata.jobs.sources.landing import land, numbered
from strata.jobs.sources.mapping import TOKEN, mapping_of, mappings_of
from strata.jobs.table_catalog import contract_of, lake_at
from tests.conftest import in_zone

BANK = load_bank("simulated")
MAPPINGS = mappings_of(BANK)
BY_KIND = {mapping.feed.kind: mapping for mapping in MAPPINGS}
KEY = b"k" * 32


def header(kind):
    return BANK.feed(kind).header


JAN, FEB, MAR = "2025-01-31", "2025-02-28", "2025-03-31"
KNOWN = {
    "district": "SELECT 10 AS district_id",
    # Two versions of a customer: whoever refers to it is still one row.
    "customer": "SELECT 1L AS customer_id, valid_from FROM VALUES (DATE'2020-01-01'), (DATE'2024-01-01') v(valid_from)",
    "branch": "SELECT 5 AS branch_id",
    "employer": "SELECT 7L AS employer_id",
}


@pytest.fixture(autouse=True, scope="module")
def banks_zone(spark):
    with in_zone(spark, "Asia/Shanghai"):
        yield


def content(kind, rows):
    """A file's bytes: lines for CSV (after the header) and JSON, an Arrow table for Parquet."""
    if isinstance(rows, pa.Table):
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        return sink.getvalue().to_pybytes()
    head = [";".join(header(kind)).encode()] if BANK.feed(kind).format == "csv" else []
    return b"".join(line + b"\n" for line in (*head, *rows))


def dropped(folder, kind, *files):
    """Files of one kind, given as (day, rows), in their dated folders; as found there."""
    for day, rows in files:
        (folder / day).mkdir(exist_ok=True)
        (folder / day / f"{kind}.{BANK.feed(kind).format}").write_bytes(content(kind, rows))
    return drops(folder, "landing", BANK.feeds)


def bronze(spark, folder, kind, *files):
    """Bronze rows as landing makes them, without a lake: staged in the folder of their content and day."""
    found = dropped(folder, kind, *files)
    staged = {}
    for file in found:
        check_header(file)
        target = folder / "staged" / file.place / file.path.name
        target.parent.mkdir(parents=True)
        target.write_bytes(file.path.read_bytes())
        staged[str(target)] = shape(file.path, file.name) if file.format == "parquet" else ()
    described = [(file.place, file.sha256, file.name, n, "run") for file, n in zip(found, numbered(found, []))]
    names = "_place string, _sha256 string, _source string, _delivery long, _ingest_id string"
    rows = staged_rows(spark, BANK.feed(kind), staged)
    return rows.join(spark.createDataFrame(described, names), on="_place", how="inner")


def judged(spark, folder, kind, *files, mapping=None):
    mapping = mapping or BY_KIND[kind]
    known = {name: spark.sql(sql) for name, sql in KNOWN.items()}
    rows = bronze(spark, folder, kind, *files)
    spark.udf.register(TOKEN, tokeniser(spark, KEY))
    return cleaning.judged([(mapping, rows)], known, replaced=()).persist()


def assert_told(rows, source, wanted, first):
    """Each row of ``wanted`` (verdict, reason) is told, by row and column, and the accounts are exact."""
    told = {row._row: row for row in rows.where(F.col("_source") == source).collect()}
    assert sorted(told) == list(range(first, first + len(wanted)))
    for number, (verdict, reason) in enumerate(wanted, start=first):
        row = told[number]
        assert row.verdict == verdict, (number, row.why)
        start = f"{source} row {number}: {reason}" if reason else ""
        assert (row.why or "").startswith(start), row.why
        assert row.column_name == (reason.split(": ")[0] if reason and ": " in reason else None)
    account = next(a for a in cleaning.accounts(rows, "any").collect() if a._source == source)
    for verdict in cleaning.VERDICTS:
        assert account[f"rows_{verdict}"] == sum(made == verdict for made, _ in wanted)


ACCOUNTS = [
    (b"1;10;monthly;CUR;2020-01-01;;active;6222;2020-01-01T09:00:00", "out", None),
    (b'2;10;;;2020-01-01;;;"62;22";2020-01-02 09:00:00.25', "out", None),
    (b"3;10;;;2020-01-01;;;", "quarantined", "the line does not have 9 fields"),
    (b"4;10;;;2020-01-01;;;;2020-01-01T09:00:00;more", "quarantined", "the line does not have 9 fields"),
    (b"5x;10;;;2020-01-01;;;;2020-01-01T09:00:00", "quarantined", "account_id: '5x' is not bigint"),
    (b"6;10;;;2025-02-30;;;;2025-03-01T09:00:00", "quarantined", "opened_on: '2025-02-30' is not a day like"),
    (b"7;10;;;20200101;;;;2020-01-01T09:00:00", "quarantined", "opened_on: '20200101' is not a day like"),
    (b"8;10;;;2020-01-01;;;;2020-01-01T25:00:00", "quarantined", "booked_at: '2020-01-01T25:00:00' is not a time"),
    (b"9;10;;;2020-01-01;;asleep;;2020-01-01T09:00:00", "quarantined", "status: unknown status"),
    (b";10;;;2020-01-01;;;;2020-01-01T09:00:00", "quarantined", "account_id: is missing"),
    (b"11;10;;;2020-01-01;;;;", "quarantined", "booked_at: is missing"),
    (b"12;10;;;2020-01-01;;;\xe9;2020-01-01T09:00:00", "quarantined", "account_number: is not UTF-8"),
    (b"13;99;;;2020-01-01;;;;2020-01-01T09:00:00", "quarantined", "district_id: '99' is not in district"),
    (b"14;10;;;2020-01-02;;;;2020-01-01T09:00:00", "quarantined", "known before it happened"),
    (
        b"15;10;;;2020-01-01;;;;2020-01-01T09:00:00",
        "quarantined",
        "account_id, known_ts 15, 2020-01-01 09:00:00 stands",
    ),
    (b"15;10;;A;2020-01-01;;;;2020-01-01T09:00:00", "quarantined", "account_id, known_ts 15, 2020-01-01 09:00:00 st"),
    (b"16;10;;;2020-01-01;;;;2020-01-01T09:00:00", "out", None),
    (b"16;10;;;2020-01-01;;;;2020-01-01 09:00:00", "duplicate", None),
]


def test_csv_rows_are_told_by_row_and_column(spark, tmp_path):
    rows = judged(spark, tmp_path, "core_account", (JAN, [line for line, *_ in ACCOUNTS]))
    assert_told(rows, f"{JAN}/core_account.csv", [row[1:] for row in ACCOUNTS], first=2)
    out = {row.account_id: row for row in rows.where("verdict = 'out'").collect()}
    assert out[1].opened_on == date(2020, 1, 1) and out[1].closed_on is None
    assert len(out[1].account_hash) == 64 and out[16].account_hash is None
    times = rows.where("account_id = 2").select(F.col("event_ts").cast("string"), F.col("known_ts").cast("string"))
    assert tuple(times.head()) == ("2020-01-01 00:00:00", "2020-01-02 09:00:00.25")
    assert "booked_at" not in cleaning.accepted(rows, SILVER["account"]).columns


def check(check_id, customer=1, likeness="0.5", more="", match="true"):
    """A line of the public-security feed."""
    told = f'"check_id": {check_id}, "customer_id": {customer}, "id_match": {match}, "photo_match": {likeness}, '
    return f'{{{told}"address_match": false{more}, "checked_at": "2025-01-05T10:00:00"}}'.encode()


ONE_OBJECT = "the line is not one JSON object"
CHECKS = [
    (check(1, more=', "risk_flag": null'), "out", None),
    (check('"2"', match='"false"', likeness='"1e-3"', more=', "risk_flag": "lost_id"'), "out", None),
    (b"", None, None),
    (check(3, match='"yes"'), "quarantined", "id_match: 'yes' is not true or false"),
    (check(4, likeness='"high"'), "quarantined", "photo_match: 'high' is not a number"),
    (check(5, likeness="1.5"), "quarantined", "photo_match: likeness is not 0 to 1"),
    (check(6, likeness="null"), "quarantined", "photo_match: is missing"),
    (check("7.5"), "quarantined", "check_id: '7.5' is not bigint"),
    (check(8)[:-1], "quarantined", ONE_OBJECT),
    (check(9)[:60], "quarantined", ONE_OBJECT),
    (b"[" + check(10) + b"]", "quarantined", ONE_OBJECT),
    (check(11) + check(12), "quarantined", ONE_OBJECT),
    (check(13) + b",", "quarantined", ONE_OBJECT),
    (b"17", "quarantined", ONE_OBJECT),
    (b"null", "quarantined", ONE_OBJECT),
    (check(14, more=', "salary": 3'), "quarantined", "'salary' is not one of the 7 keys"),
    (check(15, more=', "check_id": 16'), "quarantined", "a key stands in the line more than once"),
    (check(17, more=', "risk_flag": "\xe9"').decode().encode("latin-1"), "quarantined", "risk_flag: is not UTF-8"),
    (check(18) + b"\xff", "quarantined", "is not UTF-8"),
    (check(19, customer=99), "quarantined", "customer_id: '99' is not in customer"),
]


def test_json_lines_are_told_by_row_and_key(spark, tmp_path):
    kept = [row for row in CHECKS if row[1]]
    rows = judged(spark, tmp_path, "gov_security_check", (JAN, [line for line, *_ in kept]))
    source = f"{JAN}/gov_security_check.json"
    assert_told(rows, source, [row[1:] for row in kept], first=1)
    out = {row.check_id: row for row in rows.where("verdict = 'out'").collect()}
    assert (out[1].id_match, out[1].photo_match, out[1].address_match, out[1].risk_flag) == (True, 0.5, False, None)
    assert (out[2].id_match, out[2].photo_match, out[2].risk_flag) == (False, 0.001, "lost_id")


def test_empty_lines_are_no_rows_and_count_as_lines(spark, tmp_path):
    rows = bronze(spark, tmp_path, "gov_security_check", (JAN, [line for line, *_ in CHECKS[:4]]))
    found = {row._row: bytes(row._line) for row in rows.collect()}
    assert found == {1: CHECKS[0][0], 2: CHECKS[1][0], 4: CHECKS[3][0]}


def test_json_fractions_stay_digit_for_digit(spark, tmp_path):
    amounts = ["12345678.90", "1234567890123456.78", "0.10", "5", "-0.00001", "1e3", '"12345678.90"', '"a: 1.5"']
    lines = [
        json.dumps({"application_id": n}).encode()[:-1]
        + f', "requested_amount" : {amount}, "purpose": "requested_amount: 7.7"}}'.encode()
        for n, amount in enumerate(amounts)
    ]
    rows = bronze(spark, tmp_path, "credit_application", (JAN, lines)).orderBy("_row").collect()
    assert [row.requested_amount for row in rows] == [amount.strip('"') for amount in amounts]
    assert all(row._is_whole for row in rows)


def holdings(rows, *kinds, names=("customer_id", "product_type", "month_end", "balance", "risk_level", "return_ytd")):
    columns = zip(*rows)
    return pa.table([pa.array(list(values), kind) for values, kind in zip(columns, kinds)], names=list(names))


def test_parquet_rows_mean_the_same_typed_or_as_text(spark, tmp_path):
    end = date(2025, 1, 31)
    typed = [
        (1, "gold", end, Decimal("12345678.90"), 3, 0.00001),
        (1, "deposit", end, Decimal("-1.00"), 3, None),
        (1, "shoes", end, Decimal("1.00"), 3, None),
        (9, "gold", end, Decimal("1.00"), 3, None),
        (None, "gold", end, Decimal("1.00"), 3, None),
        (1, "insurance", end, Decimal("1.00"), 3, None),
        (1, "insurance", end, Decimal("2.00"), 3, None),
    ]
    wanted = [
        ("out", None),
        ("quarantined", "balance: negative balance"),
        ("quarantined", "product_type: unknown product type"),
        ("quarantined", "customer_id: '9' is not in customer"),
        ("quarantined", "customer_id: is missing"),
        ("quarantined", "customer_id, product_type, month_end, known_ts 1, insurance, 2025-01-31, 2025-02-01 00:00:00"),
        ("quarantined", "customer_id, product_type, month_end, known_ts 1, insurance, 2025-01-31, 2025-02-01 00:00:00"),
    ]
    january = holdings(typed, pa.int64(), pa.string(), pa.date32(), pa.decimal128(18, 2), pa.int32(), pa.float64())
    # The same again, once as text, once with the numbers that a data frame with gaps would have.
    text = pa.string()
    as_text = holdings([("1", "gold", "2025-01-31", "12345678.90", "3", "1e-05")], *[text] * 6)
    floats = [(1.0, "gold", end, 12345678.9, 3.0, 0.00001), (1.0, "gold", end, float("nan"), 3.5, None)]
    as_floats = holdings(floats, pa.float64(), text, pa.date32(), pa.float64(), pa.float32(), pa.float64())
    rows = judged(spark, tmp_path, "wealth_holding", (JAN, january), (FEB, as_text), (MAR, as_floats))
    assert_told(rows, f"{JAN}/wealth_holding.parquet", wanted, first=1)
    assert_told(rows, f"{FEB}/wealth_holding.parquet", [("duplicate", None)], first=1)
    refused = ("quarantined", "balance: 'NaN' is not decimal(18,2); risk_level: '3.5' is not int")
    assert_told(rows, f"{MAR}/wealth_holding.parquet", [("duplicate", None), refused], first=1)
    kept = rows.where("verdict = 'out'").head()
    assert (kept.balance, kept.return_ytd) == (Decimal("12345678.90"), 0.00001)


def test_parquet_values_have_the_forms_of_a_csv(spark, tmp_path):
    names = header("app_call")
    at = datetime(2025, 1, 31, 8, 15)
    calls = pa.table(
        {
            "call_id": pa.array([2**40], pa.int64()),
            "caller_phone": ["+86 1"],
            "callee_phone": pa.array(["+86 2"]).dictionary_encode(),
            "seconds": pa.array([60], pa.uint16()),
            "is_night": [False],
            "started_at": pa.array([at], pa.timestamp("us")),
            "received_at": pa.array([at.replace(microsecond=250_000, tzinfo=UTC)], pa.timestamp("ms", "UTC")),
        }
    )
    row = bronze(spark, tmp_path, "app_call", (JAN, calls.select(sorted(names)))).head()
    assert [row[name] for name in names] == [
        *(str(2**40), "+86 1", "+86 2", "60", "false"),
        *("2025-01-31T08:15:00", "2025-01-31T16:15:00.25+08:00"),  # the bank's zone is eight hours ahead
    ]
    assert json.loads(bytes(row._line))["caller_phone"] == "+86 1"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"balance": None}, "column 'balance' is missing; the columns must be customer_id, product_type"),
        ({"note": ["x"]}, "column 'note' is not expected"),
        ({"balance": [b"x"]}, "column 'balance' is of a type that can't be read"),
        ({"month_end": pa.array([0], pa.timestamp("ns"))}, "column 'month_end' is of a type that can't be read"),
        ({"return_ytd": pa.array([None], pa.null())}, "column 'return_ytd' is of a type that can't be read"),
    ],
)
def test_wrong_parquet_columns_name_file_and_column(tmp_path, change, problem):
    table = {name: ["1"] for name in header("wealth_holding")} | change
    rows = pa.table({name: values for name, values in table.items() if values is not None})
    with pytest.raises(InputError, match=f"{JAN}/wealth_holding.parquet: {problem}"):
        check_header(dropped(tmp_path, "wealth_holding", (JAN, rows))[0])


def test_what_is_no_parquet_is_named(tmp_path):
    (tmp_path / JAN).mkdir()
    (tmp_path / JAN / "wealth_holding.parquet").write_text("not packed")
    with pytest.raises(
        InputError, match=f"{JAN}/wealth_holding.parquet: can't be read as Parquet: .*; deliver it again"
    ):
        check_header(drops(tmp_path, "landing", BANK.feeds)[0])


def account(account_id, status, booked, frequency="", product=""):
    return f"{account_id};10;{frequency};{product};2020-01-01;;{status};;{booked}T09:00:00".encode()


def test_versions_of_a_row(spark, tmp_path):
    january = [
        account(1, "active", "2025-01-05"),  # corrected in February
        account(2, "active", "2025-01-05"),  # delivered again, booked anew
        account(3, "active", "2025-01-05"),  # put right in place: the same booking
        account(4, "active", "2025-01-05"),  # frozen, then active again
        account(5, "", "2025-01-05", frequency="monthly"),
        account(6, "active", "2025-01-05"),  # two versions in one file
        account(6, "closed", "2025-01-20"),
    ]
    february = [
        account(1, "dormant", "2025-02-05"),
        account(2, "active", "2025-02-05"),
        account(3, "frozen", "2025-01-05"),
        account(4, "frozen", "2025-02-05"),
        account(5, "", "2025-02-05", product="monthly"),  # the same word in another column is no repetition
    ]
    march = [
        account(1, "frozen", "2025-01-25"),  # booked before February's, and late
        account(2, "active", "2025-03-05"),
        account(4, "active", "2025-03-05"),
    ]
    rows = judged(spark, tmp_path, "core_account", (JAN, january), (FEB, february), (MAR, march))
    verdicts = {(row._source[:10], row._row): row.verdict for row in rows.collect()}
    wanted = {
        JAN: ["out", "out", "duplicate", "out", "out", "out", "out"],
        FEB: ["out", "duplicate", "out", "out", "out"],
        MAR: ["out", "duplicate", "out"],
    }
    assert verdicts == {(day, row): v for day, found in wanted.items() for row, v in enumerate(found, start=2)}
    silver = cleaning.accepted(rows, SILVER["account"])
    assert silver.select(*contract_of("account").key).distinct().count() == silver.count() == 12

    def as_of(day):
        known = silver.where(F.col("known_ts") < F.lit(day).cast("timestamp")).groupBy("account_id")
        return {
            row.account_id: row.status for row in known.agg(F.max_by("status", "known_ts").alias("status")).collect()
        }

    assert as_of("2025-01-06") == {1: "active", 2: "active", 3: "frozen", 4: "active", 5: None, 6: "active"}
    assert as_of("2025-02-01")[1] == "frozen" and as_of("2025-02-01")[6] == "closed"
    assert as_of("2025-02-10")[1] == "dormant" and as_of("2025-02-10")[4] == "frozen"
    assert as_of("2025-04-01")[4] == "active"


def test_a_row_without_a_time_of_its_own_is_known_the_morning_after_its_drop(spark, tmp_path):
    def employer(headcount):
        return f"7;private;3;retail;{headcount};false;2020-01-01;".encode()

    days = [(JAN, 10), (FEB, 10), (MAR, 20), ("2025-04-30", 10)]
    rows = judged(spark, tmp_path, "crm_employer", *((day, [employer(count)]) for day, count in days))
    found = rows.orderBy("_source").select("verdict", "headcount", F.col("known_ts").cast("string")).collect()
    assert [tuple(row) for row in found] == [
        ("out", 10, "2025-02-01 00:00:00"),
        ("duplicate", 10, "2025-03-01 00:00:00"),
        ("out", 20, "2025-04-01 00:00:00"),
        ("out", 10, "2025-05-01 00:00:00"),  # as it was before, by a file of the same content
    ]


def test_references_may_be_several_to_one_table_and_null(spark, tmp_path):
    tie = BY_KIND["crm_tie"]
    more = {"dst_customer_id": Reference(table="customer"), "loan_id": Reference(table="employer")}
    fill = tie.fill.model_copy(update={"references": {**tie.fill.references, **more}})
    both = mapping_of(tie.feed, fill, SILVER)
    lines = [b"1;1;2;family;;;2025-01-01;", b"2;2;1;family;;;2025-01-01;", b"3;2;3;family;8;;2025-01-01;"]
    told = judged(spark, tmp_path, "crm_tie", (JAN, lines), mapping=both).orderBy("_row").collect()
    assert [row.why.split(": ", 1)[1] for row in told] == [
        "dst_customer_id: '2' is not in customer",
        "src_customer_id: '2' is not in customer",
        "src_customer_id: '2' is not in customer; dst_customer_id: '3' is not in customer; "
        "loan_id: '8' is not in employer",
    ]


def test_a_reference_brings_what_is_known_last(spark, tmp_path):
    sql = (
        "SELECT * FROM VALUES (7L, DATE'2020-01-01', TIMESTAMP'2020-01-02'),"
        " (7L, DATE'2019-01-01', TIMESTAMP'2021-01-01') e(employer_id, since, known_ts)"
    )
    known = spark.sql(sql)
    rows = spark.sql("SELECT 7L AS employer_id UNION ALL SELECT 8L UNION ALL SELECT NULL")
    found = cleaning._with_reference(rows, "employer_id", "employer_id", ["since"], known).collect()
    assert {tuple(row) for row in found} == {(7, True, date(2019, 1, 1)), (8, None, None), (None, None, None)}


def test_the_longest_kind_counts_and_days_come_in_order(tmp_path):
    names = {
        MAR: ["core_account.csv"],
        JAN: [
            "core_transaction_00002.csv",
            "core_account_holder_00001.csv.gz",
            "core_account_00001.csv",
            ".half.csv.crc",
        ],
        FEB: ["crm_education.json"],
    }
    for day, files in names.items():
        (tmp_path / day).mkdir()
        for name in files:
            (tmp_path / day / name).write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")
    found = [(file.name, file.kind) for file in drops(tmp_path, "landing", BANK.feeds)]
    assert found == [
        (f"{JAN}/core_account_00001.csv", "core_account"),
        (f"{JAN}/core_account_holder_00001.csv.gz", "core_account_holder"),
        (f"{JAN}/core_transaction_00002.csv", "core_transaction"),
        (f"{FEB}/crm_education.json", "crm_education"),
        (f"{MAR}/core_account.csv", "core_account"),
    ]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("core_account.csv", "core_account.csv: is no folder named by a day, such as 2025-01-31"),
        ("january/core_account.csv", "january: is no folder named by a day"),
        ("2025-02-30/core_account.csv", "2025-02-30: is no folder named by a day"),
        ("20250131/core_account.csv", "20250131: is no folder named by a day"),
        (f"{JAN}/salaries.csv", f"{JAN}/salaries.csv: of no known kind; its name must begin with, or match, one of: "),
        (f"{JAN}/core_account.json", f"{JAN}/core_account.json: core_account comes as csv: its name must end in"),
        (
            f"{JAN}/wealth_holding.parquet/part-0",
            f"{JAN}/wealth_holding.parquet: wealth_holding comes as parquet: its name",
        ),
    ],
)
def test_what_does_not_belong_into_the_landing_folder_is_named(tmp_path, path, problem):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("")
    with pytest.raises(InputError, match=problem):
        drops(tmp_path, "landing", BANK.feeds)


def test_without_drops_there_is_nothing_to_ingest(tmp_path):
    for landing, problem in (
        (None, "landing: name the folder of the files of bank simulated"),
        (str(tmp_path / "nowhere"), "nowhere: no such folder; name a folder with one folder per drop"),
        (str(tmp_path), "no file in it yet"),
    ):
        with pytest.raises(InputError, match=problem):
            flow.found(BANK, SimpleNamespace(landing=landing))


def test_numbers_follow_the_days_and_not_the_arrival(tmp_path):
    def file(day, text):
        return Delivery(
            tmp_path / "x",
            BANK.feed("org_branch"),
            "landing",
            sha256(text.encode()).hexdigest(),
            date.fromisoformat(day),
        )

    first = numbered([file(JAN, "a"), file(JAN, "b"), file(MAR, "c")], [])
    late = numbered([file(JAN, "d"), file(FEB, "e"), file(MAR, "f")], first)
    assert sorted([*first, *late]) == [first[0], first[1], late[0], late[1], first[2], late[2]]
    flat = [replace(file(JAN, text), day=None) for text in "abc"]
    assert numbered(flat, [1, 2]) == [3, 4, 5]


def test_landing_takes_each_drop_once(spark, tmp_path):
    """A branch moves and moves back: the third drop has the first one's content and is another delivery."""
    lake = lake_at(spark, str(tmp_path / "lake"))
    lake.declare(BANK.contracts["bronze_org_branch"])
    context = Context(spark, load_settings("test"), lake, Progress("landing", None), "run", datetime.now(UTC), None)
    places = tmp_path / "landing"
    places.mkdir()
    here, there = ([f"5;{district};High Street;1;2;30;2000-01-01".encode()] for district in (10, 11))
    files = dropped(places, "org_branch", (JAN, here), (MAR, here))
    assert land(context, BANK.feed("org_branch"), []) == 0 and lake.read("bronze_org_branch", 0).count() == 0
    assert land(context, BANK.feed("org_branch"), files) == 2
    files = dropped(places, "org_branch", (FEB, there))
    assert land(context, BANK.feed("org_branch"), files) == 1 and land(context, BANK.feed("org_branch"), files) == 0
    rows = lake.read("bronze_org_branch", lake.version("bronze_org_branch")).orderBy("_delivery").collect()
    assert [(row._source, row._row, row.district_id) for row in rows] == [
        (f"{JAN}/org_branch.csv", 2, "10"),
        (f"{FEB}/org_branch.csv", 2, "11"),
        (f"{MAR}/org_branch.csv", 2, "10"),
    ]
    other = BANK.feed("org_branch").model_copy(
        update={"columns": {**BANK.feed("org_branch").columns, "fax": Delivered()}}
    )
    with pytest.raises(
        InputError, match=r"org_branch.yml: columns: bronze_org_branch was made with other columns \(fax\)"
    ):
        land(context, other, files)
    assert rows[0]._sha256 == rows[2]._sha256 == sha256(content("org_branch", here)).hexdigest()


def test_a_few_refused_rows_of_a_small_file_pass_the_gate():
    def asked(gates, refused, total=100):
        file = Row(
            _source="f",
            table_name="account",
            rows_out=total - refused,
            rows_quarantined=refused,
            rows_duplicate=0,
            rows_orphaned=0,
            first_reason="r",
        )
        flow.gate(SimpleNamespace(settings=SimpleNamespace(gates=gates)), BANK, [file])

    small = load_settings("simulated").gates
    asked(small, 20)
    asked(small, 30, total=3_000)
    asked(load_settings("test").gates, 1)
    for gates, refused, total in ((small, 21, 100), (small, 31, 3_000), (Gates(), 2, 100)):
        with pytest.raises(GateError, match=f"f: {refused} of {total:,} rows break the contract of account"):
            asked(gates, refused, total)


def test_every_account_is_covered_until_the_newest_drop_of_postings(spark):
    accounts = spark.sql(
        "SELECT * FROM VALUES (1L, DATE'2020-01-01', TIMESTAMP'2020-01-01'),"
        " (1L, DATE'2020-02-01', TIMESTAMP'2020-03-01'),"
        " (2L, DATE'2025-04-01', TIMESTAMP'2025-04-01') AS a(account_id, opened_on, known_ts)"
    )
    files = [Row(_source=source) for source in (f"{JAN}/core_transaction.csv", f"{MAR}/core_transaction_2.csv")]
    spans = {tuple(row) for row in from_opening(accounts, files).collect()}
    assert spans == {(1, date(2020, 2, 1), date(2025, 4, 1), f"{MAR}/core_transaction_2.csv")}
    assert from_opening(accounts, []).count() == 0


def test_mappings_fill_their_contracts_in_order_of_reference():
    seen = set()
    assert len(MAPPINGS) == len(BANK.feeds) == 36 and len({mapping.table for mapping in MAPPINGS}) == 36
    for mapping in MAPPINGS:
        contract = contract_of(mapping.table)
        assert [field.name for field in mapping.fields] == [*contract.names[:-2], *mapping.fill.clocks(contract)]
        assert tuple(field.raw for field in mapping.fields) == mapping.feed.header
        assert "known_ts" in contract.key, mapping.table
        assert {reference.table for reference in mapping.fill.references.values()} <= seen, mapping.table
        seen.add(mapping.table)


def test_the_plan_is_that_of_the_bank(capsys):
    assert main(["ingest", "--plan", "--env", "simulated"]) == 0
    planned = capsys.readouterr().out
    assert "bronze.bronze_core_account (append)" in planned and "silver.app_event (whole)" in planned
    assert "standing_order" not in planned and set(SILVER) > {mapping.table for mapping in MAPPINGS}
    assert main(["ingest", "--plan"]) == 0
    planned = capsys.readouterr().out
    assert "silver.standing_order (whole)" in planned and "app_event" not in planned


def test_a_key_further_in_is_another(spark):
    feed = Feed(kind="f", format="json", fills=[{"table": "t"}], columns=["pid", "amt", "meta"])
    lines = [
        ('{"pid":"a","meta":{"amt":99.9},"amt":12.30}', 1),
        ('{"pid":"b","meta":{"amt":99.9},"amt":"12.30"}', 2),
        ('{"pid":"c","amt":12345678.90}', 3),
    ]
    rows = spark.createDataFrame([(line, "s", n) for line, n in lines], "_value string, _place string, _row long")
    found = {row.pid: row.amt for row in objects(feed, rows).collect()}
    assert {key: Decimal(value) for key, value in found.items()} == {
        "a": Decimal("12.30"),
        "b": Decimal("12.30"),
        "c": Decimal("12345678.90"),
    }


def test_bytes_that_are_no_text_stay_so_without_a_header(spark):
    feed = Feed(kind="f", fills=[{"table": "t"}], columns=["a", "b"], csv={"header": False})
    raw = spark.createDataFrame([(b"\xef\xbb\xbf1;x", 1), (b"2;caf\xe9", 2)], "v binary, _row long")
    values = raw.select(F.col("v").cast("string").alias("_value"), F.lit("s").alias("_place"), "_row")
    rows = {row._row: row for row in fields(feed, values).collect()}
    assert rows[1].a == "1" and bytes(rows[2]._line) == b"2;caf\xe9"
