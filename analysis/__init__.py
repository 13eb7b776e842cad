"""So what: reads Parquet and answers. Imports neither torch nor ray."""
