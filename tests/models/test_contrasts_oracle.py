"""Differences of two groups in many features, beside scikit-learn's AUC, SciPy's test and what is planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from strata.models.evaluation.contrasts import contrasts

pytestmark = pytest.mark.oracle


def people(n: int = 200, noise: int = 40, seed: int = 3) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    woke = (chance.uniform(size=n) < 0.25).astype(int)
    columns = {f"noise_{i}": chance.integers(0, 5, n).astype(float) for i in range(noise)}
    return pd.DataFrame(
        {"woke": woke, "month": np.arange(n) % 2, "signal": chance.poisson(0.5 + 1.5 * woke), **columns}
    )


def test_one_stratum_is_the_mann_whitney_test():
    rows = people().assign(month=0)
    found = contrasts(rows, ["signal", "noise_0", "noise_1"], outcome="woke", stratum="month").set_index("feature")
    for name, row in found.iterrows():
        groups = rows.loc[rows["woke"] == 1, name], rows.loc[rows["woke"] == 0, name]
        assert row["auc"] == pytest.approx(roc_auc_score(rows["woke"], rows[name]))
        assert row["p_value"] == pytest.approx(mannwhitneyu(*groups).pvalue, abs=0.03)


def test_the_planted_one_is_found_and_noise_is_not():
    rows = people()
    found = contrasts(rows, list(rows.columns[2:]), outcome="woke", stratum="month")
    assert found["feature"][0] == "signal"
    assert list(found.loc[found["q_value"] < 0.05, "feature"]) == ["signal"]
    # Without the correction there would be false finds.
    assert (found["p_value"] < 0.05).sum() > 1


def test_what_differs_between_strata_alone_is_no_difference():
    chance = np.random.default_rng(5)
    month = np.repeat([0, 1], 150)
    woke = (chance.uniform(size=300) < np.where(month == 1, 0.6, 0.1)).astype(int)
    rows = pd.DataFrame({"woke": woke, "month": month, "level": 10.0 * month + chance.normal(size=300)})
    found = contrasts(rows, ["level"], outcome="woke", stratum="month")
    assert roc_auc_score(woke, rows["level"]) > 0.7
    assert found["auc"][0] == pytest.approx(0.5, abs=0.1) and found["p_value"][0] > 0.05


def test_unknown_values_are_left_out_and_so_are_features_with_too_few_or_one():
    rows = people().assign(constant=1.0)
    gaps = rows.index % 3 == 0
    rows["signal"] = rows["signal"].astype(float).mask(gaps)
    rows["rare"] = rows["noise_0"].where(rows.index < 20)
    found = contrasts(rows, ["signal", "constant", "rare"], outcome="woke", stratum="month", draws=99)
    whole = contrasts(rows[~gaps], ["signal"], outcome="woke", stratum="month", draws=99)
    assert list(found["feature"]) == ["signal"]
    assert found["known_with"][0] == rows.loc[~gaps, "woke"].sum()
    assert found["auc"][0] == pytest.approx(whole["auc"][0])


def test_outcomes_are_zero_and_one():
    with pytest.raises(ValueError, match="must hold 0 and 1"):
        contrasts(people().assign(woke=1), ["signal"], outcome="woke", stratum="month")
