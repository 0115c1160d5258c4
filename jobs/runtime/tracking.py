"""MLflow: runs tagged with data versions, models registered as JSON, champion and challenger by alias."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from strata.jobs.runtime.errors import InputError, NotReadyError
from strata.jobs.runtime.pyfunc import read_model, save_pyfunc
from strata.jobs.runtime.tables import Written

EXPERIMENT = "strata"
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Registered:
    """One version of a registered model: its kind, and the JSON text it is made of."""

    name: str
    version: int
    kind: str
    text: str


def has_registry(uri: str) -> bool:
    """Whether a registry has been made at ``uri``: asking one in a SQLite file would make it."""
    return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()


@dataclass(frozen=True)
class Tracking:
    """The tracking server and registry at ``uri``; a SQLite file's folder is made where it is missing."""

    uri: str

    def __post_init__(self) -> None:
        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).absolute().parent.mkdir(parents=True, exist_ok=True)
        # MLflow tells of every table it makes in a new SQLite file.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)

    @property
    def client(self) -> MlflowClient:
        """MLflow's client on this server."""
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    @contextmanager
    def run(self, name: str, inputs: Mapping[str, Written], tags: Mapping[str, str]) -> Iterator[str]:
        """An MLflow run tagged with the Delta version of every input; yields its id."""
        versions = {f"delta.{table}": str(written.version) for table, written in inputs.items()}
        mlflow.set_experiment(experiment_id=self._experiment())
        with mlflow.start_run(run_name=name, tags={**versions, **tags}) as active:
            yield active.info.run_id

    def register(self, name: str, run_id: str, kind: str, files: Mapping[str, str], description: str) -> int:
        """Store ``files`` (name to text, the model itself is ``<kind>.json``) and register them as a new version.

        The version loads by ``load`` and, as it is an MLflow model, by ``mlflow.pyfunc.load_model``.
        """
        model = f"{kind}.json"
        with tempfile.TemporaryDirectory() as folder:
            save_pyfunc(read_model(kind, files[model]), folder)
            for file in files.keys() - {model}:
                Path(folder, file).write_text(files[file])
            self.client.log_artifacts(run_id, folder, artifact_path=name)
        self._ensure_model(name, description)
        source = f"{self.client.get_run(run_id).info.artifact_uri}/{name}"
        made = self.client.create_model_version(name, source, run_id, tags={"kind": kind}, description=description)
        return int(made.version)

    def load(self, name: str, alias: str) -> Registered:
        """The version that carries ``alias``; raises ``InputError`` when none does."""
        version = self.version(name, alias)
        if version is None:
            raise NotReadyError(
                f"no version of model {name} is {alias}: run `strata train` first; where it said that the scorecard "
                "fails its gate, mend the data or the model, or change the gate in its ModelSpec"
            )
        found = self.client.get_model_version(name, str(version))
        kind = found.tags["kind"]
        folder = mlflow.artifacts.download_artifacts(str(found.source), tracking_uri=self.uri)
        # Versions older than the MLflow model have the file beside the others, not in data/.
        path = next(Path(folder).rglob(f"{kind}.json"))
        return Registered(name, version, kind, path.read_text(encoding="utf-8"))

    def version(self, name: str, alias: str) -> int | None:
        """The version that carries ``alias``; ``None`` without one."""
        try:
            return int(self.client.get_model_version_by_alias(name, alias).version)
        except MlflowException as missing:
            if missing.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def aliases(self) -> list[tuple[str, str, int]]:
        """Every alias of every model: (name, alias, version), by name and version."""
        models = self.client.search_registered_models(max_results=1_000)
        found = [(model.name, alias, int(version)) for model in models for alias, version in model.aliases.items()]
        return sorted(found, key=lambda one: (one[0], one[2], one[1]))

    def alias(self, name: str, alias: str, version: int) -> None:
        """Point ``alias`` at ``version``."""
        self.client.set_registered_model_alias(name, alias, str(version))

    def promote(self, name: str) -> tuple[int, int | None]:
        """Swap the aliases, so that promotion is its own reversal; returns (new, former) champion versions."""
        challenger, champion = self.version(name, CHALLENGER), self.version(name, CHAMPION)
        if challenger is None:
            raise InputError(f"model {name} has no challenger to promote: run `strata train` first")
        self.alias(name, CHAMPION, challenger)
        if champion is not None:
            self.alias(name, CHALLENGER, champion)
        return challenger, champion

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        return str(found.experiment_id if found else self.client.create_experiment(EXPERIMENT, self._artifacts()))

    def _artifacts(self) -> str | None:
        """Beside the SQLite file; a server keeps its own."""
        if not self.uri.startswith("sqlite:///"):
            return None
        return Path(self.uri.removeprefix("sqlite:///")).absolute().with_name("mlartifacts").as_uri()

    def _ensure_model(self, name: str, description: str) -> None:
        try:
            self.client.get_registered_model(name)
        except MlflowException:
            self.client.create_registered_model(name, description=description)
