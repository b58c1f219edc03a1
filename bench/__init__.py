"""The benchmark: Junto beside other gateways in front of one mock upstream, as ratios.

It measures and reports; it never asserts a time. Run it with `python -m bench --help`.
"""
