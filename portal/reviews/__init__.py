"""The review database: queue, verdicts, agreement, known limitations, history and abuse."""
