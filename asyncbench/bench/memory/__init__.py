"""Memory while cells run: admission before each of them, the governor beside it."""
