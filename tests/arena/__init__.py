"""Side by side, battles, votes and the ranking."""
