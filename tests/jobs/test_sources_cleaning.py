"""Every kind of broken row, told by file, row and column, and counted exactly."""

from __future__ import annotations

import hashlib
import hmac
import random
import re
from datetime import date
from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from strata.conf.banks import Covers, load_bank
from strata.conf.tables import SILVER
from strata.jobs.runtime.tokens import tokeniser
from strata.jobs.sources import cleaning
from strata.jobs.sources.coverage import promised
from strata.jobs.sources.formats import fields
from strata.jobs.sources.mapping import TOKEN, mappings_of

KEY = b"k" * 32
BANK = load_bank("berka")
MAPPINGS = mappings_of(BANK)
CUSTOMER, DISTRICT, LOAN_OUTCOME, TRANSACTION = (
    next(mapping for mapping in MAPPINGS if mapping.table == table)
    for table in ("customer", "district", "loan_outcome", "transaction")
)
TRANS = [
    (b'1;10;930101;"PRIJEM";"VKLAD";700.00;700.00;"";;', "out", None),
    (b"1;10;930101;credit;credit in cash;700.0;700;;;", "duplicate", None),
    (b"2;10;930230;PRIJEM;VKLAD;1.00;1.00;;;", "quarantined", "date: '930230' is not a day written yyMMdd"),
    (b"3;10;930101;PRIJEM;VKLAD;abc;1.00;;;", "quarantined", "amount: 'abc' is not decimal(18,2)"),
    (b"4;10;930101;PRIJEM;VKLAD;1.234;1.00;;;", "quarantined", "amount: '1.234' is not decimal(18,2)"),
    (b";10;930101;PRIJEM;VKLAD;1.00;1.00;;;", "quarantined", "trans_id: is missing"),
    (b"5;10;930101;GIFT;VKLAD;1.00;1.00;;;", "quarantined", "type: 'GIFT' is not one of PRIJEM, VYDAJ"),
    (b"6;10;930101;PRIJEM;VKLAD;-1.00;1.00;;;", "quarantined", "amount: negative amount"),
    (b"7;99;930101;PRIJEM;VKLAD;1.00;1.00;;;", "quarantined", "account_id: '99' is not in account"),
    (b"8;10;930101;PRIJEM", "quarantined", "the line does not have 10 fields"),
    (b"9;10;930101;PRIJEM;VKLAD;1.00;1.00;;;;extra", "quarantined", "the line does not have 10 fields"),
    ("12;10;930101;PRIJEM;VKLAD;1.00;1.00;Ú;;".encode("latin-1"), "quarantined", "k_symbol: is not UTF-8"),
    (b"13;10;930101;PRIJEM;VKLAD;1.00;1.00;;;", "quarantined", "transaction_id 13 stands in this file more than once"),
    (b"13;10;930101;PRIJEM;VKLAD;2.00;2.00;;;", "quarantined", "transaction_id 13 stands in this file more than once"),
    (b"x;10;9301;PRIJEM;VKLAD;1.00;1.00;;;", "quarantined", "trans_id: 'x' is not bigint; date: '9301' is not a day"),
    (b"14;10;930101;PRIJEM;;1.00;1.00;;;", "quarantined", "operation: is missing"),
    (b'15;10;930131;"PRIJEM";"";1.00;1.00;"UROK";;', "out", None),
    (b'16;10;930131;"VYDAJ";"VYBER";14.60;-1.00;"SLUZBY";;0', "out", None),
    (b'17;10;930131;"VYBER";"VYBER";14.60;1.00;" ";"";0', "out", None),
    (b'18;10;930131;"VYDAJ";"PREVOD NA UCET";14.60;1.00;"SIPO";"AB";123', "out", None),
    (b"19;10;930131;PRIJEM;VKLAD;1.00;1.00;;;", "duplicate", None),  # corrected by the later file
]
LATER = [
    (b"19;10;930131;PRIJEM;VKLAD;2.00;2.00;;;", "out", None),
    (b"18;10;930131;withdrawal;remittance to another bank;14.60;1.00;household;AB;123", "out", None),
    (b"13;10;930101;PRIJEM;VKLAD;2.00;2.00;;;", "out", None),  # the earlier file's rows can't be trusted
    (b"1;10;930101;PRIJEM;VKLAD;zero;2.00;;;", "quarantined", "amount: 'zero' is not decimal(18,2)"),
]


def bronze(spark, mapping, *files):
    """Bronze rows of (name, lines) in the order of delivery, through the real splitting of lines."""
    values = [(line, name, row) for name, content in files for row, line in enumerate(content, start=2)]
    rows = spark.createDataFrame(values, "_line binary, _place string, _row long")
    split = fields(mapping.feed, rows.select(F.col("_line").cast("string").alias("_value"), "_place", "_row"))
    numbers = {name: number for number, (name, _) in enumerate(files, start=1)}
    number = F.create_map(*(F.lit(part) for pair in numbers.items() for part in pair))[F.col("_place")]
    name = F.col("_place")
    return split.withColumns({"_source": name, "_sha256": name, "_delivery": number, "_ingest_id": F.lit("run")})


def judged(spark, mapping, *files, known=None, replaced=()):
    known = known or {"account": spark.sql("SELECT 10L AS account_id, DATE'1993-01-01' AS opened_on")}
    rows = bronze(spark, mapping, *files)
    spark.udf.register(TOKEN, tokeniser(spark, KEY))
    return cleaning.judged([(mapping, rows)], known, replaced=replaced)


def in_bank_time():
    """Both clocks as text: the bank's zone is the session's, not this machine's."""
    return {name: F.col(name).cast("string") for name in ("event_ts", "known_ts")}


@pytest.fixture(scope="module")
def broken(spark):
    # The earlier file's copy of posting 18 counts as the duplicate: the later file says the same.
    rows = judged(spark, TRANSACTION, ("trans.asc", [row[0] for row in TRANS]), ("late.csv", [row[0] for row in LATER]))
    rows = rows.persist()
    yield rows
    rows.unpersist()


def test_every_broken_row_is_told_by_file_row_and_column(broken):
    told = {(row._source, row._row): row for row in broken.collect()}
    assert len(told) == len(TRANS) + len(LATER)
    for name, content in (("trans.asc", TRANS), ("late.csv", LATER)):
        for number, (line, verdict, reason) in enumerate(content, start=2):
            row = told[name, number]
            wanted = "duplicate" if line.startswith(b"18;") and name == "trans.asc" else verdict
            assert row.verdict == wanted, (line, row.why)
            assert (row.why or "").startswith(f"{name} row {number}: {reason}" if reason else ""), row.why
            named = reason.split(":")[0] if reason and ": " in reason else None
            assert row.column_name == named


def test_accounts_are_exact(broken):
    found = {row._source: row for row in cleaning.accounts(broken, "transaction").collect()}
    for name, content in (("trans.asc", TRANS), ("late.csv", LATER)):
        row = found[name]
        assert row.rows_out + row.rows_quarantined + row.rows_duplicate == len(content)
    assert [found["trans.asc"][f"rows_{verdict}"] for verdict in cleaning.VERDICTS] == [4, 14, 3]
    assert [found["late.csv"][f"rows_{verdict}"] for verdict in cleaning.VERDICTS] == [3, 1, 0]
    assert found["trans.asc"].first_reason == "trans.asc row 4: date: '930230' is not a day written yyMMdd"
    assert cleaning.refused(broken).count() == 15


def test_good_rows_mean_the_same_in_both_languages(broken, spark):
    accepted = cleaning.accepted(broken, SILVER["transaction"]).withColumns(in_bank_time())
    out = {row.transaction_id: row for row in accepted.collect()}
    assert sorted(out) == [1, 13, 15, 16, 17, 18, 19]
    assert out[19].amount == Decimal("2.00")
    assert [out[key].channel for key in (1, 15, 16, 17, 18)] == ["cash", "internal", "internal", "cash", "transfer"]
    assert [out[key].direction for key in (1, 15, 16, 17, 18)] == ["credit", "credit", "debit", "debit", "debit"]
    assert [out[key].purpose for key in (1, 15, 16, 17, 18)] == [None, "interest", "statement_fee", None, "household"]
    assert out[18].counterparty_hash == hmac.new(KEY, b"AB/123", hashlib.sha256).hexdigest()
    assert out[16].counterparty_hash is None and out[1].counterparty_hash is None
    assert (out[1].event_ts, out[1].known_ts) == ("1993-01-01 00:00:00", "1993-01-02 00:00:00")


def test_replaced_files_count_as_duplicates_whole(spark):
    old = [b"1;10;930101;PRIJEM;VKLAD;1.00;1.00;;;", b"not even a row"]
    new = [b"2;10;930101;PRIJEM;VKLAD;1.00;1.00;;;"]
    rows = judged(spark, TRANSACTION, ("old.csv", old), ("new.csv", new), replaced=["old.csv"])
    assert {(row._source, row._row): row.verdict for row in rows.collect()} == {
        ("old.csv", 2): "duplicate",
        ("old.csv", 3): "duplicate",
        ("new.csv", 2): "out",
    }


def test_birth_numbers_against_python(spark):
    """All month codes and some impossible days, against datetime."""
    numbers = [f"{year:02d}{month:02d}{day:02d}" for year in (4, 12) for month in range(100) for day in (0, 1, 29, 31)]
    content = [f'{key};"{number}";1'.encode() for key, number in enumerate(numbers)]
    known = {"district": spark.sql("SELECT 1 AS district_id")}
    for row in judged(spark, CUSTOMER, ("client.asc", content), known=known).collect():
        number = numbers[row._row - 2]
        month = int(number[2:4])
        try:
            born = date(1900 + int(number[:2]), month - 50 if month > 50 else month, int(number[4:]))
        except ValueError:
            assert row.verdict == "quarantined" and f"birth_number: '{number}' is not a day of birth" in row.why
            continue
        assert (row.verdict, row.birth_date, row.gender) == ("out", born, "F" if month > 50 else "M")


def test_numbers_against_python(spark):
    """Random near-numbers: what isn't exactly an int or a decimal of two digits is refused, never rounded."""
    random.seed(3)
    texts = ["".join(random.choice("0123456789.-+e ") for _ in range(random.randint(1, 6))) for _ in range(400)]
    texts += ["12345678901234567.89", "123456789012345678.00", "1e3", "0x1", "-0.50", "1,5", "١"]
    content = [f"{key};10;930101;PRIJEM;VKLAD;1.00;{text};;;".encode() for key, text in enumerate(texts)]
    for row in judged(spark, TRANSACTION, ("trans.asc", content)).collect():
        shown = texts[row._row - 2].strip()
        exact = re.fullmatch(r"[+-]?[0-9]+(\.[0-9]{1,2})?", shown) and abs(Decimal(shown)) < Decimal(10) ** 16
        assert (row.verdict == "out") == bool(exact), shown
        assert not exact or row.balance_after == Decimal(shown)


def test_missing_figures_and_outcome_days(spark):
    jesenik = b'69;"Jesenik";"north Moravia";42821;4;13;5;1;3;48.4;8173;?;7.01;124;?;1358'
    row = judged(spark, DISTRICT, ("district.asc", [jesenik])).head()
    assert (row.verdict, row.unemployment_1995_ratio, row.crimes_1995_cnt) == ("out", None, None)
    loans = spark.sql(
        "SELECT id AS loan_id, IF(id = 2, DATE'1998-06-01', DATE'1994-01-31') AS opened_on, 13 AS term_months,"
        " TIMESTAMP'1994-01-31' AS known_ts FROM range(1, 5)"
    )
    content = [f'{key};1;940131;1;13;1;"{status}"'.encode() for key, status in enumerate("ABCD", start=1)]
    outcomes = judged(spark, LOAN_OUTCOME, ("loan.asc", content), known={"loan": loans}).withColumns(in_bank_time())
    rows = {row.loan_id: row for row in outcomes.collect()}
    extract = "1999-01-01 00:00:00"
    assert [rows[key].known_ts for key in (1, 2, 3, 4)] == ["1995-02-28 00:00:00", extract, extract, extract]
    assert [rows[key].is_bad for key in (1, 2, 3, 4)] == [0, 1, 0, 1]
    assert [rows[key].is_running for key in (1, 2, 3, 4)] == [False, False, True, True]


def test_coverage_is_what_files_promise_less_what_was_refused(spark):
    accounts = spark.sql(
        "SELECT * FROM VALUES (1L, DATE'1992-05-01'), (2L, DATE'1993-02-01'), (3L, DATE'1994-03-31'),"
        " (4L, DATE'1993-01-01') AS a(account_id, opened_on)"
    )
    loans = spark.sql("SELECT * FROM VALUES (2L, DATE'1994-05-01'), (4L, DATE'1995-01-01') AS l(account_id, opened_on)")
    postings = spark.sql(
        "SELECT * FROM VALUES ('p', 1L, 'out'), ('p', 4L, 'quarantined'), ('f', 2L, 'out'), ('f', 1L, 'duplicate')"
        " AS t(_sha256, account_id, verdict)"
    )
    promises = {
        ("prefix", "p"): Covers.model_validate({"accounts": "every", "from": "1993-01-01", "to": "1994-03-31"}),
        ("grants", "f"): Covers.model_validate({"accounts": "listed", "to": "grant"}),
    }
    spans = {tuple(row) for row in promised(promises, accounts, loans, postings).collect()}
    assert spans == {
        (1, date(1993, 1, 1), date(1994, 3, 31), "prefix"),
        (2, date(1993, 2, 1), date(1994, 5, 1), "grants"),
    }
    assert promised({}, accounts, loans, postings).count() == 0


def test_mappings_fill_their_contracts_in_order_of_reference():
    seen = set()
    for mapping in MAPPINGS:
        made = {field.name for field in mapping.fields} | {"event_ts", "known_ts"}
        required = {column.name for column in mapping.contract.columns if not column.nullable}
        assert required <= made, mapping.table
        assert {reference.table for reference in mapping.fill.references.values()} <= seen, mapping.table
        assert {field.raw for field in mapping.fields if field.raw} <= set(BANK.contracts[mapping.feed.bronze].names)
        seen.add(mapping.table)
