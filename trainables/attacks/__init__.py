"""Attacks: each turns a checkpoint into another by fine-tuning it."""
