"""Engines that carry out a plan: in-process, and on Ray."""
