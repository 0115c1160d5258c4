"""A scorecard brought to the risk of another population: its points rescaled, its bins and scale kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from strata.models.evaluation.discrimination import calibration_line
from strata.models.evaluation.score_table import ScoreTable
from strata.models.scorecard.points_scale import Points
from strata.models.scorecard.scorecard import Scorecard


def recalibrated(card: Scorecard, table: ScoreTable, *, slope: bool = True) -> Scorecard:
    """``card`` with points whose ``probability`` is calibrated to ``table``.

    ``table`` is of this card's probabilities against outcomes in a later or another population. New log-odds
    of bad = intercept + slope · old ones, by maximum likelihood; ``slope=False`` moves the base points alone,
    so nobody's rank changes, and is the choice with few bads (under some hundred). A score means the same
    odds as before, grades are the same probabilities. Points stay whole: each bin's rounds by up to half a
    point. Coefficients and standard errors are scaled with the points; p-values, likelihood, bins and WOE
    stay those of the training, whose record gains ``recalibration_intercept`` and ``_slope`` (of all
    recalibrations together). Raises ``ValueError`` when ``table`` holds no probabilities, or the slope is not
    above 0: such a card ranks the wrong way and must be built anew.
    """
    intercept, steepness = calibration_line(table, slope=slope)
    if not steepness > 0:
        raise ValueError(f"table: the risk falls where the card says it rises (slope {steepness:.3g}); fit a new card")
    before = (card.training.get("recalibration_intercept", 0.0), card.training.get("recalibration_slope", 1.0))
    record = {
        "recalibration_intercept": intercept + steepness * before[0],
        "recalibration_slope": steepness * before[1],
    }
    return _moved(card, intercept, steepness, record)


def prior_corrected(card: Scorecard, bad_rate: float) -> Scorecard:
    """``card`` for a population with ``bad_rate``, when its training set drew goods and bads at different rates.

    The prior correction of King and Zeng, Political Analysis 9 (2001) 137-163: the intercept alone moves, by
    the log-odds of ``bad_rate`` minus those of the training set. It holds when the draw looked at nothing but
    the outcome; a population that differs otherwise needs ``recalibrated``. Raises ``ValueError`` unless
    ``bad_rate`` is between 0 and 1, and for a card that was corrected or recalibrated already.
    """
    if not 0 < bad_rate < 1:
        raise ValueError(f"bad_rate: {bad_rate!r} is not a share between 0 and 1")
    if done := {"prior_bad_rate", "recalibration_slope"} & set(card.training):
        raise ValueError(
            f"card: its probabilities were moved already ({min(done)}); correct the card as it was trained"
        )
    drawn = card.training["bad"] / card.training["good"]
    return _moved(card, math.log(bad_rate / (1 - bad_rate) / drawn), 1.0, {"prior_bad_rate": bad_rate})


def _moved(card: Scorecard, intercept: float, slope: float, record: Mapping[str, float]) -> Scorecard:
    """The card whose log-odds of bad are intercept + slope · those of ``card``."""
    scale = card.scale
    base = scale.offset + scale.points(intercept) + slope * (card.points.base - scale.offset)
    by_feature = {
        name: tuple(round(slope * value) for value in values) for name, values in card.points.by_feature.items()
    }
    scaled = {name: slope * value for name, value in card.coefficients.items()}
    return replace(
        card,
        points=Points(round(base), by_feature),
        coefficients=scaled | {"(intercept)": scaled["(intercept)"] + intercept},
        standard_errors={name: slope * value for name, value in card.standard_errors.items()},
        training={**card.training, **record},
    )
