"""Which features a request means: names, patterns, and patterns of what a purpose may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from strata.features.definitions.feature import Feature
from strata.features.definitions.view import FeatureView
from strata.features.engine.inputs import FeatureError, FeatureTypeError

# "allowed:income_*" means the features that match income_* and that the purpose of the call may use.
ALLOWED = "allowed:"
_MOST_NAMES = 3
# Why a feature may not be used for a purpose, as a sentence; None when it may.
Refusal = Callable[[Feature, str], str | None]


def select_features(
    features: str | Sequence[str],
    views: Iterable[FeatureView],
    *,
    purpose: str | None = None,
    refusal: Refusal | None = None,
) -> list[Feature]:
    """The features that names or patterns mean, each once, in the order of the request and of the views.

    A pattern that begins with ``allowed:`` means those matching features that ``refusal`` has nothing against.
    Raises ``FeatureError`` when a pattern means nothing (with the nearest names) or needs a purpose
    and there is none; ``FeatureTypeError`` when the request is no text or list of texts. Reads no data.
    """
    offered = {feature.name: feature for view in views for feature in view.features}
    chosen: dict[str, Feature] = {}
    for pattern in _patterns(features):
        bare = pattern.removeprefix(ALLOWED)
        found = [feature for name, feature in offered.items() if fnmatchcase(name, bare)]
        if not found:
            raise FeatureError(
                f"features: nothing is called {bare!r}; {_nearest(bare, offered)}search() finds names by words"
            )
        if pattern.startswith(ALLOWED):
            found = _allowed(pattern, found, purpose, refusal)
        chosen.update((feature.name, feature) for feature in found)
    if not chosen:
        raise FeatureError("features: at least one name or pattern is expected")
    return list(chosen.values())


def select_views(views: str | Sequence[str], registered: Mapping[str, FeatureView]) -> list[FeatureView]:
    """The registered views that names or patterns mean; raises ``FeatureError`` when one means nothing."""
    chosen: dict[str, FeatureView] = {}
    for pattern in [views] if isinstance(views, str) else views:
        found = [name for name in registered if fnmatchcase(name, pattern)]
        if not found:
            raise FeatureError(f"views: nothing is called {pattern!r}; there are: {', '.join(registered)}")
        chosen.update((name, registered[name]) for name in found)
    return list(chosen.values())


def _patterns(features: str | Sequence[str]) -> list[str]:
    patterns = [features] if isinstance(features, str) else features
    if not isinstance(patterns, list | tuple) or not all(isinstance(pattern, str) for pattern in patterns):
        raise FeatureTypeError(f"features: a name, a pattern or a list of them is expected, not {features!r}")
    return list(patterns)


def _allowed(pattern: str, found: Sequence[Feature], purpose: str | None, refusal: Refusal | None) -> list[Feature]:
    if purpose is None or refusal is None:
        raise FeatureError(
            f"features: {pattern!r} means the features that a purpose may use, and no purpose was given; "
            f"pass purpose=, or leave {ALLOWED!r} out"
        )
    reasons = {feature.name: refusal(feature, purpose) for feature in found}
    usable = [feature for feature in found if reasons[feature.name] is None]
    if not usable:
        raise FeatureError(
            f"features: none of the {len(found)} features of {pattern!r} may be used for {purpose!r}; "
            f"the first reason is: {reasons[found[0].name]}"
        )
    return usable


def _nearest(pattern: str, offered: Mapping[str, Feature]) -> str:
    """The nearest names as the middle of a sentence; empty when none is near."""
    families = dict.fromkeys(f"{feature.view}_*" for feature in offered.values())
    near = get_close_matches(pattern, [*families, *offered], n=_MOST_NAMES)
    return f"the nearest are {', '.join(near)}; " if near else ""
