"""Tables as people have them: every ugliness is either read rightly and noted, or refused in one sentence."""

from __future__ import annotations

import gzip
import os
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from strata.jobs.runtime.errors import InputError, UsageError
from strata.jobs.sources.any_table.reading import find_column, read_any


def put(folder, content, name="t.csv"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def values(table):
    return [tuple(row) for row in table.rows.collect()]


def refused(spark, path, message, kind=InputError, **options):
    with pytest.raises(kind) as caught:
        read_any(spark, path, **options)
    assert message in str(caught.value) and "\n" not in str(caught.value), caught.value


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(spark, tmp_path, separator):
    lines = [["a", "b b", "c"], ["1", "x; y, z", "2.5"], ["2", "u|v\tw", "-3e2"]]
    text = "\r\n".join(separator.join(f'"{cell}"' if " " in cell else cell for cell in line) for line in lines)
    table = read_any(spark, put(tmp_path, text.replace("u|v\tw", '"u|v\tw"')))
    assert values(table) == [(1, "x; y, z", 2.5), (2, "u|v\tw", -300.0)]
    assert table.rows.dtypes == [("a", "bigint"), ("b b", "string"), ("c", "double")]
    assert table.kind == "csv" and (f"columns are separated by {separator!r}" in table.notes) == (separator != ",")


def test_a_separator_can_be_named(spark, tmp_path):
    path = put(tmp_path, "a:b\n1:2\n")
    refused(spark, path, "t.csv: row 1: none of , ; tab | separates its names; name the separator")
    assert values(read_any(spark, path, separator=":")) == [(1, 2)]
    refused(spark, path, "row 1: ';' does not separate its names", separator=";")
    refused(spark, path, "separator: '::' is not one character", UsageError, separator="::")


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("jméno,b\nÚstí,1\n".encode("utf-8-sig"), None),
        ("jméno,b\nÚstí,1\n".encode("utf-16"), None),
        ("jméno,b\r\nÚstí,1\r\n".encode("utf-16-be"), "utf-16-be"),
        ("jméno,b\nÚstí,1\n".encode("gb18030"), "gb18030"),
        ("jméno,b\nÚstí,1\n".encode("cp1252"), "cp1252"),
        (gzip.compress("jméno,b\nÚstí,1\n".encode("latin-1"), mtime=0), "latin-1"),
    ],
)
def test_encodings(spark, tmp_path, content, encoding):
    name = "t.csv.gz" if content[:2] == b"\x1f\x8b" else "t.csv"
    table = read_any(spark, put(tmp_path, content, name), encoding=encoding)
    assert (table.rows.columns, values(table)) == (["jméno", "b"], [("Ústí", 1)])


def test_wrong_encodings_name_row_column_and_byte(spark, tmp_path):
    advice = "save it as UTF-8 or name its encoding (utf-16, utf-16-le, utf-16-be, cp1252, latin-1, gb18030)"
    path = put(tmp_path, b"a,name\n1,x\n2,caf\xe9\n")
    refused(spark, path, f"t.csv: row 3, column 'name': byte 0xe9 is not utf-8; {advice}")
    assert values(read_any(spark, path, encoding="cp1252")) == [(1, "x"), (2, "café")]
    refused(spark, put(tmp_path, b"a,n\xe9\n1,x\n"), "row 1, column 2: byte 0xe9 is not utf-8")
    refused(spark, put(tmp_path, "a,b\n1,2\n".encode("utf-16-le")), "has zero bytes, so it is no UTF-8 text")
    refused(spark, put(tmp_path, b"a,b\n1,\x81\n"), "row 2, column 'b': byte 0x81 is not cp1252", encoding="cp1252")
    refused(spark, path, "encoding: 'ebcdic' is none of utf-8, utf-16", UsageError, encoding="ebcdic")


@pytest.mark.parametrize("name", ["GBK", "gb2312", "cp936", "GB18030", "UTF8", "utf_8_sig", "windows-1252", "l2"])
def test_an_encoding_has_many_names(spark, tmp_path, name):
    assert values(read_any(spark, put(tmp_path, "a,b\n1,é\n".encode(name)), encoding=name)) == [(1, "é")]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("許功", "big5"),
        ("表①", "ms932"),
        ("日本", "iso-2022-jp"),
        ("Škoda", "cp1250"),
        ("Привет", "KOI8-R"),
        ("镕", "gb2312"),
    ],
)
def test_bytes_that_look_like_other_signs(spark, tmp_path, text, encoding):
    content = f'a|b\n1|"{text}"\n'.encode("gbk" if encoding == "gb2312" else encoding)
    assert values(read_any(spark, put(tmp_path, content), encoding=encoding)) == [(1, text)]


def test_encodings_that_can_not_be_read_are_refused_by_name(spark, tmp_path):
    path = put(tmp_path, "a,b\n1,2\n")
    for name in ("rot13", "", "x\0"):
        refused(spark, path, "and no other encoding that is known", UsageError, encoding=name)
    refused(spark, path, "--encoding: 'hz' is not known to Java", UsageError, encoding="hz")
    refused(spark, path, "--encoding: 'cp037' does not extend ASCII", UsageError, encoding="cp037")
    path = put(tmp_path, "a,b\n1,2\n".encode("utf-16-le"))
    refused(spark, path, "no byte-order mark; name the encoding utf-16-le or utf-16-be", encoding="utf-16")
    late = b"a,b\n" + b"1,2345678901234567890\n" * 60_000 + b"2,\0\n"
    refused(spark, put(tmp_path, late), "t.csv: row 60002, column 'b': has a zero byte")


def test_a_replacement_character_of_the_file_is_a_character(spark, tmp_path):
    assert values(read_any(spark, put(tmp_path, "a,b\n1,\ufffd\n"))) == [(1, "\ufffd")]


def test_quotes_and_lines_inside_quotes(spark, tmp_path):
    path = put(tmp_path, 'a,"long\nname",c\n1,"x ""q"" y\n, z",3\n2," p ",\n3,5" pipe,4\n\n')
    table = read_any(spark, path)
    assert table.names == {"a": "a", "long name": "long\nname", "c": "c"}
    assert values(table) == [(1, 'x "q" y\n, z', 3), (2, "p", None), (3, '5" pipe', 4)]
    # The closing quote follows a separator, so that each line alone looks whole.
    assert values(read_any(spark, put(tmp_path, 'a,b\n1,"x\ny,"\n'))) == [(1, "x\ny,")]


def test_line_ends_may_be_mixed(spark, tmp_path):
    table = read_any(spark, put(tmp_path, b"a,b\r\n1,2\n3,4\r5,6\r\n\r\n   \n"))
    assert values(table) == [(1, 2), (3, 4), (5, 6)]


@pytest.mark.parametrize(
    ("start", "encoding"), [("sep=;\n", "utf-8"), ('\ufeff"SEP=;"\r\n', "utf-8"), ("sep=;\r\n", "utf-16")]
)
def test_excel_names_the_separator_in_a_line_of_its_own(spark, tmp_path, start, encoding):
    end = "\r\n" if "\r" in start else "\n"
    path = put(tmp_path, (start + end.join(["id;x,y", "1;2,5", '2;"a\nb"', ""])).encode(encoding))
    table = read_any(spark, path)
    assert table.rows.columns == ["id", "x,y"] and values(table) == [(1, "2,5"), (2, "a\nb")]
    assert not [note for note in table.notes if note.startswith("left out")]
    refused(spark, put(tmp_path, "sep=;\na;b\n1;2\n3\n"), "t.csv: row 4: has 1 fields, the header has 2")
    refused(spark, put(tmp_path, "sep=;\n"), "t.csv: has nothing after its line 'sep=;'")


def test_files_with_and_without_excels_line_are_one_table(spark, tmp_path):
    put(tmp_path, "a;b\n1;x\n", "f/1.csv")
    put(tmp_path, "sep=;\na;b\n2;y\n", "f/2.csv")
    assert sorted(values(read_any(spark, tmp_path / "f"))) == [(1, "x"), (2, "y")]


def test_what_excel_leaves_behind_is_no_row_and_no_column(spark, tmp_path):
    table = read_any(spark, put(tmp_path, 'a;b;c;\n1;2;x;\n;;;\n3;4;y;\n;;;;;\n"";"";"";\n'))
    assert table.rows.columns == ["a", "b", "c"] and sorted(values(table)) == [(1, 2, "x"), (3, 4, "y")]
    assert table.notes[1:] == ("left out: 3 lines of separators alone, 1 column without a name and a value",)
    for content in ("a;b\n1;2;\n3;4;\n", "a;b;\n1;2\n3;4\n", "a;b\n1;2\na;b\n3;4\n"):
        table = read_any(spark, put(tmp_path, content))
        assert table.rows.dtypes == [("a", "bigint"), ("b", "bigint")] and values(table) == [(1, 2), (3, 4)]
    assert table.notes[1:] == ("left out: 1 repetition of the header",)
    assert read_any(spark, put(tmp_path, "a;b;\n1;2;\n3;4;5\n")).rows.columns == ["a", "b", "column_3"]
    refused(spark, put(tmp_path, "a;b\n;\n;\n"), "has a header but no rows")


def test_a_cell_may_be_as_long_as_a_book(spark, tmp_path):
    for cell in ("x" * 200_000, f'"{"x" * 1_500_000}\n"'):
        (first,), _ = read_any(spark, put(tmp_path, f"a,b\n1,{cell}\n2,y\n")).rows.select("b").collect()
        assert first == cell.strip('"').strip(" ")


def test_separators_that_a_shell_can_write(spark, tmp_path):
    assert values(read_any(spark, put(tmp_path, "a\tb\n1\t2\n"), separator="\\t")) == [(1, 2)]
    for wrong in ('"', "\n", "😀"):
        refused(spark, put(tmp_path, "a,b\n1,2\n"), "can't separate columns", UsageError, separator=wrong)


def test_each_role_has_its_own_missing_values(spark, tmp_path):
    cells = ["007", "+420", "1.10", "NA", "None", "TRUE", "2024-1-5", "-", '""']
    lines = [
        f" {cell} ,{word},{number}" for cell, word, number in zip(cells, ["None", "Bad", ""] * 3, ["NA", 1, 0] * 3)
    ]
    path = put(tmp_path, "\n".join([" Id,told,paid", *lines]))
    table = read_any(spark, path, roles={"id": "identifier", "told": "outcome", "paid": "outcome"})
    ids, words, numbers = zip(*values(table), strict=True)
    assert ids == (*cells[:-1], None) and words == ("None", "Bad", None) * 3 and numbers == (None, 1, 0) * 3
    assert table.notes == (
        "read as missing: NA (in 'paid')",
        "'told': 'None' counts as a value of the outcome, not as missing",
    )


def test_words_for_missing_of_other_systems(spark, tmp_path):
    words = ["\\N", "#DIV/0!", "#NAME?", "NaT", "(null)", "<null>", "nil", "--", "n.a."]
    table = read_any(spark, put(tmp_path, "a,b\n" + "".join(f"{i},{word}\n" for i, word in enumerate([*words, "2.5"]))))
    assert table.rows.dtypes[1] == ("b", "double")
    assert [row[1] for row in values(table)] == [None] * len(words) + [2.5]


def test_columns_are_found_by_either_name_then_in_any_case():
    names = {"Id": "Id", "ID_2": "ID", "src": " SRC"}
    assert [find_column(names, name) for name in ("ID", "ID_2", "id", "src", "no")] == [
        "ID_2",
        "ID_2",
        "Id",
        "src",
        None,
    ]


@pytest.mark.parametrize(
    ("usual", "odd", "kind"),
    [
        ("2024-01-31", {"0000-00-00": "is no day", "31.01.2024": "is no day", "": "is empty"}, "date"),
        ("31.01.2024", {"31.02.2024": "is no day", "n.d.": "is no day", "NULL": "is a word for missing"}, "date"),
        ("20240131", {"20240231": "is no day"}, "date"),
        ("2024-01-31 10:00", {"0000-00-00 00:00": "is no day"}, "timestamp"),
        ("202401", {"later": "is no number"}, "bigint"),
    ],
)
def test_rows_without_a_time_are_set_aside_and_listed(spark, tmp_path, usual, odd, kind):
    cells = [usual] * 400
    for place, cell in enumerate(odd):
        cells[100 * place + 7] = cell
    path = put(tmp_path, "sep=;\nx;when\n\n" + "".join(f"1;{cell}\n" for cell in cells) + ";\n")
    table = read_any(spark, path, roles={"when": "time"})
    assert table.rows.dtypes[1] == ("when", kind) and table.rows.dropna().count() == 400 - len(odd)
    found = [(one.row, one.column, one.text, one.reason) for one in table.set_aside]
    assert found == [(100 * place + 11, "when", cell, why) for place, (cell, why) in enumerate(odd.items())]
    (note,) = [note for note in table.notes if note.startswith("set aside for want of a time in 'when'")]
    assert f"{len(odd)} row" in note and f"row 11 {next(iter(odd))!r}" in note


def test_too_many_rows_without_a_time_are_refused(spark, tmp_path):
    path = put(tmp_path, "x,when\n" + "1,2024-01-31\n" * 90 + "1,n.d.\n" * 10)
    message = "t.csv: row 92, column 'when': 'n.d.' is no day; 10 of 100 rows have no time, and 1 % at most"
    refused(spark, path, message, roles={"when": "time"})
    assert read_any(spark, put(tmp_path, "x,when\n1,a\n2,b\n"), roles={"when": "time"}).rows.dtypes[1][1] == "string"


def test_names_become_unique_and_keep_what_they_were(spark, tmp_path):
    header = 'Age, age ,,x.y,b`t,"q""u",age_2,收入,AGE,column_3,it\'s'
    table = read_any(spark, put(tmp_path, f"{header}\n{','.join('123456789') + ',10,11'}\n"))
    used = ["Age", "age_3", "column_3_2", "x.y", "b`t", 'q"u', "age_2", "收入", "AGE_4", "column_3", "it's"]
    assert table.rows.columns == used and values(table) == [tuple(range(1, 12))]
    assert list(table.names.values()) == [
        "Age",
        "age",
        "",
        "x.y",
        "b`t",
        'q"u',
        "age_2",
        "收入",
        "AGE",
        "column_3",
        "it's",
    ]
    assert table.notes == (
        "column 2 'age' is called 'age_3': the name stands twice",
        "column 3 '' is called 'column_3_2': it has no name",
        "column 9 'AGE' is called 'AGE_4': the name stands twice",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3\n", "t.csv: row 3: has 1 fields, the header has 2"),
        ("a,b\n1,2\n\n3,4,5\n", "t.csv: row 4: has 3 fields, the header has 2"),
        ('a,b,c\n1,"2,3\n4,5,6\n', "t.csv: row 2: has 2 fields, the header has 3; is a quote never closed?"),
        ("", "t.csv: is empty"),
        ("\n  \n", "t.csv: is empty"),
        ("a,b\n", "t.csv: has a header but no rows"),
        (b"PK\x03\x04rest", "t.csv: is a workbook or an archive, not CSV"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "t.csv: is packed with gzip; give it a name that ends with .gz"),
    ],
)
def test_broken_csv_is_refused(spark, tmp_path, content, message):
    refused(spark, put(tmp_path, content), message)


def test_broken_packing_is_refused(spark, tmp_path):
    whole = gzip.compress(os.urandom(3000).hex().encode().join([b"a,b\n1,", b"\n"]))
    for content in (whole[:-900], whole[:500] + b"\0\0\0\0" + whole[504:], b"a,b\n1,2\n"):
        refused(spark, put(tmp_path, content, "t.csv.gz"), "can't be unpacked")


def test_what_is_no_table_is_refused(spark, tmp_path, monkeypatch):
    refused(spark, tmp_path / "none.csv", "none.csv: no such file or folder")
    refused(spark, tmp_path, "has no CSV or Parquet files and is no Delta table")
    refused(spark, put(tmp_path, "a,b\n1,2\n", "_t.csv"), "Spark skips names that begin with '_'; rename the file")
    refused(spark, put(tmp_path, "a,b\n1,2\n", "t:1.csv"), "Spark can't open a name with a colon")
    refused(spark, put(tmp_path, "a,b\n1,2\n", "t.parquet"), "t.parquet: is no whole Parquet file; write it again")
    refused(spark, put(tmp_path, b"PAR1" + b"x" * 40, "cut.parquet"), "cut.parquet: is no whole Parquet file")
    os.mkfifo(tmp_path / "pipe")
    refused(spark, tmp_path / "pipe", "pipe: is neither a file nor a folder")
    secret = put(tmp_path, "a,b\n1,2\n", "secret.csv")

    def closed(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    # Tests may run as root, who can read everything.
    monkeypatch.setattr(Path, "open", closed)
    refused(spark, secret, "secret.csv: can't be read: Permission denied")


def test_odd_paths(spark, tmp_path):
    path = put(tmp_path, "a,b\n1,2\n", "x[1] {a},*%20#é?.csv")
    assert values(read_any(spark, str(path))) == [(1, 2)]


def test_a_folder_of_files_with_one_header(spark, tmp_path):
    put(tmp_path, "\ufeffa;b\n1;x\n", "f/1.csv")
    put(tmp_path, gzip.compress(b"a; b\r\n2;y\r\n"), "f/2.csv.gz")
    put(tmp_path, "", "f/_SUCCESS")
    table = read_any(spark, tmp_path / "f")
    assert sorted(values(table)) == [(1, "x"), (2, "y")] and "2 files are read as one table" in table.notes
    put(tmp_path, "a;c\n3;z\n", "f/3.csv")
    refused(spark, tmp_path / "f", "3.csv: row 1: 'c' stands where 1.csv has 'b'")
    put(tmp_path, "a;b;c\n3;z;1\n", "f/3.csv")
    refused(spark, tmp_path / "f", "3.csv: row 1: there are 3 columns, 1.csv has 2")
    put(tmp_path, "a;b\n3;z;1\n", "f/3.csv")
    refused(spark, tmp_path / "f", "3.csv: row 2: has 3 fields, the header has 2")


UGLY = {
    "whole": (["1", " -2", "+3"], "bigint", [1, -2, 3]),
    "real": (["1", "2.5", ".1e-3"], "double", [1.0, 2.5, 0.0001]),
    "words": (["NA", "2", "?"], "bigint", [None, 2, None]),
    "nan": (["NaN", "inf", "-Infinity"], "double", [None, float("inf"), float("-inf")]),
    "signed": (["+inf", "1", "-.5"], "double", [float("inf"), 1.0, -0.5]),
    "zip": (["00123", "12", "7"], "string", ["00123", "12", "7"]),
    "account": (["12345678901234567890", "1", "2"], "string", ["12345678901234567890", "1", "2"]),
    "thousands": (['"1,234.50"', '"12,345"', "7"], "double", [1234.5, 12345.0, 7.0]),
    "percent": (["12%", "3.5%", "0%"], "double", [12.0, 3.5, 0.0]),
    "term": (["36 months", "1 month", "N/A"], "double", [36.0, 1.0, None]),
    "years": (["10+ years", "< 1 year", "2 years"], "double", [10.0, 0.5, 2.0]),
    "cost": (["$5", "($1.50)", "$7-"], "double", [5.0, -1.5, -7.0]),
    "full": (["１２．５", "３", "2"], "double", [12.5, 3.0, 2.0]),
    "blanks": (["1 200", "12\u00a0345\u202f678.5", "7"], "double", [1200.0, 12345678.5, 7.0]),
    "level": (["low", "High", "middle"], "double", [1.0, 3.0, 2.0]),
    "sub": (["A1", "B2", "B1"], "double", [1.0, 4.0, 3.0]),
    "branch": (["A", "B", "C"], "string", ["A", "B", "C"]),
    "phone": (["608 123 456", "777 000 111", "602 999 888"], "string", ["608 123 456", "777 000 111", "602 999 888"]),
    "masked": (["602xx", "117xx", "120xx"], "string", ["602xx", "117xx", "120xx"]),
    "currency": (["$5", "€6", "7"], "string", ["$5", "€6", "7"]),
    "ip": (["10.0.0.1", "192.168.1.1", "8.8.8.8"], "string", ["10.0.0.1", "192.168.1.1", "8.8.8.8"]),
    "mostly": (["1", "2", "many"], "string", ["1", "2", "many"]),
    "hexes": (["1d", "2f", "0x1p3"], "string", ["1d", "2f", "0x1p3"]),
    "nothing": (["", "null", "N/A"], "string", [None, None, None]),
    "flag": (["true", "False", "TRUE"], "boolean", [True, False, True]),
    "answer": (["yes", "no", "None"], "string", ["yes", "no", None]),
    "iso": (["2024-02-29", "2023-1-5", "-"], "date", [date(2024, 2, 29), date(2023, 1, 5), None]),
    "no_such_day": (["2023-02-29", "2023-01-05", ""], "string", ["2023-02-29", "2023-01-05", None]),
    "slashes": (["2024/02/29", "2023/1/5", ""], "date", [date(2024, 2, 29), date(2023, 1, 5), None]),
    "dots": (["29.02.2024", "5.1.2023", ""], "date", [date(2024, 2, 29), date(2023, 1, 5), None]),
    "european": (["29/02/2024", "05/01/2023", ""], "date", [date(2024, 2, 29), date(2023, 1, 5), None]),
    "american": (["02/29/2024", "01/05/2023", ""], "date", [date(2024, 2, 29), date(2023, 1, 5), None]),
    "either": (["02/01/2024", "01/05/2023", ""], "date", [date(2024, 1, 2), date(2023, 5, 1), None]),
    "torn": (["29/02/2024", "01/31/2023", ""], "string", ["29/02/2024", "01/31/2023", None]),
    "open_date": (["20240229", "20230105", ""], "date", [date(2024, 2, 29), date(2023, 1, 5), None]),
    "amount8": (["20240229", "20230105", ""], "bigint", [20240229, 20230105, None]),
    "no_date": (["20240230", "20230105", ""], "bigint", [20240230, 20230105, None]),
    "stamp": (["2024-02-29 10:11:12", "2023-01-05T00:00", "2024-01-01"], "timestamp", None),
}


def test_types(spark, tmp_path):
    lines = [",".join(UGLY), *(",".join(column[0][i] for column in UGLY.values()) for i in range(3))]
    table = read_any(spark, put(tmp_path, "\n".join(lines)))
    assert dict(table.rows.dtypes) == {name: kind for name, (_, kind, _) in UGLY.items()}
    found = dict(zip(UGLY, zip(*values(table), strict=True), strict=True))
    assert {n: list(v) for n, v in found.items() if n != "stamp"} == {n: v for n, (_, _, v) in UGLY.items() if v}
    stamps = [row[0] for row in table.rows.select(table.rows.stamp.cast("string")).collect()]
    assert stamps == ["2024-02-29 10:11:12", "2023-01-05 00:00:00", "2024-01-01 00:00:00"]
    assert set(table.notes) == {
        "read as missing: NA (in 'words'), N/A (in 'term', 'nothing'), null (in 'nothing'), NaN (in 'nan'), "
        "None (in 'answer'), ? (in 'words'), - (in 'iso')",
        "'zip', 'account': codes with leading zeros or more than 18 digits stay text",
        "'thousands': number, 3 numbers, '12,345' has thousands",
        "'percent': percent, 3 numbers",
        "'term': number of month/months, 2 numbers",
        "'years': number of year/years, 3 numbers",
        "'cost': money in $, 3 numbers",
        "'full', 'blanks': number, 3 numbers",
        "'level': ordered texts are read as ranks, low < middle < High; 3 values",
        "'sub': ordered texts are read as ranks, A1 < B1 < B2; 3 values",
        "'phone': stays text like a telephone number or code; --as phone=number reads numbers",
        "'currency', 'mostly': stays text, though 2 of its 3 filled values are numbers",
        "'european': dates are read as day/month/year",
        "'american': dates are read as month/day/year",
        "'either': dates are read as day/month/year, but could be month/day/year",
        "'open_date': days written like 20241231 are read as dates",
    }


def test_decimal_commas(spark, tmp_path):
    table = read_any(spark, put(tmp_path, "rate;limit;mixed;grouped\n0,5;1,500;1,5;1.234,56\n-12,25;20;1.5;7,5\n"))
    assert values(table) == [(0.5, 1.5, "1,5", 1234.56), (-12.25, 20.0, "1.5", 7.5)]
    assert "'rate', 'limit': decimal commas are read as points" in table.notes
    assert {name: reading.comma for name, reading in table.readings.items()} == dict.fromkeys(
        ["rate", "limit", "grouped"], True
    )
    # Nothing in the file says whether these are thousands.
    path = put(tmp_path, "a;b\n1,500;1\n2,750;2\n")
    table = read_any(spark, path)
    assert values(table) == [("1,500", 1), ("2,750", 2)]
    assert "'a': stays text: '1,500' has thousands or decimals; say --as a=comma or a=point" in table.notes
    assert values(read_any(spark, path, kinds={"a": "comma"})) == [(1.5, 1), (2.75, 2)]
    assert values(read_any(spark, path, kinds={"a": "point"})) == [(1500, 1), (2750, 2)]
    # A file of commas has thousands there, and another column with points settles it too.
    for text in ('a,b\n"1,500",1\n"2,750",2\n', "a;b\n1,500;1.5\n2,750;2\n"):
        table = read_any(spark, put(tmp_path, text))
        assert [row[0] for row in values(table)] == [1500, 2750]
        assert "'a': number, 2 numbers, '1,500' has thousands" in table.notes
    # Where commas are decimal, points are thousands, unless a cell of the column says otherwise.
    table = read_any(spark, put(tmp_path, "a;b;c\n4,5;1.234;1.234\n3,9;950;1.5\n4,25;12.500;7\n"))
    assert values(table) == [(4.5, 1234, 1.234), (3.9, 950, 1.5), (4.25, 12500, 7)]
    assert "'b': number with decimal comma, 3 numbers, '1.234' has thousands" in table.notes


def column_of(spark, folder, cells, name="x", **options):
    text = f"{name};n\n" + "".join(f"{cell};{i}\n" for i, cell in enumerate(cells))
    table = read_any(spark, put(folder, text), **options)
    notes = [note.split(": ", 1)[1] for note in table.notes if note.startswith(repr(name))]
    return [row[0] for row in sorted(values(table), key=lambda row: row[1])], notes


def test_a_few_cells_that_are_no_numbers_are_missing_and_told(spark, tmp_path):
    rates = [f"{i}.5%" for i in range(95)]
    found, notes = column_of(spark, tmp_path, [*rates, "abc", "x", "5 m", "n.k.", "abc"])
    assert found == [*[i + 0.5 for i in range(95)], *[None] * 5]
    assert notes == ["percent, 95 numbers, 5 not understood: 'abc', '5 m', 'n.k.' …"]
    found, notes = column_of(spark, tmp_path, [*rates[1:], "abc", "x", "5 m", "n.k.", "abc", "y"])
    assert found[0] == "1.5%" and notes == ["stays text, though 94 of its 100 filled values are numbers"]


def test_somebodys_word_for_a_column_overrules(spark, tmp_path):
    assert column_of(spark, tmp_path, ["1", "2"], kinds={"x": "text"})[0] == ["1", "2"]
    assert column_of(spark, tmp_path, ["5%", "6%"], untouched=["x"])[0] == ["5%", "6%"]
    assert column_of(spark, tmp_path, ["007", "12"], kinds={"x": "number"})[0] == [7, 12]
    assert column_of(spark, tmp_path, ["B", "A"], kinds={"x": "order"})[0] == [2, 1]
    found, notes = column_of(spark, tmp_path, ["5%", "none at all"], kinds={"x": "percent"})
    assert found == [5, None] and notes == ["percent, 1 number, 1 not understood: 'none at all'"]
    path = put(tmp_path, "x,y\nBrno,1\nPraha,2\n")
    refused(spark, path, "--as z=number: the table has no column 'z'", UsageError, kinds={"z": "number"})
    refused(spark, path, "--as x=roman: 'roman' is none of text, number", UsageError, kinds={"x": "roman"})
    refused(spark, path, "--as 'x' can't be read as number: none of its values is one", kinds={"x": "number"})
    refused(spark, path, "--as 'x' can't be read as order: no known scale has all its levels", kinds={"x": "order"})


def test_texts_of_parquet_are_read_alike(spark, tmp_path):
    made = [("5.5%", "1,5", "12", "0012", "a", 1, "yes"), ("6%", "1.234,5", "7", "7", "b", 2, "7%")]
    rows = spark.createDataFrame(made, "p string, c string, n string, zip string, t string, i int, keep string")
    rows.write.parquet(str(tmp_path / "p"))
    table = read_any(spark, tmp_path / "p", kinds={"i": "text"}, untouched=["keep"])
    assert sorted(values(table)) == [(5.5, 1.5, 12, "0012", "a", "1", "yes"), (6, 1234.5, 7, "7", "b", "2", "7%")]
    assert {name: reading.kind for name, reading in table.readings.items()} == {
        "p": "percent", "c": "number", "n": "number"
    }  # fmt: skip
    spark.sql("SELECT date'2024-02-29' AS d, 1 AS a").write.parquet(str(tmp_path / "q"))
    message = "--as d=number: the column is date, not text or a number"
    refused(spark, tmp_path / "q", message, UsageError, kinds={"d": "number"})


def test_the_fingerprint_is_that_of_the_content(spark, tmp_path):
    one = read_any(spark, put(tmp_path, "a,b\n1,2\n"))
    packed = read_any(spark, put(tmp_path, gzip.compress(b"a,b\n1,2\n"), "other.csv.gz"))
    changed = read_any(spark, put(tmp_path, "a,b\n1,3\n"))
    assert one.fingerprint == packed.fingerprint != changed.fingerprint


def test_parquet_keeps_types_and_names_what_it_leaves_out(spark, tmp_path):
    made = "1 AS a, 'x' AS `b.c`, date'2024-02-29' AS d, array(1) AS l, struct(1 AS z) AS s, X'00' AS raw, 1.50BD AS m"
    spark.sql(f"SELECT {made}").write.parquet(str(tmp_path / "p"))
    table = read_any(spark, tmp_path / "p")
    assert values(table) == [(1, "x", date(2024, 2, 29), table.rows.first()["m"])]
    assert table.rows.dtypes == [("a", "int"), ("b.c", "string"), ("d", "date"), ("m", "decimal(3,2)")]
    assert table.notes == (
        "left out, being neither numbers, text nor dates: 'l (array)', 's (struct)', 'raw (binary)'",
    )
    part = next((tmp_path / "p").glob("*.parquet"))
    single = read_any(spark, part)
    assert single.kind == table.kind == "parquet" and single.fingerprint.startswith("sha256:")
    before = table.fingerprint
    os.utime(part, ns=(1, 1))
    assert read_any(spark, tmp_path / "p").fingerprint != before == table.fingerprint
    put(tmp_path, "a,b\n1,2\n", "p/t.csv")
    refused(spark, tmp_path / "p", "has both Parquet and CSV files; name one of them")
    spark.sql("SELECT 1 AS a WHERE false").write.parquet(str(tmp_path / "empty"))
    refused(spark, tmp_path / "empty", "empty: has no rows")


# What pandas, Arrow and DuckDB write: a column of two values, and how it is read (None: left out).
WRITTEN = {
    "ns": (pa.array([-1, 1_700_000_000_123_456_789], pa.timestamp("ns")), "timestamp_ntz"),
    "ns_utc": (pa.array([-1, 1_700_000_000_123_456_789], pa.timestamp("ns", "UTC")), "timestamp"),
    "old": (pa.array([date(1, 1, 1), date(1400, 2, 28)]), "date"),
    "old_utc": (pa.array([datetime(1890, 1, 1)] * 2, pa.timestamp("us", "UTC")), "timestamp"),
    "u8": (pa.array([0, 255], pa.uint8()), "smallint"),
    "u64": (pa.array([0, 2**64 - 1], pa.uint64()), "decimal(20,0)"),
    "levels": (pa.array(["a", "b"]).dictionary_encode(), "string"),
    "money": (pa.array([Decimal("1.50")] * 2, pa.decimal128(10, 2)), "decimal(10,2)"),
    "nothing": (pa.nulls(2), "int"),
    "long": (pa.array(["a", "b"], pa.large_string()), "string"),
    "waited": (pa.array([1, 2], pa.duration("us")), "bigint"),
    "clock": (pa.array([1, 2], pa.time64("us")), None),
    "wide": (pa.array([Decimal(1)] * 2, pa.decimal256(60, 2)), None),
    "raw": (pa.array([b"ab"] * 2, pa.binary(2)), None),
    "clocks": (pa.array([[1], [2]], pa.list_(pa.time64("us"))), None),
}


def test_parquet_of_every_writer_is_read(spark, tmp_path):
    pq.write_table(pa.table({name: column for name, (column, _) in WRITTEN.items()}), tmp_path / "t.parquet")
    table = read_any(spark, tmp_path / "t.parquet")
    assert dict(table.rows.dtypes) == {name: kind for name, (_, kind) in WRITTEN.items() if kind}
    shown = table.rows.selectExpr("CAST(ns AS STRING)", "unix_micros(ns_utc)", "u64", "CAST(old AS STRING)")
    first, second = sorted(map(tuple, shown.collect()))
    assert first == ("1969-12-31 23:59:59.999999", -1, 0, "0001-01-01")
    assert second == ("2023-11-14 22:13:20.123456", 1_700_000_000_123_456, 2**64 - 1, "1400-02-28")
    assert table.notes == (
        "left out, being neither numbers, text nor dates: 'clock (time of day)', 'wide (decimal of 60 digits)', "
        "'raw (binary)', 'clocks (nested)'",
        "'ns', 'ns_utc': times in nanoseconds are read in microseconds",
    )


def test_parquet_that_spark_can_not_read_is_refused_before_work(spark, tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [1.0], "half": pa.array(np.array([1], np.float16))}), path)
    refused(spark, path, "t.parquet: column 'half' is Float16, and Spark can't read a file that has one")
    pq.write_table(pa.table({"x": [1.0]}), path, compression="brotli")
    refused(spark, path, "t.parquet: is packed with BROTLI")
    pq.write_table(pa.table({"x": [1.0], "X": [1.0]}), path)
    refused(spark, path, "can't be read as Parquet")
    (tmp_path / "f").mkdir()
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "f" / "1.parquet")
    pd.DataFrame({"x": ["a"]}).to_parquet(tmp_path / "f" / "2.parquet")
    refused(spark, tmp_path / "f", "2.parquet: column 'x' is string, in 1.parquet it is bigint; write them alike")
    pd.DataFrame({"y": [1]}).to_parquet(tmp_path / "f" / "2.parquet")
    refused(spark, tmp_path / "f", "2.parquet: has no column 'x', which 1.parquet has")


def test_rows_of_parquet_without_a_time_are_set_aside(spark, tmp_path):
    days = pd.date_range("2024-01-01", periods=200).to_series()
    days.iloc[3] = pd.NaT
    pd.DataFrame({"x": range(200), "When": days}).to_parquet(tmp_path / "t.parquet", index=False)
    table = read_any(spark, tmp_path / "t.parquet", roles={"when": "time"})
    assert table.rows.count() == 199 and [one.reason for one in table.set_aside] == ["is empty"]
    assert table.notes[-1] == "set aside for want of a time in 'When': 1 row"


def test_delta_is_read_at_a_version(spark, tmp_path):
    path = str(tmp_path / "d")
    spark.sql("SELECT 1L AS a, 'x' AS b").write.format("delta").save(path)
    table = read_any(spark, path)
    spark.sql("SELECT 2L AS a, 'y' AS b").write.format("delta").mode("append").save(path)
    later = read_any(spark, path)
    assert table.kind == "delta" and values(table) == [(1, "x")] and len(values(later)) == 2
    assert table.fingerprint.removesuffix("@0") == later.fingerprint.removesuffix("@1")
    (tmp_path / "broken" / "_delta_log").mkdir(parents=True)
    refused(spark, tmp_path / "broken", "broken: its _delta_log has no version")
    put(tmp_path / "broken" / "_delta_log", "{}", f"{0:020d}.json")
    refused(spark, tmp_path / "broken", "broken: can't be read as a Delta table")
