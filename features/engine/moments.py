"""A moment that is an argument of a call and no column: until when facts are known, what time it is."""

from __future__ import annotations

from datetime import date
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from strata.features.engine.inputs import FeatureTypeError


def moment(argument: str, value: Any) -> Column:
    """A date (its midnight) or datetime as a timestamp; without a zone it is of the session's (the bank's) zone.

    Raises ``FeatureTypeError`` naming the argument on anything else.
    """
    if not isinstance(value, date):
        raise FeatureTypeError(f"{argument}: a date or datetime is expected, not {type(value).__name__}")
    # As text, since a literal made from a datetime without a zone would be read in the zone of the driver's machine.
    return F.lit(value.isoformat()).cast("timestamp")
