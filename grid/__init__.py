"""When and where stages run: planning, fingerprints, the store, records, engines, commands."""
