"""Tests of the pure decisions of routing."""
