"""Tests of one piece against the real thing on the other side of its wire."""
