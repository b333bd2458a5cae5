"""Pages and streams of the arena."""
