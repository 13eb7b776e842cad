"""What is swept: validated settings of every factor, the presets, and their expansion to cells."""
