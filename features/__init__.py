"""Feature definitions and the engine that computes them: DataFrame in, DataFrame out."""

from strata.features.asof import point_in_time_join
from strata.features.inputs import FeatureError, FeatureTypeError, unusable_rows
from strata.features.windows import windowed_aggregates

__all__ = ["FeatureError", "FeatureTypeError", "point_in_time_join", "unusable_rows", "windowed_aggregates"]
