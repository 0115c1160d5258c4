"""Models and decisions: a training set in; scorecards, segments, decisions and their evidence out."""

from strata.models.binning import BinnedFeature, Binning, fit_binning
from strata.models.scorecard import Scorecard, ScorecardSpec, fit_scorecard
from strata.models.validation import CrossValidation, PairedDifference, cross_validate, paired_difference

__all__ = [
    "BinnedFeature",
    "Binning",
    "CrossValidation",
    "PairedDifference",
    "Scorecard",
    "ScorecardSpec",
    "cross_validate",
    "fit_binning",
    "fit_scorecard",
    "paired_difference",
]
