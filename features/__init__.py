"""Feature definitions and the engine that computes them: DataFrame in, DataFrame out."""

from strata.features.asof import point_in_time_join
from strata.features.compute import compute
from strata.features.definitions import Entity, Feature, FeatureView, derived, state, windowed
from strata.features.inputs import FeatureError, FeatureTypeError, unusable_rows
from strata.features.leakage import LeakageReport, TableClock, leakage_check
from strata.features.statistics import feature_statistics, population_stability
from strata.features.store import FeatureStore, Manifest, TablePort
from strata.features.windows import windowed_aggregates

__all__ = [
    "Entity",
    "Feature",
    "FeatureError",
    "FeatureStore",
    "FeatureTypeError",
    "FeatureView",
    "LeakageReport",
    "Manifest",
    "TableClock",
    "TablePort",
    "compute",
    "derived",
    "feature_statistics",
    "leakage_check",
    "point_in_time_join",
    "population_stability",
    "state",
    "unusable_rows",
    "windowed",
    "windowed_aggregates",
]
