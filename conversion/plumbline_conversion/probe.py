"""Runs a TFLite file in whatever runtime this Python has: a program for environments that hold nothing else of ours.

Usage: python probe.py model.tflite INPUTS.npy|- OUTPUTS.npy|- . Prints a line of JSON:
runtime, partitions, operators. Needs numpy, and ai-edge-litert or tflite-runtime. Python 3.9 or newer.
"""

import json
import sys
from collections import Counter
from importlib import import_module
from importlib.metadata import version
from typing import Any

RUNTIMES = (("ai-edge-litert", "ai_edge_litert.interpreter"), ("tflite-runtime", "tflite_runtime.interpreter"))


def runtime() -> tuple[str, Any]:
    """(name and version, Interpreter) of the runtime that is installed."""
    for name, module in RUNTIMES:
        try:
            return f"{name} {version(name)}", import_module(module).Interpreter
        except ImportError:
            continue
    raise SystemExit("neither ai-edge-litert nor tflite-runtime is installed here")


def main(model: str, inputs: str, outputs: str) -> None:
    """Load the file, say what the runtime makes of it and, with inputs (N, 1, ...), write what it gives."""
    name, interpreter_class = runtime()
    interpreter = interpreter_class(model_path=model, num_threads=1)
    interpreter.allocate_tensors()
    operators = Counter(operator["op_name"] for operator in interpreter._get_ops_details())
    partitions = operators.pop("DELEGATE", 0) or operators.pop("TfLiteXNNPackDelegate", 0)
    if inputs != "-":
        import numpy as np

        source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
        results = []
        for tensor in np.load(inputs):
            interpreter.set_tensor(source, tensor)
            interpreter.invoke()
            results.append(interpreter.get_tensor(target))
        np.save(outputs, np.stack(results))
    sys.stdout.write(json.dumps({"runtime": name, "partitions": partitions, "operators": dict(operators)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
