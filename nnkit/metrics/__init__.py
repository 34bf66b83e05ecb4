"""Metrics of the loop: sums that grow batch by batch on the device, and the values computed from them."""
