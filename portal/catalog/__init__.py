"""Model cards, their revisions, and variants: the runnable weights with facts read from them."""
