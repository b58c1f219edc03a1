"""The gateways under the benchmark, one file each: how it is obtained, configured, started and called."""
