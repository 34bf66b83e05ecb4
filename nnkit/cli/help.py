"""`nnkit train --help`, made from the config files themselves."""

from __future__ import annotations

from nnkit.config.options import find_groups, search_dirs

MOST_USED = (
    ("model.hidden=[256,128]", "widths of the hidden layers (model=mlp); quote it in zsh"),
    ("optimizer.lr=3e-3", "learning rate"),
    ("batching.batch_size=128", "samples a step, or full"),
    ("trainer.max_epochs=50", "longest training"),
    ("trainer.patience=10", "validations without improvement until it stops early; null: never"),
    ("regularization.dropout=0.3", "also l1, l2, max_norm"),
    ("optimizer.weight_decay=0.01", "decoupled weight decay"),
    ("data.path=my.csv", "with data=table data.target=COLUMN; nnkit data my.csv shows what is in it"),
    ("data.path=photos", "with data=images: a folder for each class"),
    ("data.limit=1000", "fewer samples, for a quick look"),
    ("trainer.device=cuda", "auto, cpu, cuda, mps"),
    ("seed=1", "of everything but the splits (data.split_seed)"),
    ("output_dir=runs name=first", "where the run folder goes"),
)

FLAGS = (
    ("-m", "sweep: every combination of the values listed with commas"),
    ("--dry-run", "check, load, build, one batch; print layers, shapes, parameters, memory"),
    ("--cfg job", "print the composed config, not checked, and stop"),
    ("--info [all|config|defaults|…]", "what Hydra knows: search path, defaults, plugins"),
    ("--config-dir FOLDER", "more options beside nnkit's own and ./configs"),
    ("--config-name NAME", "another primary config"),
    ("--debug", "show tracebacks"),
    ("--trust", "allow configs that run code"),
)


def train_help() -> str:
    """Return the help text of `nnkit train`."""
    groups = find_groups(search_dirs())
    lines = [
        "usage: nnkit train [my.yaml] [group=option ...] [section.setting=value ...] [flags]",
        "",
        "groups and their options:",
    ]
    for group, options in sorted(groups.items()):
        if "/" not in group:
            lines.append(f"  {group:<15}{', '.join(sorted(options))}")
    lines += ["", "most used settings (nnkit list GROUP/OPTION shows all with their defaults):"]
    lines += [f"  {word:<29}{text}" for word, text in MOST_USED]
    lines += ["", "flags:", *(f"  {flag:<32}{text}" for flag, text in FLAGS)]
    return "\n".join(lines)
