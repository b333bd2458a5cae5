"""Answers beside each other: named comparisons, blind battles, their votes, and the ranking made of them."""
