"""A model as a value: whom it is about, what it predicts, from which features, how it is fitted, tested and used.

Adding a model is one file with a ``ModelSpec`` in ``models/specs`` or in the ``models`` folder of a bank; every job
takes ``--model NAME`` and knows nothing else of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal

from pyspark.sql import DataFrame

from strata.conf.contracts import Column, Layer, Table, col
from strata.models.scorecard.scorecard import ScorecardSpec

# Silver and network tables by name, as a job has read them.
Tables = Mapping[str, DataFrame]
STATE = "outcome_state"
SCORECARD, BOOSTED = "scorecard", "boosted"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Population:
    """Whom a model is about, and when: one row per case.

    ``cases(tables, as_of)`` gives the columns of ``columns`` with, among them, ``key`` (which identifies a case), the
    keys of the entity, ``person`` (whose cases never stand on both sides of a fold) and ``at``, the moment as of which
    the features are computed. ``eligible`` is a SQL condition on them: other cases get neither features nor a score.
    ``reads`` are tables; ``needs`` are columns (``table.column``) that not every bank fills.
    """

    description: str
    key: str
    columns: tuple[Column, ...]
    reads: tuple[str, ...]
    cases: Callable[[Tables, date], DataFrame]
    eligible: str = "TRUE"
    person: str = "customer_id"
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a model predicts.

    ``label(cases, tables, as_of)`` adds ``target`` (1 bad, 0 good, else null) and ``outcome_state`` (text: good, bad,
    indeterminate, immature, unknown, excluded …), as far as it is known on the day, and ``columns``, if there are more.
    """

    description: str
    reads: tuple[str, ...]
    label: Callable[[DataFrame, Tables, date], DataFrame]
    target: str = "is_bad"
    columns: tuple[Column, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimeSplit:
    """The test out of time: cases observed from ``start`` on, else the last ``share`` of the cases, no day parted.

    Only cases of at least ``outcome_months`` before it teach. Where one entity is a case again and again, a younger
    case's outcome is in part that of a case in the test.
    """

    start: date | None = None
    share: float = 0.3
    outcome_months: int = 0


@dataclass(frozen=True)
class Beside:
    """A table with more features as of each case, written by another job, and its key, which is that of the cases."""

    table: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Variant:
    """A scorecard tried beside the champion's: other features (patterns), or another population (SQL).

    With ``risk`` no model is fitted: that column itself ranks the cases.
    """

    name: str
    features: tuple[str, ...] = ()
    where: str | None = None
    note: str = ""
    risk: str | None = None
    # Whether its difference to the champion's scorecard is measured on the same folds.
    is_compared: bool = False


@dataclass(frozen=True)
class ModelSpec:
    """One model.

    - ``features``: names or patterns: ``allowed:*`` means features of the store, others any column of the training set
      (``beside``'s, the case's own); ``purpose`` says what they are used for, so that uses and consents are checked.
    - ``coverage`` says what becomes of cases whose windows the data do not hold (see ``FeatureStore.training_set``);
      with ``flag`` the training set says of each view whether it is whole, which is no feature.
    - ``card`` are options of ``ScorecardSpec``; the boosted challenger takes the same features, ``challenger``:
      ``monotone`` trees of a fixed size bound to the trends of the card's bins, or ``free`` ones tuned on rows held
      out.
    - ``split`` is the test out of time. Folds part ``population.person``; ``repeats`` says how often they are drawn
      (default: the settings' ``validation``): more than once where bads are few.
    - ``gate``: a model whose out-of-fold AUC has a lower bound below it is registered but never becomes champion by
      itself.
    - ``outputs``: ``book`` scores every entity of a day, ``cases`` each case of the population.
    - ``decision``: columns that a credit decision needs (see ``decide_credit``), as SQL on a case with its features;
      without it the model decides nothing.
    - ``notes`` are what readers of its figures should know, ``published`` AUCs of others on data like these.
    """

    name: str
    title: str
    entity: Literal["account", "customer"]
    population: Population
    outcome: Outcome
    features: tuple[str, ...]
    purpose: str
    beside: tuple[Beside, ...] = ()
    card: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    challenger: Literal["monotone", "free"] = "free"
    coverage: Literal["refuse", "strict", "flag", "null"] = "refuse"
    split: TimeSplit = TimeSplit()
    repeats: int | None = None
    gate: float = 0.5
    outputs: tuple[Literal["book", "cases"], ...] = ("book", "cases")
    variants: tuple[Variant, ...] = ()
    decision: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    published: tuple[tuple[str, float], ...] = ()
    owner: str = "risk"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"model {self.name!r}: use small letters, digits and underscores")
        columns = {column.name for column in self.population.columns}
        for needed in ("at", self.population.key, self.population.person):
            if needed not in columns:
                raise ValueError(f"model {self.name}: the population lacks the column {needed!r}")
        self.scorecard((self.population.key,))

    @property
    def training_set(self) -> str:
        """The table of the eligible cases with their features and outcomes."""
        return f"training_set_{self.name}"

    @property
    def target(self) -> str:
        """The 0/1 column that is predicted."""
        return self.outcome.target

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables that cases and outcomes are made of."""
        return tuple(dict.fromkeys((*self.population.reads, *self.outcome.reads)))

    def labelled(self, tables: Tables, as_of: date) -> DataFrame:
        """Every case with its outcome as far as it is known on the day, eligible or not."""
        return self.outcome.label(self.population.cases(tables, as_of), tables, as_of)

    def tries(self, feature: str) -> bool:
        """Whether the model or a variant of it names the feature, itself or by a pattern."""
        patterns = (*self.features, *(name for variant in self.variants for name in variant.features))
        return any(fnmatchcase(feature, pattern.removeprefix("allowed:")) for pattern in patterns)

    def scorecard(self, features: tuple[str, ...]) -> ScorecardSpec:
        """The scorecard on these features."""
        return ScorecardSpec(self.target, features, **self.card)

    def table(self, features: Sequence[Column]) -> Table:
        """The contract of the training set: the case, the features, those beside them, outcome and target last."""
        case = self.population.columns
        names = {column.name for column in case}
        beside = [column for one in self.beside for column in one.columns if column.name not in names]
        return Table(
            name=self.training_set,
            layer=Layer.FEATURES,
            grain=f"one row per eligible case ({self.population.key})",
            description=f"{self.title}. {self.population.description} {self.outcome.description}",
            key=(self.population.key,),
            columns=(
                *case,
                *features,
                *(column.model_copy(update={"nullable": True}) for column in beside),
                *self.outcome.columns,
                col(STATE, "string", "good, bad, or why the outcome is not known"),
                col(self.target, "int", "1 bad, 0 good; null where the outcome is not known", nullable=True),
            ),
            owner=self.owner,
        )
