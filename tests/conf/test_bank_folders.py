"""A bank's folder: what is wrong in it is named by file and key, and what is right becomes a value."""

from __future__ import annotations

import shutil
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from strata.conf.banks import BankError, load_bank, read_bank, shipped_banks
from strata.conf.contracts import Personal
from strata.conf.policies import PolicyError, bank_policies, load_policies
from strata.conf.settings import SettingsError, load_settings
from strata.features.views import account_views, bank_views, customer_views
from strata.jobs.cli import main
from strata.jobs.sources.bank_setup.bank_check import check_bank
from strata.jobs.sources.bank_setup.bank_sample import write_sample


@pytest.fixture
def folder(tmp_path):
    write_sample(tmp_path / "mine")
    return tmp_path / "mine"


def changed(folder: Path, file: str, *path_and_value) -> list[str]:
    """The problems of the bank with one value of a file changed; ``None`` takes the key away."""
    *path, value = path_and_value
    content = yaml.safe_load((folder / file).read_text())
    place = content
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    (folder / file).write_text(yaml.safe_dump(content, sort_keys=False))
    return [str(problem) for problem in read_bank(folder)[1]]


POSTING, CUSTOMER = "feeds/buchungen.yml", "feeds/kunden.yml"
TABLE = ("tables", "transaction")
FIELDS = (*TABLE, "fields")
TWO_WAYS = {"from": "art", "map": {"1": "x"}, "sql": "art"}
FUNCTION = {"from": "art", "python": "purpose", "expects": "a code"}
CIRCLE = {"customer_id": "account_holder"}


@pytest.mark.parametrize(
    ("file", "change", "wanted"),
    [
        ("bank.yml", ("zone", "Europe/Nowhere"), "bank.yml: zone: 'Europe/Nowhere' is no time zone"),
        ("bank.yml", ("layuot", "flat"), "bank.yml: layuot: no such key; did you mean layout?"),
        ("bank.yml", ("entities", ["people"]), "bank.yml: entities.0: Input should be 'account' or 'customer'"),
        (POSTING, ("colums", []), "feeds/buchungen.yml: colums: no such key; did you mean columns?"),
        (POSTING, ("notation", "decimals", ","), "notation.decimals: no such key; did you mean decimal?"),
        (POSTING, ("notation", "times", "dd.QQ.yyyy"), "notation.times: 'dd.QQ.yyyy': 'QQ' is not known"),
        (POSTING, ("notation", "unit", 3), "notation.unit: a power of ten is expected"),
        (POSTING, ("encoding", "utf-99"), "encoding: 'utf-99' is no encoding"),
        (POSTING, ("tables", {"transactions": {}}), "no such silver table; did you mean transaction?"),
        (POSTING, ("tables", None), "feeds/buchungen.yml: tables: the silver tables that the files fill are expected"),
        (POSTING, (*FIELDS, "amont", "betrag"), "fields.amont: transaction has no such column; did you mean amount?"),
        (POSTING, (*FIELDS, "amount", "betraeg"), "the files have no column 'betraeg'; did you mean betrag?"),
        (POSTING, (*FIELDS, "amount", None), "tables.transaction.fields: transaction needs amount (strata columns"),
        (POSTING, (*FIELDS, "purpose", TWO_WAYS), "give one of sql and map, not both"),
        (POSTING, (*FIELDS, "purpose", FUNCTION), "functions.py with a function"),
        (POSTING, (*TABLE, "event", "ocurred_at"), "event: 'ocurred_at' is no column here; did you mean occurred_at?"),
        (POSTING, (*TABLE, "references", {"account_id": "card"}), "no feed fills card; leave the reference out"),
        (POSTING, (*TABLE, "references", {"acount_id": "account"}), "no such field; did you mean account_id?"),
        (CUSTOMER, ("tables", "customer", "references", CIRCLE), "refer to each other in a circle"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_file_and_key_with_the_nearest_name(folder, file, change, wanted):
    problems = changed(folder, file, *change)
    assert any(wanted in problem for problem in problems), problems
    with pytest.raises(BankError) as first:
        load_bank(str(folder))
    assert str(first.value).startswith(f"mine/{problems[0]}")
    checked = check_bank(folder, None)
    assert checked.exit_code == 2 and all(problem in checked.text for problem in problems)


def test_files_that_are_no_yaml_and_folders_that_are_no_bank(folder, tmp_path):
    (folder / CUSTOMER).write_text("columns: [a, b\ntables: {")
    assert "feeds/kunden.yml: line 2: can't be read as YAML" in str(read_bank(folder)[1][0])
    (folder / "bank.yml").unlink()
    with pytest.raises(
        BankError, match="no folder with a bank.yml, nor one of those that come with Strata: berka, sim"
    ):
        load_bank(str(folder))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "bank.yml").write_text("name: empty\ntitle: x\nzone: UTC\n")
    assert str(read_bank(tmp_path / "empty")[1][0]).startswith("feeds: no feed in it")


def test_a_changed_file_is_read_anew(folder):
    before = load_bank(str(folder))
    assert load_bank(str(folder)) is before
    (folder / "bank.yml").write_text((folder / "bank.yml").read_text().replace("Europe/Berlin", "UTC"))
    after = load_bank(str(folder))
    assert (before.zone, after.zone) == ("Europe/Berlin", "UTC") and before.digest != after.digest


def test_own_tables_and_columns_stand_beside_the_standard_ones(folder):
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "tables" / "customer.yml").write_text("columns: {milieu: {type: string, nullable: true, description: m}}")
    (folder / "tables" / "pet.yml").write_text(
        "grain: one row per pet\ndescription: Pets.\nkey: [pet_id, known_ts]\n"
        "columns:\n  pet_id: {type: bigint, description: the pet}\n  kind: {type: string, description: dog or cat}\n"
        "checks: [{sql: \"kind IN ('dog', 'cat')\", reason: neither dog nor cat}]\n"
    )
    (folder / "feeds" / "tiere.yml").write_text(
        "columns: [nr, art]\ntables:\n"
        "  pet: {fields: {pet_id: nr, kind: {from: art, map: {h: dog, k: cat}}}, event: next_morning}\n"
    )
    bank = load_bank(str(folder))
    assert bank.silver["customer"].names[-3:] == ("milieu", "event_ts", "known_ts")
    assert {"bronze_tiere", "pet", "quarantine_pet"} <= set(bank.contracts)
    assert "pet" in bank.tables and bank.contracts["pet"].check_sql is not None
    (folder / "tables" / "customer.yml").write_text("columns: {gender: {type: string, description: g}}")
    assert "tables/customer.yml: columns.gender: stands in the standard table already" in str(read_bank(folder)[1][0])


def test_identifiers_in_clear_are_direct_in_bronze(folder):
    bronze = {column.name: column.personal for column in load_bank(str(folder)).contracts["bronze_kunden"].columns}
    assert bronze["telefon"] is bronze["kunde"] is Personal.DIRECT and bronze["geburt"] is Personal.QUASI


def test_shipped_banks_fill_the_views_that_they_always_had():
    assert shipped_banks() == ["berka", "simulated"]
    for name, views in (("berka", account_views()), ("simulated", customer_views())):
        bank = load_bank(name)
        assert read_bank(bank.folder)[1] == []
        assert {view.name for view in bank_views(bank)} == {view.name for view in views}


def test_settings_come_from_the_bank_and_production_has_none_of_its_own(folder, tmp_path):
    mine = load_settings("local", bank=str(folder))
    assert (mine.bank_timezone, mine.lake) == ("Europe/Berlin", ".strata/mine/lake")
    assert mine.landing == f"{folder}/landing"
    assert load_settings("local").lake == ".strata/lake" and load_settings("local").bank == "berka"
    with pytest.raises(SettingsError, match="bank: name the folder of your bank with --bank DIR"):
        load_settings("prod", as_of="2025-01-01")
    assert load_settings("prod", bank=str(folder)).lake == "/lake/strata"
    assert changed(folder, "bank.yml", "settings", "as_of", None) == []
    with pytest.raises(SettingsError, match="as_of: name the bank day with --as-of"):
        load_settings("local", bank=str(folder))


def test_commands_to_set_up_a_bank(tmp_path, capsys):
    target = tmp_path / "new"
    assert main(["init", str(target)]) == 0
    assert f"strata check --bank {target}" in capsys.readouterr().out
    assert main(["init", str(target)]) == 2
    assert main(["check", "--bank", str(target)]) == 0
    page = capsys.readouterr().out
    assert "2024-12-31/buchungen.csv: 1,000 rows read as declared" in page
    assert "table account_holder: 6 of 6 columns" in page and "view consumption: 27 of 48 features" in page
    assert "view bureau: table bureau_report" in page
    assert "model loan_loss: Loss of a granted loan; decides its cases" in page
    assert "model application_default: loan_application, delinquency" in page
    landing = target / "landing" / "2024-12-31"
    lines = (landing / "kunden.csv").read_text().splitlines()
    (landing / "kunden.csv").write_text(
        "\n".join([lines[0], lines[1].replace(";w;", ";x;").replace(";m;", ";x;")]) + "\n"
    )
    (landing / "konten.csv").write_text("konto;kunde;offen\n")
    assert main(["check", "--bank", str(target)]) == 3
    page = capsys.readouterr().out
    assert "customer.gender: 1 can't be read; first in row 2: geschlecht: 'x' is not one of w, m" in page
    assert "2024-12-31/konten.csv: row 1: column 'eroeffnet' is missing" in page
    assert main(["columns", "acount"]) == 2
    assert "did you mean account?" in capsys.readouterr().err
    assert main(["columns", "account"]) == 0
    assert "opened_on                date           needed       day of opening" in capsys.readouterr().out
    shutil.rmtree(landing)
    assert main(["ingest", "--plan", "--bank", str(target)]) == 0
    assert "bronze.bronze_konten (append)" in capsys.readouterr().out
    assert main(["train", "--plan", "--bank", str(target)]) == 0
    assert "features.training_set_loan_loss" in capsys.readouterr().out
    (target / "models" / "loan_loss.py").unlink()
    assert main(["train", "--plan", "--bank", str(target)]) == 0
    assert "can't run for bank new: it fills no model: loan_default needs " in capsys.readouterr().out
    assert main(["network", "--plan", "--bank", str(target)]) == 0
    assert "can't run" not in capsys.readouterr().out


def test_a_bank_is_proposed_from_raw_files(tmp_path, capsys):
    raw, target = tmp_path / "raw", tmp_path / "new"
    raw.mkdir()
    (raw / "customers_2024.csv").write_text("customer_id|birth_date|gender|valid_from\n1|31/12/1980|F|01/01/2020\n")
    (raw / "branch.csv").write_bytes(
        "branch_id,district_id,name,lat,lon,system_capacity,opened_on\n1,10,上海分行,31.2,121.5,30,2000-01-01\n".encode(
            "gb18030"
        )
    )
    (raw / "transactions.csv").write_bytes(
        "transaction_id;account_id;amount;direction;Währung;posted at\n"
        "1;12;1.234,50;credit;€;31/12/2024 10:15\n2;12;12,00;debit;€;31/12/2024 11:20\n".encode("cp1252")
    )
    (raw / "accounts.json").write_text('{"account_id": 12, "opened_on": "2020-01-31"}\n')
    (raw / "zips.csv").write_text("zip,town\n1,A\n")
    assert main(["init", str(target), "--from", str(raw)]) == 0
    assert f"strata check --bank {target}" in capsys.readouterr().out
    feeds = {path.stem: yaml.safe_load(path.read_text()) for path in (target / "feeds").glob("*.yml")}
    assert set(feeds) == {"customers", "branch", "transactions", "accounts", "zips"}
    assert feeds["customers"]["files"] == ["customers_*.csv"] and feeds["customers"]["csv"] == {"separator": "|"}
    assert feeds["customers"]["notation"] == {"days": "dd/MM/yyyy"}
    assert feeds["branch"]["encoding"] == "gb18030" and list(feeds["branch"]["tables"]) == ["branch"]
    posting = feeds["transactions"]
    assert posting["encoding"] == "cp1252"
    assert posting["notation"] == {"decimal": ",", "thousands": ".", "times": "dd/MM/yyyy HH:mm"}
    assert posting["tables"]["transaction"]["event"] == "posted_at"
    assert posting["tables"]["transaction"]["fields"]["posted_at"] == {"from": "posted at", "type": "timestamp"}
    assert feeds["accounts"]["tables"]["account"]["event"] == "opened_on" and feeds["zips"]["tables"] is None
    assert main(["check", "--bank", str(target)]) == 2
    assert "feeds/zips.yml: tables: the silver tables that the files fill are expected" in capsys.readouterr().out
    (target / "feeds" / "zips.yml").unlink()
    (raw / "zips.csv").unlink()
    assert main(["check", "--bank", str(target)]) == 0
    page = capsys.readouterr().out
    assert "transactions.csv: 2 rows read as declared" in page and "branch.csv: 1 rows read as declared" in page
    assert main(["init", str(tmp_path / "other"), "--from", str(tmp_path / "nothing")]) == 2


BROKEN = {
    "tables: {account: foo}": "tables.account: keys with values are expected, not 'foo'",
    "tables: {}": "tables: the silver tables that the files fill are expected",
    "kind: other": "kind: no such key",
    "columns: [a, {x: y}]": "columns: {'x': 'y'} is no name",
    "columns: [a, A]": "columns: 'a': names without backticks",
    "columns: [a, a]": "columns: 'a' is no name, or stands there twice",
    "encoding: base64": "encoding: 'base64' is no encoding",
    "csv: {separator: ';', quote: ';'}": "csv: quote: is the separator too",
    "notation: {thousands: '.'}": "notation: thousands: '.' is the decimal mark too",
    "notation: {unit: 1e-9}": "notation.unit: Input should be greater than or equal to",
    "missing: {nosuch: [x]}": "missing: the files have no column 'nosuch'",
    "columns: [a]\ncolumns: [b]": "can't be read as YAML: 'columns' stands there twice",
}
FIELD = {
    "{from: a, days: dd.MM.yy}": "'dd.MM.yy' has years of two digits; say century",
    "{constant: 2024-13-45}": "can't be read as YAML",
    "{constant: abc}": "constant: 'abc' is not a day like 2025-01-31",
}


@pytest.mark.parametrize("line", BROKEN)
def test_slips_in_a_feed_are_named(folder, line):
    text = (folder / "feeds" / "konten.yml").read_text()
    key = line.split(":", 1)[0]
    kept = [part for part in text.splitlines() if not part.startswith(f"{key}:")]
    if key == "tables":
        kept = [part for part in kept if not part.startswith(" ")]
    (folder / "feeds" / "konten.yml").write_text("\n".join([line, *kept]))
    problems = [str(problem) for problem in read_bank(folder)[1]]
    assert any(BROKEN[line] in problem for problem in problems), problems
    assert not any("fills" in problem or "Tuple" in problem for problem in problems), problems


@pytest.mark.parametrize("said", FIELD)
def test_slips_in_a_field_are_named_by_its_table(folder, said):
    text = (folder / "feeds" / "konten.yml").read_text().replace("opened_on: eroeffnet", f"opened_on: {said}", 1)
    (folder / "feeds" / "konten.yml").write_text(text.replace("konto, kunde, eroeffnet", "konto, kunde, eroeffnet, a"))
    problems = [str(problem) for problem in read_bank(folder)[1]]
    assert any(FIELD[said] in problem for problem in problems), problems


def test_lines_that_are_no_rows_hide_nothing(folder):
    landing = folder / "landing" / "2024-12-31"
    lines = (landing / "kunden.csv").read_text().splitlines()
    (landing / "kunden.csv").write_text(
        "\n".join([lines[0], "one;field", lines[1].replace(";w;", ";x;").replace(";m;", ";x;")])
    )
    page = check_bank(folder, folder / "landing").text
    assert "lines: 1 can't be read; first in row 2: the line does not have 5 fields" in page
    assert "customer.gender: 1 can't be read; first in row 3" in page
    assert check_bank(folder, folder / "nowhere").exit_code == 3


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("models/one.py", "SPEC = 1", "models/one.py: has no ModelSpec called SPEC"),
        ("models/one.py", "import nothing_of_that_name", "models/one.py: can't be imported: ModuleNotFoundError"),
        ("views/one.py", "1 / 0", "views/one.py: can't be imported: ZeroDivisionError"),
    ],
)
def test_python_of_a_bank_that_cannot_be_used_is_named(folder, capsys, name, text, said):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    assert main(["run", "--bank", str(folder), "--plan"]) == 2
    assert said in capsys.readouterr().err
    assert main(["check", "--bank", str(folder)]) == 2
    assert said in capsys.readouterr().err


def test_a_banks_own_policies_take_the_place_of_the_standard_ones(folder):
    before, standard = load_bank(str(folder)).digest, bank_policies(folder)
    assert standard == load_policies()
    values = yaml.safe_load(files("strata.conf").joinpath("policy.yml").read_text())
    (folder / "policies").mkdir()
    for day in ("2024-01-01", "2021-01-01"):
        values["policies"][0].update(version=f"own-{day}", effective_from=day)
        (folder / "policies" / f"from_{day}.yml").write_text(yaml.safe_dump(values))
    own = bank_policies(folder)
    assert [policy.version for policy in own.policies] == ["own-2021-01-01", "own-2024-01-01"]
    assert own.at(date(2023, 12, 31)).version == "own-2021-01-01"
    with pytest.raises(PolicyError, match="no policy is in force on 2020-12-31"):
        own.at(date(2020, 12, 31))
    assert load_bank(str(folder)).digest != before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda policy: policy["credit"]["cut_offs"].update(refer_from=0.9), "refer_from lies above decline_from"),
        (lambda policy: policy.update(colour="red"), "policies.0.colour: Extra inputs are not permitted"),
    ],
    ids=["contradiction", "unknown key"],
)
def test_a_policy_that_does_not_hold_is_named(folder, capsys, change, said):
    values = yaml.safe_load(files("strata.conf").joinpath("policy.yml").read_text())
    change(values["policies"][0])
    (folder / "policies").mkdir()
    (folder / "policies" / "own.yml").write_text(yaml.safe_dump(values))
    assert main(["check", "--bank", str(folder)]) == 2
    shown = capsys.readouterr()
    assert "policies/own.yml" in shown.out + shown.err
    assert said in " ".join((shown.out + shown.err).split())
