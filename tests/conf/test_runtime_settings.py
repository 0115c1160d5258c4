"""Settings, plans and the command line, with no Spark."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import yaml

from strata.conf.banks import load_bank, shipped_banks
from strata.conf.contracts import Layer, Personal
from strata.conf.settings import SettingsError, load_settings
from strata.jobs import scorecard
from strata.jobs.cli import main
from strata.jobs.job_runner import SMALL_INPUT, parser, session_settings
from strata.jobs.runtime.install import SetupError, extract_classes
from strata.jobs.runtime.session import engine_settings
from strata.jobs.sources.bank_setup.bank_sample import write_sample
from strata.jobs.table_catalog import TABLES, contract_of

ROOT = Path(__file__).parents[2]


def test_layers_of_settings(tmp_path):
    own = tmp_path / "own.yml"
    own.write_text("gates:\n  quarantine_share: 0.2\n")
    settings = load_settings("test", path=str(own), lake="/somewhere")
    assert (settings.env, settings.lake, settings.gates.quarantine_share) == ("test", "/somewhere", 0.2)
    assert settings.spark.cores == 2
    assert settings.digest != load_settings("test").digest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "gates:\n  quarantine: 0.2\n",
            "gates.quarantine: there is no such setting; did you mean gates.quarantine_rows?",
        ),
        ("lake_hours: 2\n", "own.yml: lake_hours: there is no such setting; did you mean lock_hours?"),
        ("cores: 2\n", "own.yml: cores: there is no such setting; did you mean spark.cores?"),
        ("spark:\n  xyz: 2\n", "own.yml: spark.xyz: there is no such setting; there are: spark.cores, spark.memory"),
        ("as_of: tomorrow\n", "own.yml: as_of: Input should be a valid date"),
        ("gates: 3\n", "own.yml: gates: Input should be"),
        ("bank_timezone: Asia/Shanghai\n", "own.yml: bank_timezone: is the bank's own: zone in its bank.yml"),
        ("- a\n", "a mapping of settings is expected, not list"),
        ("a: [\n", "not readable as YAML"),
    ],
)
def test_wrong_settings_are_named(tmp_path, text, says):
    own = tmp_path / "own.yml"
    own.write_text(text)
    with pytest.raises(SettingsError, match=says):
        load_settings("test", path=str(own))


def test_arguments_of_the_wrong_kind_are_named():
    with pytest.raises(SettingsError, match="settings: lock_hours: Input should be greater than 0"):
        load_settings("test", lock_hours=-1)
    with pytest.raises(SettingsError, match="settings: lok_hours: there is no such setting; did you mean lock_hours"):
        load_settings("test", lok_hours=1)


def test_a_plan_refuses_a_wrong_zone(tmp_path, capsys):
    write_sample(tmp_path / "mine")
    declared = tmp_path / "mine" / "bank.yml"
    declared.write_text(declared.read_text().replace("Europe/Berlin", "Europe/Prag"))
    assert main(["ingest", "--plan", "--bank", str(tmp_path / "mine")]) == 2
    problem = "mine/bank.yml: zone: 'Europe/Prag' is no time zone of the IANA database; did you mean Europe/Prague?"
    assert problem in capsys.readouterr().err


def test_unknown_environment_and_file():
    with pytest.raises(SettingsError, match="there are: local, prod, simulated, test"):
        load_settings("moon")
    with pytest.raises(SettingsError, match="no such file"):
        load_settings("test", path="/no/such.yml")


def test_every_contract_reads_as_a_page():
    for contract in TABLES.values():
        page = contract.to_markdown()
        assert all(f"| {column.name} |" in page for column in contract.columns)
    with pytest.raises(KeyError, match="no table contract called 'nothing'"):
        contract_of("nothing")


def test_no_direct_identifier_passes_bronze():
    own = [table for bank in shipped_banks() for table in load_bank(bank).contracts.values()]
    direct = {t.layer for t in [*TABLES.values(), *own] for c in t.columns if c.personal is Personal.DIRECT}
    assert direct == {Layer.BRONZE}


def test_command_line(capsys):
    assert main(["--help"]) == 0
    assert "ingest" in capsys.readouterr().out
    assert main(["nothing"]) == 2
    assert "there is no job 'nothing'" in capsys.readouterr().err
    assert main(["check-run", "--as-of", "yesterday", "--job", "x"]) == 2
    assert "'yesterday' is not a day like" in capsys.readouterr().err
    assert main(["check-run", "--env", "moon", "--job", "x"]) == 2
    assert main(["ingest", "--plan"]) == 0
    assert "silver.transaction (whole)" in capsys.readouterr().out


def test_altered_graph_classes_are_refused(tmp_path):
    source, target = tmp_path / "carrier.jar", tmp_path / "clean.jar"
    with zipfile.ZipFile(source, "w") as jar:
        jar.writestr("org/graphframes/GraphFrame.class", b"not the real one")
    with pytest.raises(SetupError, match="SHA-256 differs"):
        extract_classes(source, target)
    assert not target.exists() and list(tmp_path.glob("*.part")) == []


def test_sessions_of_spark_submit_are_like_our_own(spark):
    needed = engine_settings()
    ours = spark.sparkContext.getConf()
    # The JVM gets options of our own besides.
    assert all(value in ours.get(name).split() for name, value in needed.items())
    lines = (ROOT / "conf" / "spark.properties").read_text().splitlines()
    assert dict(line.split(maxsplit=1) for line in lines if not line.startswith("#")) == needed
    application = yaml.safe_load((ROOT / "jobs" / "examples" / "kubernetes.yml").read_text())
    assert application["spec"]["template"]["sparkConf"] == needed


def test_large_files_of_somebodys_own_want_compiled_plans(tmp_path):
    settings, table = load_settings("local"), tmp_path / "table"
    table.mkdir()
    (table / "part.csv").write_text("a;b\n1;2\n")
    options = parser(scorecard.JOB).parse_args(["--input", str(table), "--target", "b", "--output", str(tmp_path)])
    assert session_settings(scorecard.JOB, settings, options).spark.small_data
    with (table / "large.csv").open("wb") as large:
        large.truncate(SMALL_INPUT + 1)
    assert not session_settings(scorecard.JOB, settings, options).spark.small_data
