"""Command line of plumbline-predict."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plumbline_training.cli import run_command
from plumbline_training.models import load_predictor
from plumbline_training.photographs import OVERLAYS_FOLDER, RESULTS_FILE, annotate, load_boxes, photographs_in


def predict_main() -> None:
    """Entry point of plumbline-predict."""
    parser = argparse.ArgumentParser(
        prog="plumbline-predict",
        description="Find keypoints in a folder of photographs: overlays to look at, and one COCO keypoint file.",
        epilog="examples:\n"
        "  plumbline-predict holiday/ --model models/hrnet-edge-s --out found/\n"
        "  plumbline-predict gym/ --model runs/w32/best.pt --flip --boxes boxes.json --out found/\n\n"
        'boxes.json says where the people are, in pixels: {"photo.jpg": [[left, top, width, height], …]},\n'
        "or is a COCO annotation file, such as a detector's or an earlier run's keypoints.json.\n"
        "Without it each photograph is searched for one person: a look at the whole, then two from close by.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="photographs")
    parser.add_argument("--model", type=Path, required=True, help=".pt, .onnx, bundle folder, peer's .tflite")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--boxes", type=Path, metavar="FILE", help="where the people are")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored crop: better, at twice the time")
    parser.add_argument("--min-score", type=float, default=0.3, help="least score that is drawn (default 0.3)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args()

    def main() -> None:
        photographs_in(arguments.folder, arguments.out)
        boxes = None if arguments.boxes is None else load_boxes(arguments.boxes)
        predictor = load_predictor(arguments.model, arguments.flip)
        done = annotate(arguments.folder, arguments.out, predictor, boxes, arguments.min_score, arguments.quiet)
        print(f"{done.pictures} photographs: {arguments.out / RESULTS_FILE}, {arguments.out / OVERLAYS_FOLDER}/")
        if done.uncertain:
            print(f"{len(done.uncertain)} with nobody sure enough, first {done.uncertain[0]!r}")
        if done.unreadable:
            print(f"error: {len(done.unreadable)} cannot be decoded: {', '.join(done.unreadable)}", file=sys.stderr)
            sys.exit(1)

    run_command(main, "stopped; overlays made so far are kept")
