"""What the playground's templates say about a run."""
