"""Comparisons and battles over REST."""
