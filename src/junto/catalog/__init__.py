"""Backends, deployments, groups, prices: the immutable snapshot of what can answer, which a reload swaps whole."""
