"""Policies: the right version on a day, and no version that contradicts itself."""

from datetime import date

import pytest
import yaml

from strata.conf.policies import PolicyError, load_policies


@pytest.fixture
def document():
    return {"policies": [policy.model_dump() for policy in load_policies().policies]}


def load(tmp_path, document):
    path = tmp_path / "policy.yml"
    path.write_text(yaml.safe_dump(yaml.safe_load(yaml.dump(_plain(document)))))
    return load_policies(str(path))


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def test_decision_policy_in_force_is_the_last_started(tmp_path, document):
    first = document["policies"][0]
    document["policies"].append({**first, "version": "1997-1", "effective_from": date(1997, 1, 1)})
    policies = load(tmp_path, document)
    assert policies.at(date(1996, 12, 31)).version == "1993-1"
    assert policies.at(date(1997, 1, 1)).version == "1997-1"
    with pytest.raises(PolicyError, match="no policy is in force on 1992-12-31; the first starts on 1993-01-01"):
        policies.at(date(1992, 12, 31))


def set_at(document, path, value):
    *way, last = path
    for part in ["policies", 0, *way]:
        document = list(document)[part] if isinstance(part, int) else document[part]
    document[last] = value


BAND = {"band": "A", "below": 0.3, "probability": 0.1}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("credit", "cut_offs", "refer_from"), 0.3, "refer_from lies above decline_from"),
        (("credit", "affordability", "refer_above"), 0.7, "refer_above lies above decline_above"),
        (("credit", "price", "lowest_rate"), 0.3, "lowest_rate lies above highest_rate"),
        (("credit", "price", "bands"), [{**BAND, "below": 0.2}], "some risks have no price"),
        (("credit", "price", "bands"), [{**BAND, "probability": 0.3}], "outside of itself"),
        (("credit", "price", "bands"), [BAND, {**BAND, "below": 0.4}], "outside of itself"),
        (("credit", "price", "surcharge"), 1, "surcharge"),
        (("credit", "rules", 0, "limit"), None, "rule R01: the test 'below' needs a limit"),
        (("credit", "rules", 4, "limit"), 1.0, "rule H01: the test 'not_true' takes no limit"),
        (("credit", "rules", 0, "code"), "S01", "the code S01 stands twice"),
        (("tiers", "value", 2, "top_share"), 0.9, "must rise and end at 1"),
        (("tiers", "risk", 2, "below"), 0.9, "the last tier must have none"),
        (("tiers", "risk", 0, "below"), 0.2, "the bounds of risk must rise"),
        (("tiers", "treatments", "low"), {"low": "nothing"}, "the treatment of low x high is missing"),
        (("rfm", "segments", 6, "monetary"), [1, 2], "it must take whoever is left"),
    ],
)
def test_decision_policy_refuses_contradictions(tmp_path, document, path, value, words):
    document = _plain(document)
    set_at(document, path, value)
    with pytest.raises(PolicyError, match=words):
        load(tmp_path, document)


def test_decision_policy_file_is_named_when_unreadable(tmp_path, document):
    with pytest.raises(PolicyError, match="nowhere.yml: no such policy file"):
        load_policies(str(tmp_path / "nowhere.yml"))
    broken = tmp_path / "broken.yml"
    broken.write_text("policies: [")
    with pytest.raises(PolicyError, match="broken.yml: this is not YAML"):
        load_policies(str(broken))
    document["policies"] *= 2
    with pytest.raises(PolicyError, match="effective_from must rise"):
        load(tmp_path, document)
