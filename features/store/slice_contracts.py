"""The contract of a view's snapshot table, from the view itself: what is defined once is declared once."""

from __future__ import annotations

from strata.conf.contracts import Column, Layer, Table, col
from strata.features.definitions.view import FeatureView


def feature_columns(view: FeatureView) -> tuple[Column, ...]:
    """One column a feature that the view offers, null where its window is empty."""
    return tuple(
        Column(
            name=feature.name,
            type=feature.published_type,
            description=feature.description,
            nullable=True,
            unit=feature.unit or None,
            personal=feature.personal,
        )
        for feature in view.features
    )


def feature_table(view: FeatureView) -> Table:
    """``feature_<entity>_<view>``: the entity's keys and ``as_of_date``, then the view's features.

    From version 2 on the name ends in ``_v<version>``: a new version is built beside the old one.
    """
    version = "" if view.version == 1 else f"_v{view.version}"
    keys = tuple(col(key, view.entity.key_type, f"the {view.entity.name}") for key in view.entity.keys)
    as_of = col("as_of_date", "date", "the bank day; only what was known by its first moment")
    return Table(
        name=f"feature_{view.entity.name}_{view.name}{version}",
        layer=Layer.FEATURES,
        grain=f"one row a {view.entity.name} and day",
        description=view.description,
        key=("as_of_date", *view.entity.keys),
        columns=(as_of, *keys, *feature_columns(view)),
        slice_by=("as_of_date",),
        owner=view.owner,
    )
