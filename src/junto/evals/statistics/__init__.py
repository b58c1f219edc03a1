"""Statistics of evidence: pure functions of counts, with no library behind them; what they promise is simulated in bench/evidence.

Owns intervals, posteriors and tests that stay true however often somebody looks. Must not read anything or decide anything.
"""

from junto.evals.statistics.intervals import Interval, mean_interval, rate_interval

__all__ = ["Interval", "mean_interval", "rate_interval"]
