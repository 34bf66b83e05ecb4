"""nnkit's tests."""

from nnkit import machine

# A processor without fp16 converts back and forth: slow, but right, so that the gradient scaler is tried everywhere.
real_computes_fp16 = machine.computes_fp16
machine.computes_fp16 = lambda: True
