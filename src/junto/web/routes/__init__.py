"""Endpoints of the control plane, a router each. Five to fifteen lines an endpoint: no query, no rule."""
