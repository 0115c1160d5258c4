"""Models and decisions: a training set in; scorecards, segments, decisions and their evidence out."""

from strata.models.binning.woe_binning import BinnedFeature, Binning, fit_binning
from strata.models.loss.lgd_model import Lgd, LgdSpec, fit_lgd
from strata.models.marketing.assign_offers import Assignment, AssignmentError, assign_offers
from strata.models.model_spec import Beside, ModelSpec, Outcome, Population, TimeSplit, Variant
from strata.models.scorecard.scorecard import Scorecard, ScorecardSpec, fit_scorecard
from strata.models.uplift.qini import Qini, qini
from strata.models.uplift.uplift_model import Uplift, UpliftSpec, fit_uplift
from strata.models.validation.cross_validation import (
    CrossValidation,
    PairedDifference,
    cross_validate,
    paired_difference,
)

__all__ = [
    "Assignment",
    "AssignmentError",
    "Beside",
    "BinnedFeature",
    "Binning",
    "CrossValidation",
    "Lgd",
    "LgdSpec",
    "ModelSpec",
    "Outcome",
    "PairedDifference",
    "Population",
    "Qini",
    "Scorecard",
    "ScorecardSpec",
    "TimeSplit",
    "Uplift",
    "UpliftSpec",
    "Variant",
    "assign_offers",
    "cross_validate",
    "fit_binning",
    "fit_lgd",
    "fit_scorecard",
    "fit_uplift",
    "paired_difference",
    "qini",
]
