"""`nnkit export RUN`: the network of a finished run as a file for other programs."""

from __future__ import annotations

import sys
from typing import Any

from nnkit.cli.messages import show_usage
from nnkit.cli.words import opened, read_command, run_folder
from nnkit.errors import ConfigError

USAGE = """\
usage: nnkit export RUN --format onnx|torch_export|safetensors [-o FILE] [--trust]

RUN is a run folder, a sweep folder (its best run), or last (the newest below outputs/ or output_dir=FOLDER).
Writes the best weights with a description of the preprocessing, and compares the file with PyTorch on real samples.
The file takes any batch size. Where sequences vary, or each step has an answer, recurrent networks take any number of
steps, too (model=cnn as many as the longest sequence of training); states start at zero.

  onnx          for onnxruntime and others; needs pip install 'nnkit[export]'
  torch_export  a .pt2 file that torch.export.load runs without nnkit
  safetensors   the weights by name
  -o, --output  the file (default: model.onnx, .pt2 or .safetensors in the run's folder)
  --trust       the run names code of its own, or has links out of its folder, and you trust it"""

SUFFIXES = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": ".safetensors"}


def command(argv: list[str]) -> int:
    """Export as the words say, and return the exit code."""
    if not argv or "--help" in argv or "-h" in argv:
        return show_usage(USAGE, argv)
    read = read_command(argv, command="export", flags=("trust",), valued=("format", "output"), short={"-o": "output"})
    if "format" not in read.values:
        raise ConfigError("export needs a format", hint=f"--format {'|'.join(SUFFIXES)}")
    kind: Any = read.choice("format", tuple(SUFFIXES), "onnx")
    (word,), output_dir = read.operands("export", "one run", 1, f"nnkit export last --format {kind}")
    folder = run_folder(word, output_dir, read.links)
    path = read.file(folder / f"model{SUFFIXES[kind]}", [SUFFIXES[kind]])
    if kind == "onnx":
        from nnkit.infer.formats import require_onnx

        require_onnx()
    run = opened(folder, read)
    from nnkit.infer.export import export
    from nnkit.storage import make_folder, write_bytes

    data, found, on = export(run, kind)
    make_folder(path.parent)
    write_bytes(path, data)
    print(
        f"{kind}: {len(data):,} bytes; parity with PyTorch on {on}: outputs differ by at most "
        f"{found.max_abs_difference:.2g} (relative {found.max_relative_difference:.2g}) in {found.runner}",
        file=sys.stderr,
    )
    print(path)
    return 0
