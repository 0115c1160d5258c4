"""A real standalone cluster on this machine: one master, some workers, each its own process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark
import yaml

from strata.conf.settings import Settings
from strata.jobs.runtime.install import jar_paths, java_home
from strata.jobs.runtime.session import SMALL_DATA, SMALL_DATA_JVM, SMALL_TABLES, engine_settings

SPARK_HOME = Path(pyspark.__file__).parent
PROJECT = Path(__file__).parents[2]
PROPERTIES = PROJECT / "conf" / "spark.properties"
JVM_OPTIONS = ("spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions")
LOCAL = "127.0.0.1"


def environment(**more: str) -> dict[str, str]:
    home = java_home()
    return {
        **os.environ,
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": LOCAL,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        **({"JAVA_HOME": home} if home else {}),
        **more,
    }


@contextmanager
def standalone_cluster(folder: Path, *, workers: int = 2, memory: str = "2g") -> Iterator[str]:
    """Start the cluster and yield its master's address; everything is stopped at the end."""
    port = free_port()
    with ExitStack() as stack:
        stack.enter_context(_process(folder, "Master", "--host", LOCAL, "--port", str(port), "--webui-port", "0"))
        _wait_for(lambda: _listens(port), "the master")
        address = f"spark://{LOCAL}:{port}"
        for number in range(workers):
            arguments = ("--host", LOCAL, "--cores", "1", "--memory", memory, "--webui-port", "0")
            work = ("--work-dir", str(folder / f"work{number}"), address)
            stack.enter_context(_process(folder, "Worker", *arguments, *work, number=number))
        log = folder / "Master0.log"
        _wait_for(lambda: log.read_text().count("Registering worker") == workers, f"{workers} workers")
        yield address


def submit(master: str, script: Path, *arguments: str, py_files: Path, log: Path, shuffles: int = 4) -> int:
    """``spark-submit`` as a platform team would call it; returns the exit code, output in ``log``."""
    conf = {
        **SMALL_TABLES,
        **SMALL_DATA,
        **{name: f"{engine_settings()[name]} {SMALL_DATA_JVM}" for name in JVM_OPTIONS},
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": str(shuffles),
    }
    settings = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    command = [
        str(SPARK_HOME / "bin" / "spark-submit"),
        *("--master", master, "--driver-memory", "3g", "--executor-memory", "1500m"),
        *("--properties-file", str(PROPERTIES)),
        *("--conf", f"spark.driver.host={LOCAL}", "--conf", f"spark.driver.bindAddress={LOCAL}"),
        *("--jars", ",".join(map(str, jar_paths())), "--py-files", str(py_files)),
        *settings,
        str(script),
        *arguments,
    ]
    with log.open("w") as output:
        return subprocess.run(
            command, env=environment(), stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode


def on_cluster(settings: Settings, folder: Path, script: Path, *arguments: str) -> None:
    """Submit ``script``, with the project as a wheel, to a cluster of its own whose files lie in ``folder``."""
    wheels = folder / "wheels"
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(PROJECT)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True)
    conf, log = folder / "own.yml", folder / "submit.log"
    own = {name: getattr(settings, name) for name in ("tracking_uri", "token_key_file", "reports")}
    conf.write_text(yaml.safe_dump(own))
    wheel = next(wheels.glob("*.whl"))
    with standalone_cluster(folder) as master:
        code = submit(master, script, "--conf", str(conf), "--lake", settings.lake, *arguments, py_files=wheel, log=log)
    assert code == 0, log.read_text()[-3000:]
    assert "local[" not in log.read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(folder: Path, role: str, *arguments: str, number: int = 0) -> Iterator[None]:
    kind = f"org.apache.spark.deploy.{role.lower()}.{role}"
    with (folder / f"{role}{number}.log").open("w") as log:
        process = subprocess.Popen(
            [str(SPARK_HOME / "bin" / "spark-class"), kind, *arguments],
            env=environment(SPARK_WORKER_DIR=str(folder)),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOCAL, port)) == 0


def _wait_for(ready, what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come up in {seconds:.0f} s")
        time.sleep(0.3)
