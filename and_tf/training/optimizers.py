"""Stochastic gradient descent with PyTorch's arithmetic, which the authors' recipe assumes."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from and_tf.errors import Argument, UserError


@keras.saving.register_keras_serializable("and_tf")
class TorchSGD(keras.optimizers.Optimizer):
    """SGD whose momentum and weight decay follow `torch.optim.SGD`.

    d = gradient + weight_decay * w;  b = momentum * b + d  (b = d in the first step);
    w -= learning_rate * (d + momentum * b) with Nesterov momentum, else learning_rate * b.

    `keras.optimizers.SGD` differs in two ways: its velocity includes the learning rate, so a drop
    of the rate takes effect late, and its weight decay is decoupled from the gradient.

    Args:
        learning_rate: float or `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: in [0, 1).
        nesterov: whether to use Nesterov momentum; needs a momentum above 0.
        weight_decay: times the parameter, added to its gradient; includes biases and BatchNorm.

    Reference: torch.optim.SGD; Sutskever et al., ICML 2013.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        name: str = "torch_sgd",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        if not 0 <= momentum < 1:
            raise UserError(Argument("momentum", momentum), " must be from 0 to below 1.")
        if nesterov and momentum == 0:
            raise UserError(Argument("momentum", momentum), " must be above 0 with nesterov=True.")
        if weight_decay < 0:
            raise UserError(Argument("weight_decay", weight_decay), " must be at least 0.")
        self.momentum, self.nesterov = momentum, nesterov
        # Under the name `weight_decay` Keras would apply its own decoupled decay on top.
        self.coupled_weight_decay = weight_decay
        self._factors_by_id: dict[int, float] = {}

    def scale_rate(self, variables: Sequence[keras.Variable], factor: float) -> None:
        """Scales the learning rate of some variables; call this before the optimizer is built.

        The factor multiplies only the learning rate and affects momentum and weight decay only
        through it, as in a parameter group of `torch.optim.SGD`. `get_config` does not contain it.

        Args:
            variables: of the model.
            factor: for their learning rate.
        """
        self._factors_by_id |= {id(variable): factor for variable in variables}

    def forget(self, variables: Sequence[keras.Variable]) -> None:
        """Resets the momentum of some variables whose values were replaced."""
        for variable in variables:
            buffer = self.buffers[self._get_variable_index(variable)]
            buffer.assign(ops.zeros_like(buffer))

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self.buffers = self.add_optimizer_variables(variables, "buffer")
        self._factors = [self._factors_by_id.get(id(variable), 1.0) for variable in variables]

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Updates one parameter. The buffer starts at 0, so its first value is d, as in PyTorch."""
        learning_rate = ops.cast(learning_rate, variable.dtype)
        step = ops.cast(gradient, variable.dtype)
        if self.coupled_weight_decay:
            step = step + self.coupled_weight_decay * variable
        if self.momentum:
            buffer = self.buffers[self._get_variable_index(variable)]
            momentum = self.momentum * buffer + step
            self.assign(buffer, momentum)
            step = step + self.momentum * momentum if self.nesterov else momentum
        factor = self._factors[self._get_variable_index(variable)]
        if factor != 1:
            learning_rate = factor * learning_rate
        self.assign_sub(variable, learning_rate * step)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("weight_decay", None)
        return config | {
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "weight_decay": self.coupled_weight_decay,
        }
