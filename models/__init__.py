"""Models and decisions: a training set in; scorecards, segments, decisions and their evidence out."""

from strata.models.binning.woe_binning import BinnedFeature, Binning, fit_binning
from strata.models.model_spec import Beside, ModelSpec, Outcome, Population, TimeSplit, Variant
from strata.models.scorecard.scorecard import Scorecard, ScorecardSpec, fit_scorecard
from strata.models.validation.cross_validation import (
    CrossValidation,
    PairedDifference,
    cross_validate,
    paired_difference,
)

__all__ = [
    "Beside",
    "BinnedFeature",
    "Binning",
    "CrossValidation",
    "ModelSpec",
    "Outcome",
    "PairedDifference",
    "Population",
    "Scorecard",
    "ScorecardSpec",
    "TimeSplit",
    "Variant",
    "cross_validate",
    "fit_binning",
    "fit_scorecard",
    "paired_difference",
]
