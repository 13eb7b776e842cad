"""Evaluation: answers, verdicts, perplexity and efficiency of a model."""
