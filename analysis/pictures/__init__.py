"""Pictures: functions from what was analysed to plotly figures, and those as files."""
