"""What torchrun starts: `torchrun --nproc-per-node 4 -m plumbline_training …` is plumbline-train on four GPUs."""

from plumbline_training.cli import train_main

train_main()
