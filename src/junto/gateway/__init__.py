"""The walk of one request: admit, resolve, plan, attempt, answer, settle. Speaks to the edges through ports only."""
