"""Pareto fronts, and how sure they are."""
