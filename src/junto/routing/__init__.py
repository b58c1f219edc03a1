"""Pure decisions: from facts to a plan, from failures to the next step. No I/O, no clock, no randomness, no logging."""
