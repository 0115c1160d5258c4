"""Figures of many features at once, from a row a question: power by subject, drivers, twins, steadiness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from strata.conf.tables.truth import TRAITS
from strata.features.definitions.view import FeatureView
from strata.models import Binning
from strata.models.evaluation.discrimination import auc_interval, ks, psi, psi_noise
from strata.models.evaluation.score_table import ScoreTable
from tests.bench.kept import Measurement

# A feature with less tells nothing (Siddiqi 2006).
TELLS = 0.02
TWINS = 0.95
SHIFTED = 0.25


def subjects(
    views: Sequence[FeatureView], binning: Binning, woes: pd.DataFrame, rows: pd.DataFrame, late: np.ndarray
) -> Measurement:
    """The outcome's sizes, and for each view, and all together: best features by IV, and AUC out of time."""
    bad = rows["outcome"].to_numpy(int)
    found = []
    for view in views:
        names = [feature.name for feature in view.features if feature.name in binning.iv]
        if names:
            found.append({"subject": view.name, **_subject(names, binning, woes, bad, late)})
    everything = _subject(list(binning.iv), binning, woes, bad, late)
    ceiling = None
    if rows["truth"].notna().all():
        ceiling = auc_interval(ScoreTable.of(bad[late], rows["truth"].to_numpy()[late]))._asdict()
    return {
        "learnt": int((~late).sum()), "learnt_bad": int(bad[~late].sum()), "tested": int(late.sum()),
        "tested_bad": int(bad[late].sum()), "from": str(rows["at"][late].min().date()),
        "subjects": sorted(found, key=lambda one: -one["auc"]), "together": everything, "ceiling": ceiling,
    }  # fmt: skip


def _subject(
    names: Sequence[str], binning: Binning, woes: pd.DataFrame, bad: np.ndarray, late: np.ndarray
) -> Measurement:
    """Power of some features together: a ridge logistic regression on their WOE, of those that tell something."""
    best = sorted(names, key=lambda name: -binning.iv[name])
    telling = [name for name in best if binning.iv[name] >= TELLS]
    figures = {"features": len(names), "telling": len(telling), "best": [[n, binning.iv[n]] for n in best[:3]]}
    if not telling:
        return {**figures, "auc": 0.5, "low": 0.5, "high": 0.5, "ks": 0.0}
    x = woes[telling].to_numpy(float)
    model = LogisticRegression(C=0.02, max_iter=500).fit(x[~late], bad[~late])
    table = ScoreTable.of(bad[late], model.predict_proba(x[late])[:, 1])
    interval = auc_interval(table)
    return {**figures, "auc": interval.value, "low": interval.low, "high": interval.high, "ks": ks(table)}


def drivers(table: pd.DataFrame, people: pd.DataFrame) -> Measurement:
    """For each latent trait, and the true PD, the features that go with it most: Spearman's rank correlation."""
    return {trait: _nearest(table, people[trait].to_numpy(float)) for trait in (*TRAITS, "income", "standard_pd")}


def _nearest(table: pd.DataFrame, trait: np.ndarray, most: int = 5) -> list[list[object]]:
    found = []
    for name in table.columns:
        value = table[name].to_numpy(float)
        there = ~np.isnan(value)
        # What few have says little of a trait that all have.
        if there.mean() >= 0.2 and np.ptp(value[there]) > 0:
            found.append([name, float(np.corrcoef(rankdata(value[there]), rankdata(trait[there]))[0, 1])])
    return sorted(found, key=lambda one: -abs(one[1]))[:most]


def redundancy(views: Sequence[FeatureView], table: pd.DataFrame) -> Measurement:
    """Features whose ranks say what those of an earlier one say (|rho| of .95 and more), and those with one value."""
    ranks = table.rank(pct=True).fillna(0.5).to_numpy(float)
    spread = ranks.std(axis=0)
    constant = [name for name, width in zip(table.columns, spread, strict=True) if width == 0]
    moving = [place for place, width in enumerate(spread) if width > 0]
    scaled = (ranks[:, moving] - ranks[:, moving].mean(axis=0)) / spread[moving]
    rho = np.abs(scaled.T @ scaled) / len(scaled)
    twins: dict[str, tuple[str, float]] = {}
    for i in range(1, len(moving)):
        kept = [j for j in range(i) if table.columns[moving[j]] not in twins]
        nearest = max(kept, key=lambda j: rho[i, j])
        if rho[i, nearest] >= TWINS:
            twins[table.columns[moving[i]]] = (table.columns[moving[nearest]], float(rho[i, nearest]))
    own = {feature.name: view.name for view in views for feature in view.features}
    return {
        "constant": constant,
        "twins": [[name, *twin] for name, twin in twins.items()],
        "across": [[name, *twin] for name, twin in twins.items() if own[name] != own[twin[0]]],
        "left": {
            view.name: [len(view.features), sum(f.name not in twins and f.name not in constant for f in view.features)]
            for view in views
        },
    }


def unsteady(views: Sequence[FeatureView], table: pd.DataFrame, months: pd.Series) -> Measurement:
    """PSI of each month against the first: by subject its largest, and the features that ever shift."""
    order = sorted(months.unique())
    found: dict[str, list[float]] = {}
    noise = 0.0
    for name in table.columns:
        value = table[name].to_numpy(float)
        first = value[(months == order[0]).to_numpy()]
        edges = np.unique(np.nanquantile(first, np.arange(0.1, 1, 0.1))) if np.isfinite(first).any() else np.array([])
        cells = np.where(np.isnan(value), len(edges) + 1, np.searchsorted(edges, value, side="left"))
        counts = [np.bincount(cells[(months == month).to_numpy()], minlength=len(edges) + 2) + 0.5 for month in order]
        found[name] = [psi(counts[0], one) for one in counts[1:]]
        noise = max(noise, psi_noise(counts[0], counts[-1]))
    return {
        "months": [str(month) for month in order],
        "noise": noise,
        "subjects": {
            view.name: [max(found[f.name][place] for f in view.features) for place in range(len(order) - 1)]
            for view in views
        },
        "shifted": sorted(
            ([name, max(values)] for name, values in found.items() if max(values) > SHIFTED), key=lambda one: -one[1]
        ),
    }
