"""How a stage does its work: one file a method, one verb a kind. Nothing here imports ray."""
