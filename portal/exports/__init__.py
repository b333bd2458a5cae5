"""Row builders and formats: judgements as data for research and training."""
