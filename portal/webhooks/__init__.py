"""Webhooks: what moves here is told to other systems, signed, at least once."""
