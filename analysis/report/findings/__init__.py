"""Findings: sentences that are made from the numbers, a module a question."""
