"""Who somebody is: people, anonymous visitors, roles, API tokens, limits."""
