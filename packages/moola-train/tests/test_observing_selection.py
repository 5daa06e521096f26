"""A selection may look on while the inner part is evaluated, instead of going through it once more."""

import torch

from moola_train import fit


class SizeError:
    """Mean absolute error of the head `size` over what the evaluation showed."""

    def __init__(self):
        self.seen = []

    def observe(self, outputs, batch):
        assert not torch.is_grad_enabled()
        mask = batch.masks["size"]
        self.seen.append((outputs["size"] - batch.targets["size"])[mask].abs())

    def __call__(self, model, split):
        seen, self.seen = torch.cat(self.seen), []
        return {"size_error": float(seen.double().mean())}


def by_a_pass_of_its_own(data):
    rows = (data.split == 1).nonzero().flatten()

    def select(model, split):
        batch = data.batch(rows)
        mask = batch.masks["size"]
        error = (model(batch.inputs)["size"] - batch.targets["size"])[mask].abs()
        return {"size_error": float(error.double().mean())}

    return select


def test_it_sees_every_inner_example_in_order_and_judges_as_one_with_its_own_pass(small):
    data = small.data()
    config = small.config(selection="size_error", evaluation_batch_size=14)
    found = []
    for select in (SizeError(), by_a_pass_of_its_own(data)):
        result = fit(small.model(), data, small.tasks, None, config, select=select)
        found.append(([r.value for r in result.records if r.name == "size_error"], result.best_epoch))
    assert found[0] == found[1]
    assert len(found[0][0]) == 4


def test_passes_through_the_model_are_those_of_the_evaluation_alone(small):
    model, data = small.model(), small.data()
    passes = []
    model.register_forward_hook(lambda *_: passes.append(model.training))
    config = small.config(epochs=1, selection="size_error", evaluation_batch_size=5)
    fit(model, data, small.tasks, None, config, select=SizeError())
    assert passes.count(False) == 3  # 14 inner examples, 5 at a time
