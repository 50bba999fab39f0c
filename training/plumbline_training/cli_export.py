"""Command line of plumbline-export."""

from __future__ import annotations

from pathlib import Path

from plumbline_contract.decode import DECODERS
from plumbline_training import evaluate, export
from plumbline_training.cli import dataset_list, dataset_parser, run_command
from plumbline_training.datasets import load_dataset
from plumbline_training.tasks import stage_predictor


def export_main() -> None:
    """Entry point of plumbline-export."""
    parser = dataset_parser(
        "plumbline-export",
        "Export a checkpoint to ONNX: measures AP of the torch form and parity of the ONNX form on the validation set.",
        "  plumbline-export --data data.yaml runs/edge_s/best.pt --out build/model.onnx",
    )
    parser.add_argument("checkpoint", type=Path, help="best.pt of a run")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL.onnx", help="file to write")
    parser.add_argument("--half", type=Path, metavar="FILE.pt", help="also keep float16 weights, to train on from")
    parser.add_argument(
        "--decode", choices=DECODERS, help="how heatmaps become keypoints, instead of the run's own way"
    )
    arguments = parser.parse_args()

    def main() -> None:
        net, config, _ = export.load_exportable(arguments.checkpoint, arguments.decode)
        dataset = load_dataset(dataset_list(arguments).validation)
        predictor = stage_predictor(net, config, config.final_stage)
        result = evaluate.evaluate(dataset, predictor)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        record = export.export(
            arguments.checkpoint, arguments.out, dataset, [result.record(predictor)], arguments.decode
        )
        if arguments.half is not None:
            export.export_half(arguments.checkpoint, arguments.half)
        parity = record.metrics.parity[0]
        print(
            f"{arguments.out}: {record.name} {record.input.height}x{record.input.width}, AP {result.ap:.3f} on "
            f"{result.persons} persons, parity torch -> ONNX {parity.heatmap_max_abs:.1e} on heatmaps"
        )

    run_command(main)
