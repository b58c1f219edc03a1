"""Repositories: the only places where rows become values and values become rows. Each works on a Session, on both databases."""
