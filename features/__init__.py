"""Feature definitions and the engine that computes them: DataFrame in, DataFrame out."""

from strata.features.asof import point_in_time_join
from strata.features.compute import compute
from strata.features.consent import ConsentPolicy, PurposeRule, consented
from strata.features.coverage import Begin, Coverage
from strata.features.definitions import Entity, Feature, FeatureView, derived, state, windowed
from strata.features.inputs import FeatureError, FeatureTypeError, FeatureWarning, unusable_rows
from strata.features.labels import LabelSpec, label, maturity
from strata.features.leakage import LeakageReport, TableClock, leakage_check
from strata.features.links import Link
from strata.features.manifest import Manifest
from strata.features.materialize import Build, Slice
from strata.features.permissions import Consents
from strata.features.proxies import proxy_report
from strata.features.publishing import Published, SlicePort, TablePort
from strata.features.purposes import PURPOSES, STANDARD_POLICY
from strata.features.statistics import feature_statistics, population_stability
from strata.features.store import FeatureStore
from strata.features.windows import windowed_aggregates

__all__ = [
    "Begin",
    "Build",
    "ConsentPolicy",
    "Consents",
    "Coverage",
    "Entity",
    "Feature",
    "FeatureError",
    "FeatureStore",
    "FeatureTypeError",
    "FeatureView",
    "FeatureWarning",
    "PURPOSES",
    "STANDARD_POLICY",
    "LabelSpec",
    "LeakageReport",
    "Link",
    "Manifest",
    "Published",
    "PurposeRule",
    "Slice",
    "SlicePort",
    "TableClock",
    "TablePort",
    "compute",
    "consented",
    "derived",
    "feature_statistics",
    "label",
    "leakage_check",
    "maturity",
    "point_in_time_join",
    "population_stability",
    "proxy_report",
    "state",
    "unusable_rows",
    "windowed",
    "windowed_aggregates",
]
