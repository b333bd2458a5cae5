"""Webhooks over REST: endpoints with their secrets, and the messages to them."""
