"""Running an installation: up, doctor, seed, health, the page frame around every app."""
