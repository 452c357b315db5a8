"""Images per second of a training step, beside PyTorch: python -m benchmarks.step

On fixed random images of 32 x 32 and a bank of `--rows` x 128, cases in turns:

- bare: forward, backward, optimiser and bank update in one `tf.function`;
- fit: steps of `AND.fit` on batches in memory, with metric, check for NaN and Keras's loop;
- fit, XLA and fit, bfloat16: the same with `jit_compile=True`, and with `mixed_bfloat16`;
- fit without oneDNN;
- PyTorch: benchmarks/peers/step.py, channels-last; and with `torch.compile`.

Each case lives in a process of its own: in one process the threads of TensorFlow and PyTorch
disturb each other. What callbacks and input add is measured by benchmarks/fit.py.
"""

import argparse
import functools
import statistics
from collections.abc import Callable

from benchmarks.case_process import CaseProcess
from benchmarks.timing import arguments, interleaved, show

PRODUCT = "product"
WITHOUT_ONEDNN = {"fit without oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"}}  # read at its import


def of_tensorflow(
    case: str, name: str, options: argparse.Namespace, **arguments: object
) -> Callable[[], object]:
    """A case in TensorFlow, made in the process in which this is called."""
    from benchmarks import step_cases

    return getattr(step_cases, case)(name, options, **arguments)


def of_pytorch(name: str, options: argparse.Namespace, is_compiled: bool) -> Callable[[], float]:
    """A case in PyTorch, made in the process in which this is called."""
    try:
        from benchmarks.peers.step import training_step
    except ImportError as error:
        raise SystemExit(
            "The comparison needs PyTorch: pip install -r requirements-bench.txt, or leave its "
            "cases out: --cases=bare/fit."
        ) from error
    return training_step(name, options.batch, options.rows, is_compiled)


# For each case, a function of encoder name and options that returns a function that does a step.
MAKERS: dict[str, Callable] = {
    "bare": functools.partial(of_tensorflow, "bare_step"),
    "fit": functools.partial(of_tensorflow, "fit_step"),
    "fit, XLA": functools.partial(of_tensorflow, "fit_step", jit_compile=True),
    "fit, bfloat16": functools.partial(of_tensorflow, "fit_step", policy="mixed_bfloat16"),
    "fit without oneDNN": functools.partial(of_tensorflow, "fit_step"),
    "PyTorch": functools.partial(of_pytorch, is_compiled=False),
    "PyTorch, compiled": functools.partial(of_pytorch, is_compiled=True),
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--encoders", default="alexnet,resnet_small,resnet18")
    parser.add_argument("--cases", default="/".join(MAKERS), help="separated by /")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rows", type=int, default=50_000, help="of the bank")
    parser.add_argument("--steps", type=int, default=2, help="in a measurement")
    options = parser.parse_args()
    rows, seconds = [], {}
    for name in options.encoders.split(","):
        seconds[name] = measure(name, options)
        rows += table(name, options, **seconds[name])
    title = f"Training step, batch {options.batch}, bank of {options.rows:,} x 128, float32"
    show(title, rows, options.json, seconds=seconds)


def measure(name: str, options: argparse.Namespace) -> dict:
    """Seconds per step and of the first call by case, and of a product of 2048 x 2048."""
    wanted = options.cases.split("/")
    if unknown := set(wanted) - set(MAKERS):
        raise SystemExit(f"Unknown cases: {', '.join(unknown)}. Known: {', '.join(MAKERS)}.")
    makers = {case: functools.partial(MAKERS[case], name, options) for case in wanted}
    makers[PRODUCT] = functools.partial(of_tensorflow, "product", name, options)
    cases = {
        case: CaseProcess(maker, WITHOUT_ONEDNN.get(case, {})) for case, maker in makers.items()
    }
    try:
        first = {case: process.first_call() for case, process in cases.items()}
        found = interleaved(
            {
                case: functools.partial(process, 1 if case == PRODUCT else options.steps)
                for case, process in cases.items()
            },
            options.repeats,
        )
    finally:
        for process in cases.values():
            process.end()
    product = found.pop(PRODUCT)
    steps = {case: [s / options.steps for s in values] for case, values in found.items()}
    return {"steps": steps, "first": first, "product": product}


def table(
    name: str, options: argparse.Namespace, steps: dict, first: dict, product: list[float]
) -> list[dict]:
    """A row per case; ratios are medians over the turns, each of which measured all cases."""
    from benchmarks.step_cases import gflop_of

    gflop = gflop_of(name, options.rows)
    peak = 2 * 2.048**3 / statistics.median(product)  # GFLOP/s
    rows = []
    for case, values in steps.items():
        rate = options.batch / statistics.median(values)
        rows.append(
            {
                "encoder": name,
                "case": case,
                "images/s": rate,
                "ms a step": 1000 * statistics.median(values),
                "of PyTorch's": _ratio(steps.get("PyTorch"), values),
                "over bare, %": _percent_over(values, steps.get("bare")),
                "first call, s": first.get(case, ""),
                "GFLOP an image": gflop,
                "of the machine's matmul, %": 100 * rate * gflop / peak,
            }
        )
    return rows


def _ratio(one: list[float] | None, other: list[float]) -> float | str:
    """Median over the turns of `one` divided by `other`."""
    if one is None:
        return ""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def _percent_over(values: list[float], base: list[float] | None) -> float | str:
    return "" if base is None else 100 * (_ratio(values, base) - 1)


if __name__ == "__main__":
    main()
