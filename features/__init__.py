"""Feature definitions and the engine that computes them: DataFrame in, DataFrame out."""

from strata.features.definitions.feature import Entity, Feature
from strata.features.definitions.items import derived, state, windowed
from strata.features.definitions.links import Link
from strata.features.definitions.view import FeatureView
from strata.features.engine.aggregates import EVER
from strata.features.engine.compute import compute
from strata.features.engine.inputs import FeatureError, FeatureTypeError, FeatureWarning, unusable_rows
from strata.features.engine.point_in_time import point_in_time_join
from strata.features.engine.windows import windowed_aggregates
from strata.features.governance.consent import ConsentPolicy, PurposeRule, consented
from strata.features.governance.leakage import LeakageReport, TableClock, leakage_check
from strata.features.governance.permissions import Consents
from strata.features.governance.proxies import proxy_report
from strata.features.governance.purposes import PURPOSES, STANDARD_POLICY
from strata.features.outcomes.performance_labels import LabelSpec, label, maturity
from strata.features.store.coverage import Begin, Coverage
from strata.features.store.feature_store import FeatureStore
from strata.features.store.manifest import Manifest
from strata.features.store.publishing import Published, SlicePort, TablePort
from strata.features.store.slice_plan import Build, Slice
from strata.features.store.statistics import feature_statistics, population_stability

__all__ = [
    "Begin",
    "Build",
    "ConsentPolicy",
    "Consents",
    "Coverage",
    "EVER",
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
