"""The review pages, by what a person does there."""
