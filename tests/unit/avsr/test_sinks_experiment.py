from pathlib import Path

import pytest

from avsr.errors import UsageError
from avsr.sinks.experiment import learning_rate, load_experiment

DEFINITION = Path(__file__).parents[3] / "recipes" / "grid" / "sinks" / "experiment.yaml"


@pytest.mark.parametrize("scale", ["miniature", "lrs3"])
def test_the_definition_covers_what_was_asked_for(scale):
    experiment = load_experiment(DEFINITION, scale)
    assert set(experiment.rate_pairs) >= {(4, 2), (16, 5), (32, 10)}
    assert set(experiment.modalities) == {"av", "video"}
    sweep = {c.weight for c in experiment.cells if c.training == "matryoshka" and not c.layer_norm}
    assert sweep == {0, 1, 10, 100, 10000}
    names = [cell.name for cell in experiment.cells]
    assert len(set(names)) == len(names)
    for training in ("matryoshka", "fixed"):
        for norm in (False, True):
            for decorrelated in (False, True):
                found = [
                    c for c in experiment.cells
                    if (c.training, c.layer_norm, c.weight > 0) == (training, norm, decorrelated)
                ]  # fmt: skip
                assert {c.seed for c in found} >= {0, 1, 2}


def test_names_and_pairs():
    cells = {cell.name: cell for cell in load_experiment(DEFINITION, "miniature").cells}
    assert cells["fixed-a16v5-w100-norm-s1"].rate_pairs == ((16, 5),)
    assert cells["matryoshka-w10000-s0"].weight == 10000
    assert not cells["matryoshka-w0-nobos-s2"].bos


def test_mistakes_in_a_definition(tmp_path):
    with pytest.raises(UsageError, match="no block"):
        load_experiment(DEFINITION, "huge")
    with pytest.raises(UsageError, match="cannot read"):
        load_experiment(tmp_path / "none.yaml", "lrs3")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(DEFINITION.read_text().replace("training:", "trainings:"))
    with pytest.raises(UsageError, match="trainings"):
        load_experiment(wrong, "lrs3")


def test_the_learning_rate_rises_and_falls_to_nothing():
    rates = [learning_rate(step, 20, 2.0) for step in range(21)]
    assert rates[0] == 1.0  # half of the peak: two of twenty steps rise
    assert rates[1:] == pytest.approx([2.0 * (1 - step / 20) for step in range(1, 21)])
    assert learning_rate(0, 1, 2.0) == 2.0  # a run too short to rise
