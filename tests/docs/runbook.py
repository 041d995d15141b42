"""The commands of a Markdown document: what stands after `$` in blocks marked `console`, by heading."""

import re
from pathlib import Path

Block = tuple[str, ...]


def commands(document: Path) -> dict[str, tuple[Block, ...]]:
    """The console blocks under each heading, each a list of commands; headings without any are left out."""
    found: dict[str, list[Block]] = {}
    heading = ""
    block: list[str] | None = None
    for line in document.read_text().splitlines():
        if line == "```console":
            block = []
        elif line == "```" and block is not None:
            found.setdefault(heading, []).append(tuple(block))
            block = None
        elif block is not None:
            assert line.startswith("$ "), f"not a command: {line}"
            block.append(line.removeprefix("$ "))
        elif line.startswith("## "):
            heading = line.removeprefix("## ")
    return {name: tuple(blocks) for name, blocks in found.items()}


def links(document: Path) -> list[str]:
    """The targets of a document's links and pictures that are not on the web."""
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    return [x for x in targets if not x.startswith(("http://", "https://", "mailto:"))]


def anchors(document: Path) -> set[str]:
    """The anchors that a document's headings have on GitHub."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", x.lower()).replace(" ", "-") for x in headings}
