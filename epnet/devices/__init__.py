"""Simulated devices, each an `IDevice`: solar, battery, ev, load and grid."""
