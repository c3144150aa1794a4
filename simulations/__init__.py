"""Simulation generators with known truth."""

from .dsl import make_egami2024

__all__ = ["make_egami2024"]
