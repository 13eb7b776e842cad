"""Compressions: each turns a dense model folder into the model that ships."""
