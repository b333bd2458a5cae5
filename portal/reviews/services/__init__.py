"""What changes the review database, by verb: entering, claiming, judging, many at once, known limitations, abuse."""
