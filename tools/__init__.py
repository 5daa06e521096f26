"""The machinery of the house: what changed, what is built, how a package is released. Never shipped."""
