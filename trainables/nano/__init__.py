"""The embedded default world: a tiny language model and its data, made from a seed."""
