"""What each factor does, what compression takes, what safety costs, what was not to be seen."""
