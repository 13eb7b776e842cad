"""Where a study's numbers come from: one table of cells, and what each answered."""
