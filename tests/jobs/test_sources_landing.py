"""Files before they are tables: names, hashes, headers, line numbers."""

from __future__ import annotations

import gzip
import random

import pytest

from strata.conf.banks import load_bank
from strata.jobs.runtime.errors import InputError
from strata.jobs.sources.deliveries import content_hash, deliveries
from strata.jobs.sources.flow import found
from strata.jobs.sources.formats import check_header, fields, lines
from tests.conftest import having

BANK = load_bank("berka")
DISP = '"disp_id";"client_id";"account_id";"type"'


def delivered(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return next(file for file in deliveries(folder, "landing", BANK.feeds) if file.name == name)


def test_content_decides_not_packing(tmp_path):
    (tmp_path / "loan.asc").write_bytes(b"x\r\n1\r\n")
    with gzip.open(tmp_path / "loan.asc.gz", "wb") as packed:
        packed.write(b"x\r\n1\r\n")
    assert content_hash(tmp_path / "loan.asc") == content_hash(tmp_path / "loan.asc.gz")


@pytest.mark.parametrize(
    ("first", "problem"),
    [
        ("disp_id;client_id;type", r"disp.asc: row 1: column 'account_id' is missing; the header must be disp_id;"),
        ("disp_id;client_id;konto;type", "column 'account_id' is missing"),
        (f"{DISP};note", "column 'note' is not expected"),
        ("client_id;disp_id;account_id;type", "column 'client_id' is out of place"),
        (f"{DISP};type", "column 'type' is out of place"),
        ("", "column 'disp_id' is missing"),
        (b"disp_id;client_id;account_id;typ\xe9", "row 1: the header is not UTF-8"),
    ],
)
def test_wrong_headers_name_file_and_column(tmp_path, first, problem):
    with pytest.raises(InputError, match=problem):
        check_header(delivered(tmp_path, "disp.asc", first))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_good_headers_pass_with_and_without_a_mark(tmp_path, mark):
    check_header(delivered(tmp_path, "disp.asc", mark + DISP.encode() + b"\r\n1;1;1;OWNER\r\n"))


def test_wrong_folders_and_files_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        deliveries(tmp_path / "nowhere", "landing", BANK.feeds)
    with pytest.raises(InputError, match="salaries.csv: of no known kind"):
        delivered(tmp_path, "salaries.csv", "")
    (tmp_path / "salaries.csv").unlink()
    with pytest.raises(InputError, match=r"loan.asc.gz: can't be unpacked: .*; deliver it again"):
        delivered(tmp_path, "loan.asc.gz", b"not packed")


def test_own_files_replace_by_name_join_by_kind(tmp_path):
    class Settings:
        landing = None

    def names(*own):
        for name in own:
            (tmp_path / name).write_text("")
        Settings.landing = str(tmp_path) if own else None
        return {(file.origin, file.stem) for file in found(BANK, Settings)}

    embedded = names()
    assert len(embedded) == 9
    assert names("loan.csv") == embedded - {("embedded", "loan")} | {("landing", "loan")}
    joined = names("trans_1999.csv")
    assert ("landing", "trans_1999") in joined and ("embedded", "trans_930101_940331_prefix") in joined
    whole = names("trans.asc")
    assert {name for origin, name in whole if name.startswith("trans")} == {"trans", "trans_1999"}


def test_line_numbers_hold_when_a_file_is_split(spark, tmp_path):
    folders = [tmp_path / (letter * 64) for letter in "ab"]
    ends = ["\r\n", "\n"]
    for folder, end, count in zip(folders, ends, (4_001, 2_500), strict=True):
        folder.mkdir()
        body = end.join(f"{number};{'x' * (number % 90)}" for number in range(1, count + 1))
        (folder / "trans.asc").write_bytes(body.encode() + end.encode())
    with having(spark, {"spark.sql.files.maxPartitionBytes": "32768"}):
        rows = lines(spark, [str(folder / "trans.asc") for folder in folders])
        assert rows.rdd.getNumPartitions() > 3
        wrong = rows.where("CAST(split(_value, ';')[0] AS BIGINT) <> _row").count()
        counts = {row._place[0]: row["count"] for row in rows.groupBy("_place").count().collect()}
    assert wrong == 0 and counts == {"a": 4_001, "b": 2_500}


def test_fields_agree_with_the_csv_module(spark):
    """Random quoted fields with separators and doubled quotes, against Python's own reader."""
    import csv

    random.seed(7)
    texts = ["", "1", "a b", "x;y", 'say "so"', "Ústí", " "]
    made = [[random.choice(texts) for _ in BANK.feed("disp").header] for _ in range(300)]
    lines_made = [";".join('"' + field.replace('"', '""') + '"' for field in row) for row in made]
    wanted = [next(csv.reader([line], delimiter=";")) for line in lines_made]
    values = [(line, "s", number) for number, line in enumerate(lines_made, start=2)]
    rows = spark.createDataFrame(values, "_value string, _place string, _row long")
    parsed = fields(BANK.feed("disp"), rows).orderBy("_row").collect()
    assert all(row._is_whole for row in parsed)
    assert [[row[name] or "" for name in BANK.feed("disp").header] for row in parsed] == wanted
    assert bytes(parsed[0]._line) == lines_made[0].encode()
