"""Questionnaires and submissions: what people say about an answer."""
