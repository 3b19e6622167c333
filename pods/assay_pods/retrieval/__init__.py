"""The capability retrieval: expansions, teacher and distilled student query encoders, next to everything that a user would pick instead."""
