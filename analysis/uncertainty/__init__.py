"""What other prompts and seeds would have shown."""
