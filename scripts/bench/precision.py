#!/usr/bin/env python3
"""bf16 with channels last against fp32, for the CNN of experiment=mnist_cnn: samples a second, and final accuracy.

Speed: both trained in turn for some epochs in one process, the median of the ratios pair by pair. Accuracy: the whole
experiment with each seed in both precisions (--epochs shortens it), and the paired difference. Needs NNKIT_DATA.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.machine import multiplies_bf16_in_tiles
from nnkit.run import train
from nnkit.runs import new_folder

WANTED = 1.4  # times the samples a second, where the processor has AMX
CLOSE = 0.1  # points of accuracy
PRECISIONS = ("fp32", "bf16")


def result(folder: Path, *words: str) -> tuple[float, float]:
    """Return samples a second, and the accuracy on the test set in percent."""
    config = check(compose(["experiment=mnist_cnn", f"output_dir={folder}", "trainer.plots=false", *words]))
    done = train(config, new_folder(config))
    return done.samples_per_second, 100 * done.metrics["test/accuracy"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of the speed, an epoch each")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--first", type=int, default=0, metavar="SEED", help="of them: the table can be printed in parts"
    )
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--limit", type=int, help="samples of each part, for a quick look")
    args = parser.parse_args()
    limit = [] if args.limit is None else [f"data.limit={args.limit}"]
    has_tiles = multiplies_bf16_in_tiles()
    with tempfile.TemporaryDirectory() as folder:
        speeds = {precision: [] for precision in PRECISIONS}
        for _ in range(args.rounds):
            for precision in PRECISIONS:
                words = (f"trainer.precision={precision}", "trainer.max_epochs=1", *limit)
                speeds[precision].append(result(Path(folder), *words)[0])
        fp32, bf16 = (statistics.median(speeds[precision]) for precision in PRECISIONS)
        ratio = statistics.median(b / a for a, b in zip(*(speeds[p] for p in PRECISIONS), strict=True))
        print(f"processor with AMX: {'yes' if has_tiles else 'no'}")
        print("| precision | samples a second |\n|---|---|")
        print(f"| fp32 | {fp32:,.0f} |\n| bf16, channels last | {bf16:,.0f} ({ratio:.2f} times) |", flush=True)
        print("\n| seed | fp32 | bf16 | difference |\n|---|---|---|---|", flush=True)
        differences = []
        for seed in range(args.first, args.first + args.seeds):
            words = (f"seed={seed}", f"trainer.max_epochs={args.epochs}", *limit)
            a, b = (result(Path(folder), f"trainer.precision={precision}", *words)[1] for precision in PRECISIONS)
            differences.append(b - a)
            print(f"| {seed} | {a:.2f} | {b:.2f} | {b - a:+.2f} |", flush=True)
        mean = statistics.fmean(differences)
        print(f"| mean | | | {mean:+.3f} |")
    return int((has_tiles and ratio < WANTED) or abs(mean) > CLOSE)


if __name__ == "__main__":
    sys.exit(main())
