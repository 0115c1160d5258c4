"""Every table there is: those declared in conf, and those that feature views and model specs declare by being."""

from __future__ import annotations

from strata.conf.contracts import Table
from strata.conf.tables import ALL
from strata.features.contracts import feature_table
from strata.features.views import all_views
from strata.models.specs import loan_default

DERIVED: tuple[Table, ...] = (*(feature_table(view) for view in all_views()), loan_default.training_table())
TABLES: dict[str, Table] = {**ALL, **{table.name: table for table in DERIVED}}


def contract_of(name: str) -> Table:
    """The contract called ``name``; raises ``KeyError`` listing what there is."""
    if name not in TABLES:
        raise KeyError(f"no table contract called {name!r}; there are: {', '.join(sorted(TABLES))}")
    return TABLES[name]
