"""Puts data into a page: as JSON that cannot end its script, plain or compressed."""

import base64
import gzip
import hashlib
import json
from typing import Any

_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def json_text(value: Any) -> str:
    """JSON without any letter that means something to HTML, or ends a line only to JavaScript.

    Raises ValueError for a number that is not finite: JSON has none.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter, escaped in _UNSAFE.items():
        text = text.replace(letter, escaped)
    return text


def packed(json_content: str) -> str:
    """JSON, compressed by gzip and written as base64: the browser's DecompressionStream reads it.

    Equal content gives equal text.
    """
    return base64.b64encode(gzip.compress(json_content.encode(), 6, mtime=0)).decode()


def script_hash(script: str) -> str:
    """The source that lets exactly this inline script run, for a Content-Security-Policy."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
