"""Starting TensorFlow and Keras in a new process: python -m benchmarks.program_start"""

import functools
import subprocess
import sys

from benchmarks.timing import arguments, interleaved, medians, show

CASES = {
    "`import tensorflow, keras`": "import and_tf, tensorflow as tf, keras; tf.zeros(())",
    "a program of and_tf": (
        "from and_tf.cli.tensorflow_start import start_tensorflow; start_tensorflow()"
    ),
}


def main() -> None:
    options = arguments(__doc__ or "").parse_args()
    cases = {name: functools.partial(_run, code) for name, code in CASES.items()}
    seconds = medians(interleaved(cases, options.repeats))
    plain, *_ = seconds.values()
    rows = [
        {"start": name, "seconds": f"{median:.2f}", "of the plain import": f"{median / plain:.2f}"}
        for name, median in seconds.items()
    ]
    show("TensorFlow and Keras loaded in a new process", rows, options.json)


def _run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
