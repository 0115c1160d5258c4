"""What a cluster is called: names and descriptions made from its centre by rules."""

from __future__ import annotations

from collections.abc import Sequence

_LEVELS = ((1.0, "very high"), (0.35, "high"), (-0.35, None), (-1.0, "low"))
_FIRST_PHRASES = 2


def phrases(centre: Sequence[float], words: Sequence[str]) -> list[tuple[int, str]]:
    """Feature number and phrase ("very high income"), farthest from the average first.

    ``centre`` is in standard deviations from the average of all: 1 and more is very high, 0.35 and more
    high, and so downwards; nearer to the average nothing is said.
    """
    order = sorted(range(len(centre)), key=lambda index: (-abs(centre[index]), index))
    told = [(index, _level(centre[index])) for index in order]
    return [(index, f"{level} {words[index]}") for index, level in told if level]


def names(centres: Sequence[Sequence[float]], words: Sequence[str]) -> list[str]:
    """One name for each cluster: its strongest two phrases, more where two clusters would share a name."""
    told = [[phrase for _, phrase in phrases(centre, words)] for centre in centres]
    lengths = [_FIRST_PHRASES] * len(centres)
    for _ in words:
        made = [_name(parts, length) for parts, length in zip(told, lengths)]
        lengths = [length + (made.count(name) > 1) for name, length in zip(made, lengths)]
    made = [_name(parts, length) for parts, length in zip(told, lengths)]
    return [f"{name} ({made[:number].count(name) + 1})" if made.count(name) > 1 else name
            for number, name in enumerate(made)]  # fmt: skip


def _name(parts: Sequence[str], length: int) -> str:
    return ", ".join(parts[:length]) or "average in everything"


def _level(deviation: float) -> str | None:
    for bound, level in _LEVELS:
        if deviation >= bound if bound > 0 else deviation > bound:
            return level
    return "very low"
