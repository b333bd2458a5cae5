"""Conversations, generations and the token stream."""
