"""Small studies that ship, so that analysis and notebooks work before any run."""

from importlib.resources import files

EXAMPLES = ("nano_seeds", "nano_mamba")


def example(name: str) -> str:
    """The folder of a study that ships, for `load_records`. Raises KeyError for another name."""
    if name not in EXAMPLES:
        raise KeyError(f"no example {name}; there are: {', '.join(EXAMPLES)}")
    return str(files(__name__) / name)
