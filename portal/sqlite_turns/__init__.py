"""Django's backend for SQLite, with writers that wait for their turn instead of looking for it."""
