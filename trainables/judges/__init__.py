"""Judges: each reads an answer and says comply, refuse or incoherent."""
