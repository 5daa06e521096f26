"""What moola-losses takes and gives at its border, which is no more than two shapes of call.

A task loss takes ``(output, target, mask, weight)`` and gives a `moola_losses.protocol.LossSum`; a balancer
takes scalars by task name and gives a scalar. Both are tensors inside a step, so nothing here is a pydantic
model. Configurations of balancers stand beside their classes; `moola_losses.registry` finds them by kind.
"""
