"""The ranking of links against SciPy's bounded maximum, its drawing of rare links, and what it refuses."""

import numpy as np
import pytest
from scipy.optimize import minimize

from strata.models.referrals.link_ranking import fit_link_ranking, fit_rows

pytestmark = pytest.mark.oracle

FEATURES = ("common", "twin", "walk", "harm", "degree", "still")
FREE = ("degree",)


def pairs_of(seed, rows=3000):
    """Counts and a probability that tell of a link, a twin, one that speaks against it and one that never moves."""
    rng = np.random.default_rng(seed)
    common, walk = rng.poisson(1.5, rows).astype(float), rng.beta(0.5, 20, rows)
    twin = common + rng.poisson(0.2, rows)
    harm, degree = rng.poisson(2, rows).astype(float), rng.poisson(9, rows).astype(float)
    logit = -2.5 + 0.8 * np.log1p(common) + 9 * walk - 0.5 * np.log1p(harm) - 1.5 * np.log1p(degree / 9)
    link = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    return np.column_stack([common, twin, walk, harm, degree, np.full(rows, 4.0)]), link


def bounded(x, link, weight, penalty):
    """Coefficients of the same problem by SciPy: those that are not free from 0."""
    units = np.array([np.median(part[part > 0]) for part in x.T])
    logs = np.log1p(x / units)
    means = np.average(logs, axis=0, weights=weight)
    spread = np.sqrt(np.average((logs - means) ** 2, axis=0, weights=weight))
    scaled = (logs - means)[:, :5] / spread[:5]

    def loss(beta):
        odds = beta[0] + scaled @ beta[1:]
        value = weight @ (np.logaddexp(0, odds) - link * odds) + penalty * (beta[1:] @ beta[1:]) / 2
        error = weight * (1 / (1 + np.exp(-odds)) - link)
        return value, np.concatenate([[error.sum()], scaled.T @ error + penalty * beta[1:]])

    limits = [(None, None)] + [(None if name in FREE else 0.0, None) for name in FEATURES[:5]]
    found = minimize(loss, np.zeros(6), jac=True, bounds=limits, method="L-BFGS-B", options={"ftol": 1e-14})
    return found.x


@pytest.mark.parametrize("penalty", [0.0, 1.0, 30.0])
def test_coefficients_are_the_bounded_maximum(penalty):
    for seed in range(4):
        x, link = pairs_of(seed)
        weight = np.random.default_rng(seed).integers(1, 4, len(link)).astype(float)
        ranking = fit_rows(x, link, weight, FEATURES, FREE, penalty)
        expected = bounded(x, link, weight, penalty)
        assert [ranking.intercept, *ranking.coefficients[:5]] == pytest.approx(expected, abs=2e-4)
        assert ranking.coefficients[3] == 0 and np.isnan(ranking.standard_errors[3])
        assert ranking.coefficients[5] == 0 and ranking.coefficients[4] < 0 < ranking.coefficients[0]
        assert (ranking.pairs, ranking.links) == (weight.sum(), weight @ link)
        table = ranking.table()
        assert list(table.columns) == ["coefficient", "standard_error", "p_value"] and len(table) == 6
        assert table.loc["walk", "p_value"] < 0.01 and table.loc["harm", "p_value"] == 1


def test_standard_errors_are_those_of_draws():
    found = [fit_rows(*pairs_of(seed), np.ones(3000), FEATURES, FREE, 0.0) for seed in range(120)]
    spread = np.std([f.coefficients[2] for f in found])
    assert np.mean([f.standard_errors[2] for f in found]) == pytest.approx(spread, rel=0.2)


def frame_of(spark, x, link):
    rows = [(n, n % 7, *map(float, values), int(y)) for n, (values, y) in enumerate(zip(x, link))]
    return spark.createDataFrame(rows, ["a", "b", *FEATURES, "link"])


def test_frames(spark):
    x, link = pairs_of(1)
    x[:40, 0] = 0
    pairs = frame_of(spark, x, link).selectExpr(
        "a", "b", "CASE WHEN common > 0 THEN common END AS common", *FEATURES[1:], "link"
    )
    key = {"target": "link", "features": FEATURES, "key": ("a", "b"), "free": FREE}
    ranking = fit_link_ranking(pairs, **key)
    whole = fit_rows(x, link, np.ones(len(link)), FEATURES, FREE, 1.0)
    assert ranking.coefficients == pytest.approx(whole.coefficients)
    scored = ranking.score(pairs).orderBy("a").toPandas()["link_probability"].to_numpy()
    odds = whole.intercept + ((np.log1p(x / whole.units) - whole.means) / whole.spreads) @ whole.coefficients
    assert scored == pytest.approx(1 / (1 + np.exp(-odds)))
    # A tenth of the pairs without a link tell nearly the same, and probabilities stay those of all pairs.
    few = fit_link_ranking(pairs, **key, most=int(link.sum()))
    assert few.pairs == len(link) and few.links == link.sum()
    assert few.coefficients == pytest.approx(whole.coefficients, abs=0.25)
    mean = few.score(pairs).agg({"link_probability": "avg"}).first()[0]
    assert mean == pytest.approx(link.mean(), rel=0.2)


def test_what_is_refused(spark):
    x, link = pairs_of(2, rows=50)
    pairs = frame_of(spark, x, link)
    key = {"target": "link", "features": FEATURES, "key": ("a", "b")}
    for frame, changed, message in (
        (pairs.drop("walk"), {}, "walk"),
        (pairs, {"free": ("age",)}, "free: 'age' is none of the features"),
        (pairs.where("link = 0"), {}, "target: there must be pairs that became links"),
        (pairs.selectExpr("*", "link + 1 AS more"), {"target": "more"}, "target: 'more' is null or not 0/1 in"),
        (pairs.withColumn("twin", -pairs["twin"]), {}, "features: 'twin' is negative, NaN or infinite in"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_link_ranking(frame, **{**key, **changed})
