"""The simulated backend: a device on Trio's clock, for tests, demonstrations and dry planning."""
