"""The OpenAI-compatible interface below `/v1/`: other programs' way to the playground's runs."""
