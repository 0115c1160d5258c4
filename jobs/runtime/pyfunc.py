"""Models as MLflow pyfuncs made of their JSON: nothing is pickled, and nothing but Strata's code reads them.

The folder of such a model is MLflow's own (``MLmodel``, requirements, an input example) with the model in
``data/<kind>.json``. ``mlflow.pyfunc.load_model`` and ``mlflow.pyfunc.spark_udf(env_manager="local")`` load it
wherever Strata is installed. Inside Spark prefer the model's own ``score``, which is faster and keeps nulls:
``spark_udf`` makes every text of a batch a text, so that a reason there is not reads ``"None"``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow.pyfunc
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

from strata.models.binning.feature_bins import FeatureBins
from strata.models.boosting.challenger import FORMAT as CHALLENGER_FORMAT
from strata.models.boosting.challenger import Challenger
from strata.models.boosting.trees import Boosting
from strata.models.scorecard.scorecard import Scorecard

Model = Scorecard | Boosting | Challenger


def _read_boosted(text: str) -> Boosting | Challenger:
    """Trees on numbers, or trees with how they read a row of anything."""
    return (
        Challenger.from_json(text) if json.loads(text).get("format") == CHALLENGER_FORMAT else Boosting.from_json(text)
    )


READERS: Mapping[str, Callable[[str], Model]] = {"scorecard": Scorecard.from_json, "boosted": _read_boosted}


@dataclass(frozen=True)
class Pyfunc:
    """What MLflow calls."""

    model: Model

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """What the model's ``score`` adds to a row, for pandas rows: no loop over rows."""
        return self.model.score_pandas(rows)


def read_model(kind: str, text: str) -> Model:
    """The model that ``to_json`` wrote. Raises ``ValueError`` for another kind or text."""
    if kind not in READERS:
        raise ValueError(f"kind: {kind!r} is none of {', '.join(READERS)}")
    return READERS[kind](text)


def save_pyfunc(model: Model, folder: str | Path) -> None:
    """Write ``model`` to ``folder``, new or empty, as an MLflow model with signature and input example.

    A number is "any" in the signature, because MLflow's double refuses integers, booleans and decimals.
    """
    kind = "scorecard" if isinstance(model, Scorecard) else "boosted"
    example = _example(model)
    with TemporaryDirectory() as scratch:
        data = Path(scratch, f"{kind}.json")
        data.write_text(model.to_json(), encoding="utf-8")
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=__name__,
            data_path=str(data),
            signature=_signature(example, model.score_pandas(example)),
            input_example=example,
            pip_requirements=[f"strata=={version('strata')}"],
        )


def _load_pyfunc(path: str) -> Pyfunc:
    """MLflow's entry: the model of the file that MLmodel names."""
    return Pyfunc(read_model(Path(path).stem, Path(path).read_text(encoding="utf-8")))


def _example(model: Model) -> pd.DataFrame:
    """One row: a number at its first edge or 0, the first level of a text."""
    if isinstance(model, Boosting):
        return pd.DataFrame({name: [0.0] for name in model.spec.features})
    bins = _bins(model)
    values = {
        b.feature: [*b.edges, 0.0] if b.kind == "number" else [*(x for group in b.groups for x in group), ""]
        for b in bins
    }
    return pd.DataFrame({name: few[:1] for name, few in values.items()})


def _bins(model: Scorecard | Challenger) -> list[FeatureBins]:
    """The bins of each feature that the model reads, once."""
    if isinstance(model, Scorecard):
        return [binned.bins for binned in model.kept.values()]
    return list({one.bins.feature: one.bins for one in model.inputs}.values())


def _signature(given: pd.DataFrame, answer: pd.DataFrame) -> ModelSignature:
    inputs = [ColSpec(DataType.string if _is_text(given[name]) else AnyType(), name) for name in given.columns]
    named = {"int64": DataType.long, "float64": DataType.double, "object": DataType.string}
    outputs = [ColSpec(named[str(kind)], name) for name, kind in answer.dtypes.items()]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _is_text(values: pd.Series) -> bool:
    return isinstance(values.iloc[0], str)
