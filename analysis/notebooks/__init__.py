"""The notebooks, and how they become pages. They hold prose and calls; what they call is tested."""
