"""Agents: a tenant's assistants, their conversations, and how a message becomes a reply."""
