"""A scorecard as PMML 4.4 (Data Mining Group), for engines that score it without Strata.

One characteristic a feature, one attribute a bin: missing first, then special values, then bins from the
lowest (or groups of levels), and last what nothing else took. Reason codes are the features' names, ranked by
``pointsBelow``. Outputs: score, probability, grade, reason_1..n.

What a consumer must know:

- A feature with a reading (10.65% as 10.65) is a number here: PMML has no simple form for readings, so the texts are
  read before they go in.
- Numbers are doubles: a boolean goes in as 0 or 1. An infinite number falls in the first or the last bin.
- PMML knows no NaN. pmml4s takes it for missing, as we do; give other engines a missing value.
- Of equal losses PMML puts the characteristic that comes first first, as we do; pmml4s puts the last name.
  So a baseline is the best attainable points less a millionth for each characteristic up to it: no two losses
  are equal, and a loss of nothing is below nothing.
- Where fewer features lost points than reasons are wanted, pmml4s repeats the last one in the final outputs.
  So reason codes are inner outputs, which it leaves null, and the final ones refer to them.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence

from strata.models.binning.feature_bins import FeatureBins
from strata.models.binning.woe_binning import BinnedFeature
from strata.models.scorecard.points_scale import Points, Scale

NAMESPACE = "http://www.dmg.org/PMML-4_4"
STEP = 1e-6
# What XML 1.0 can't hold.
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Test = dict[str, str]


def scorecard_pmml(points: Points, features: Mapping[str, BinnedFeature], scale: Scale, reasons: int) -> str:
    """The document as text.

    Raises ``ValueError`` for a name or level with a character that XML can't hold, an infinite special value,
    and a feature that has the name of an output.
    """
    names = {"score", "probability", "grade", *_numbered("reason", reasons), *_numbered("code", reasons)}
    if taken := sorted(names & set(features)):
        raise ValueError(f"features: {taken[0]!r} is the name of an output; rename the feature")
    root = ET.Element("PMML", xmlns=NAMESPACE, version="4.4")
    ET.SubElement(ET.SubElement(root, "Header"), "Application", name="Strata")
    _dictionary(root, features)
    card = _card(root, points.base)
    schema = ET.SubElement(card, "MiningSchema")
    for name in features:
        ET.SubElement(schema, "MiningField", name=name)
    _outputs(card, scale, reasons)
    parts = ET.SubElement(card, "Characteristics")
    for turn, (name, binned) in enumerate(features.items(), start=1):
        _characteristic(parts, binned.bins, points.by_feature[name], points.best(name, binned) - turn * STEP)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _numbered(stem: str, count: int) -> list[str]:
    return [f"{stem}_{n}" for n in range(1, count + 1)]


def _dictionary(root: ET.Element, features: Mapping[str, BinnedFeature]) -> None:
    """No list of levels: it would make an unseen one invalid."""
    dictionary = ET.SubElement(root, "DataDictionary", numberOfFields=str(len(features)))
    for name, binned in features.items():
        number = binned.bins.kind == "number"
        optype, kind = ("continuous", "double") if number else ("categorical", "string")
        ET.SubElement(dictionary, "DataField", name=_text(name), optype=optype, dataType=kind)


def _card(root: ET.Element, base: int) -> ET.Element:
    return ET.SubElement(
        root,
        "Scorecard",
        modelName="scorecard",
        functionName="regression",
        initialScore=str(base),
        useReasonCodes="true",
        reasonCodeAlgorithm="pointsBelow",
        baselineMethod="other",
    )


def _characteristic(parent: ET.Element, bins: FeatureBins, points: Sequence[int], baseline: float) -> None:
    name = bins.feature
    part = ET.SubElement(parent, "Characteristic", name=name, reasonCode=name, baselineScore=repr(baseline))
    for code, tests in _attributes(bins):
        attribute = ET.SubElement(part, "Attribute", partialScore=str(points[code]))
        if not tests:
            ET.SubElement(attribute, "True")
        if len(tests) > 1:
            attribute = ET.SubElement(attribute, "CompoundPredicate", booleanOperator="or")
        for test in tests:
            ET.SubElement(attribute, "SimplePredicate", {"field": name, **test})


def _attributes(bins: FeatureBins) -> Iterator[tuple[int, list[Test]]]:
    """Codes with the tests of which one must hold; the first that holds decides, and no test takes the rest."""
    yield bins.missing, [{"operator": "isMissing"}]
    for i, special in enumerate(bins.specials):
        yield bins.ordinary + i, [_equal(special, bins.feature)]
    if bins.kind == "number":
        for i, edge in enumerate(bins.edges):
            yield i, [{"operator": "lessThan", "value": repr(edge)}]
        yield bins.ordinary - 1, []
        return
    for i, levels in enumerate(bins.groups):
        if levels:
            yield i, [_equal(level, bins.feature) for level in levels]
    yield bins.missing + 1 if bins.rest is None else bins.rest, []


def _equal(value: float | str, feature: str) -> Test:
    if isinstance(value, float) and math.isinf(value):
        raise ValueError(f"special_values: {value} of {feature!r} has no form in PMML that engines agree on")
    return {"operator": "equal", "value": _text(value) if isinstance(value, str) else repr(value)}


def _outputs(card: ET.Element, scale: Scale, reasons: int) -> None:
    output = ET.SubElement(card, "Output")
    ET.SubElement(output, "OutputField", name="score", optype="continuous", dataType="double", feature="predictedValue")
    _probability(_transformed(output, "probability", "continuous", "double"), scale)
    _grade(_transformed(output, "grade", "categorical", "string"), scale)
    for n, code in enumerate(_numbered("code", reasons), start=1):
        named = {"name": code, "optype": "categorical", "dataType": "string"}
        ET.SubElement(output, "OutputField", named, feature="reasonCode", rank=str(n), isFinalResult="false")
        _field(_transformed(output, f"reason_{n}", "categorical", "string"), code)


def _transformed(output: ET.Element, name: str, optype: str, kind: str) -> ET.Element:
    named = {"name": name, "optype": optype, "dataType": kind, "feature": "transformedValue"}
    return ET.SubElement(output, "OutputField", named)


def _probability(output: ET.Element, scale: Scale) -> None:
    """1 / (1 + exp((score - offset) / factor))."""
    risk = _apply(output, "/")
    _constant(risk, 1.0)
    odds = _apply(risk, "+")
    _constant(odds, 1.0)
    log_odds = _apply(_apply(odds, "exp"), "/")
    above = _apply(log_odds, "-")
    _field(above, "score")
    _constant(above, scale.offset)
    _constant(log_odds, scale.factor)


def _grade(output: ET.Element, scale: Scale) -> None:
    """The first grade whose floor the score reaches, as one ``if`` inside another."""
    *others, (last, _) = scale.grades
    for (name, _), floor in zip(others, scale.floors, strict=True):
        output = _apply(output, "if")
        reaches = _apply(output, "greaterOrEqual")
        _field(reaches, "score")
        _constant(reaches, floor)
        _constant(output, name)
    _constant(output, last)


def _apply(parent: ET.Element, function: str) -> ET.Element:
    return ET.SubElement(parent, "Apply", function=function)


def _field(parent: ET.Element, name: str) -> None:
    ET.SubElement(parent, "FieldRef", field=name)


def _constant(parent: ET.Element, value: float | str) -> None:
    text, kind = (_text(value), "string") if isinstance(value, str) else (repr(value), "double")
    ET.SubElement(parent, "Constant", dataType=kind).text = text


def _text(value: str) -> str:
    if found := UNWRITABLE.search(value):
        raise ValueError(f"{value!r} has the character {found.group()!r}, which XML can't hold; rename it")
    return value
