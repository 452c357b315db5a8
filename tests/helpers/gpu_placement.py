"""Which tensors of a graph a GPU would hand to the host, by TensorFlow's own list of kernels.

TensorFlow registers the kernels of GPUs on machines without one, too. An operation without a kernel
for its types runs on the host, and some kernels take or give tensors that lie there, such as all
arithmetic on int32. A tensor that goes from the device to the host is waited for: whatever was
given to the GPU before has to end first.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.python.framework import kernels

BY_REFERENCE = (tf.resource, tf.variant)


class Copy(NamedTuple):
    """A tensor that is copied to the host."""

    source: str
    consumer: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.source} ({self.dtype}) -> {self.consumer}"


def copies_to_host(step: Callable[..., Any], *specs: Any) -> list[Copy]:
    """Those of a function whose inputs come from the host, as from a pipeline.

    What the functions that it calls in turn are given counts as lying on the host.
    """
    graph = tf.function(step, autograph=False).get_concrete_function(*specs).graph
    captured = set(map(id, graph.internal_captures))
    return [
        copy
        for function in (graph, *_inner(graph))
        for copy in _copies(function, captured if function is graph else set())
    ]


def _inner(graph: tf.Graph) -> Iterator[tf.Graph]:
    """The functions that a graph calls, such as the branches of a condition."""
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

    for definition in graph.as_graph_def().library.function:
        yield function_def_to_graph(definition)


def _copies(graph: tf.Graph, captured: set[int]) -> Iterator[Copy]:
    constant: set[str] = set()  # TensorFlow folds what depends on constants alone
    for operation in graph.get_operations():
        if operation.type == "Const" or (
            operation.inputs and all(tensor.op.name in constant for tensor in operation.inputs)
        ):
            constant.add(operation.name)
        for place, tensor in enumerate(operation.inputs):
            source = tensor.op
            if tensor.dtype in BY_REFERENCE or source.name in constant:
                continue
            if source.type == "Placeholder":
                is_on_device = id(tensor) in captured and tensor.dtype != tf.int32
            else:
                is_on_device = not _is_on_host(source, tensor.value_index, is_input=False)
            if is_on_device and _is_on_host(operation, place, is_input=True):
                yield Copy(source.name, f"{operation.name} [{operation.type}]", tensor.dtype.name)


def _is_on_host(operation: tf.Operation, place: int, is_input: bool) -> bool:
    kernel = None if "CPU" in operation.device else _kernel_of(operation)
    if kernel is None:
        return True
    definition = operation.op_def
    arguments = definition.input_arg if is_input else definition.output_arg
    names = [name for argument in arguments for name in _names(operation, argument)]
    return names[place] in kernel.host_memory_arg


def _names(operation: tf.Operation, argument: Any) -> list[str]:
    """The name of an argument, once for each of its tensors."""
    if argument.number_attr:
        return [argument.name] * operation.get_attr(argument.number_attr)
    if argument.type_list_attr:
        return [argument.name] * len(operation.get_attr(argument.type_list_attr))
    return [argument.name]


def _kernel_of(operation: tf.Operation) -> Any:
    """What a GPU runs for an operation; None if there is nothing."""
    fitting = [kernel for kernel in _kernels(operation.type) if _fits(operation, kernel)]
    return max(
        fitting, key=lambda kernel: (kernel.device_type == "GPU", kernel.priority), default=None
    )


@functools.cache
def _kernels(operation_type: str) -> list[Any]:
    registered = kernels.get_registered_kernels_for_op(operation_type).kernel
    return [kernel for kernel in registered if kernel.device_type in ("GPU", "DEFAULT")]


def _fits(operation: tf.Operation, kernel: Any) -> bool:
    for constraint in kernel.constraint:
        given = operation.get_attr(constraint.name)
        types = given if isinstance(given, list) else [given]
        allowed = constraint.allowed_values.list.type
        if allowed and not all(tf.as_dtype(t).as_datatype_enum in allowed for t in types):
            return False
    return True
