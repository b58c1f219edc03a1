"""The language of Junto: immutable values that every other folder speaks in. No I/O, no clock, no randomness."""
