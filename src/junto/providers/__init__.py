"""Everything that speaks to a model's own server; the gateway reaches it through `ports.provider` only."""
