"""The report: one HTML file that opens offline, with findings in words, pictures and all cells."""
