"""A network as a `torch.export` program, for windows of any number and, unless fixed, any length.

Torch unrolls an LSTM over the bars it is traced with, which fixes the length. So for free lengths the program
calls the LSTM as one operator of this package: import this module before running such a program, saved ones
included. With a fixed length the program holds nothing but torch's own operators.

B batch, K bars, F features, H hidden size, D directions, R width of a bar's state.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from moola_models.jade import Jade


@torch.library.custom_op("moola_models::lstm_layer", mutates_args=())
def lstm_layer(x_BKF: Tensor, w_DGF: Tensor, r_DGH: Tensor, b_DG: Tensor) -> Tensor:
    """One layer of an LSTM from zero states, with weights as ONNX lays them out.

    Args:
        x_BKF: Input.
        w_DGF: Input weights, G = 4H rows in the order input, output, forget and cell gate.
        r_DGH: Recurrent weights, in the same order.
        b_DG: Input biases, then recurrent ones, (D, 8H).

    Returns:
        States, (B, K, D * H).
    """
    directions, _, hidden = r_DGH.shape
    torch_order = [0, 2, 3, 1]
    weights: list[Tensor] = []
    for d in range(directions):
        for tensor in (w_DGF[d], r_DGH[d], *b_DG[d].chunk(2)):
            blocks = tensor.unflatten(0, (4, hidden))
            weights.append(blocks[torch_order].flatten(0, 1).contiguous())
    zeros = x_BKF.new_zeros(directions, len(x_BKF), hidden)
    states: Tensor = torch.lstm(x_BKF, (zeros, zeros), weights, True, 1, 0.0, False, directions == 2, True)[0]
    return states.contiguous()


@lstm_layer.register_fake
def _(x_BKF: Tensor, w_DGF: Tensor, r_DGH: Tensor, b_DG: Tensor) -> Tensor:
    return x_BKF.new_empty(x_BKF.shape[0], x_BKF.shape[1], r_DGH.shape[0] * r_DGH.shape[2])


class _Layers(nn.Module):
    """Stands in for an `nn.LSTM` in evaluation mode, layer by layer through `lstm_layer`."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.layers = lstm.num_layers
        directions = ["", "_reverse"] if lstm.bidirectional else [""]
        state = lstm.state_dict()
        for layer in range(lstm.num_layers):
            parts: dict[str, list[Tensor]] = {"w": [], "r": [], "b": []}
            for way in directions:
                ends = f"l{layer}{way}"
                parts["w"].append(_onnx_order(state[f"weight_ih_{ends}"]))
                parts["r"].append(_onnx_order(state[f"weight_hh_{ends}"]))
                biases = [_onnx_order(state[f"bias_{kind}_{ends}"]) for kind in ("ih", "hh")]
                parts["b"].append(torch.cat(biases))
            for name, tensors in parts.items():
                self.register_buffer(f"{name}{layer}", torch.stack(tensors))

    def forward(self, x_BKF: Tensor) -> tuple[Tensor]:
        for layer in range(self.layers):
            weights = (self.get_buffer(f"{name}{layer}") for name in "wrb")
            x_BKF = lstm_layer(x_BKF, *weights)
        return (x_BKF,)


class _Unrolled(nn.Module):
    """Stands in for an `nn.LSTM` in evaluation mode, which changes attributes of its own while traced."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.layers, self.both = lstm.num_layers, lstm.bidirectional
        self.hidden = lstm.hidden_size
        self.names = list(lstm.state_dict())
        for name, tensor in lstm.state_dict().items():
            self.register_buffer(name, tensor)

    def forward(self, x_BKF: Tensor) -> tuple[Tensor]:
        zeros = x_BKF.new_zeros(self.layers * (1 + self.both), x_BKF.shape[0], self.hidden)
        weights = [self.get_buffer(name) for name in self.names]
        return (
            torch.lstm(x_BKF, (zeros, zeros), weights, True, self.layers, 0.0, False, self.both, True)[0],
        )


class _Tuple(nn.Module):
    """Gives the outputs as a plain tuple: the class of a network's outputs is made at run time."""

    def __init__(self, model: Jade) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_BKF: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model(x_BKF))


def _onnx_order(rows: Tensor) -> Tensor:
    """Torch stacks input, forget, cell and output gate; ONNX input, output, forget and cell gate."""
    i, f, g, o = rows.detach().chunk(4)
    return torch.cat([i, o, f, g])


def export_program(model: Jade, *, bars: int | None = None) -> ExportedProgram:
    """Exports a network for deployment.

    Args:
        model: Exported as it is in evaluation mode, whatever mode it is in; it is not changed.
        bars: Bars of every window the program will get. None: any number of at least 2. Structured heads walk
            over the bars, so they need a number.

    Returns:
        A program from x (B, K, F), of the parameters' type and device, to the tuple of outputs in the order
        of `Jade.tasks`. Any B, of at least 1.

    Raises:
        ValueError: If `bars` is below 2, or is None and a head needs it.

    >>> from moola_models import JadeConfig
    >>> model = Jade(JadeConfig(input_size=5, hidden=4, projection=None, heads=("span",)))
    >>> program = export_program(model).module()
    >>> [tuple(program(torch.zeros(B, K, 5))[0].shape) for B, K in ((1, 7), (6, 105))]
    [(1, 7), (6, 105)]
    """
    if bars is not None and bars < 2:
        raise ValueError(f"bars: want 2 or more, got {bars}")
    twin = copy.deepcopy(model).eval().requires_grad_(False)
    shape: dict[int, Dim] = {0: Dim("batch")}
    if bars is None:
        shape[1] = Dim("bars", min=2)
    for name, module in list(twin.named_children()):
        if isinstance(module, nn.LSTM):
            setattr(twin, name, _Layers(module) if bars is None else _Unrolled(module))
    first = next(model.parameters())
    # Sizes 0 and 1 would be taken for constants.
    x_BKF = torch.zeros(3, bars or 11, model.config.input_size, dtype=first.dtype, device=first.device)
    try:
        return torch.export.export(_Tuple(twin), (x_BKF,), dynamic_shapes={"x_BKF": shape}, strict=False)
    except torch._dynamo.exc.UserError as error:
        if bars is not None:
            raise
        raise ValueError(
            f"bars: want a number, got None: a head of {list(model.tasks)} or the encoder fixes the length "
            f"({str(error).splitlines()[0]})"
        ) from error
