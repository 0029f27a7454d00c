import re
from pathlib import Path


def same_pdf(one: str, other: str) -> bool:
    """Whether two PDF files are the same but for when they were written, and the identifier made from that."""
    dates = rb"/(CreationDate|ModDate) ?\([^)]*\)|/ID ?\[[^\]]*\]"
    first, second = (re.sub(dates, b"", Path(path).read_bytes()) for path in (one, other))
    return first == second


def same_png(one: str, other: str) -> bool:
    """Whether two PNG files show the same pixels, whatever wrote them, and whatever they say of it."""
    from PIL import Image

    with Image.open(one) as first, Image.open(other) as second:
        return (first.size, first.convert("RGBA").tobytes()) == (second.size, second.convert("RGBA").tobytes())
