"""Numerics of censored durations: arrays in, arrays out."""
