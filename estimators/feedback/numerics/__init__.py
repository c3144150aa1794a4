"""Losses of clicks and their solvers: arrays in, arrays out."""
