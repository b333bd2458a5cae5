"""Conversations and generations over REST."""
