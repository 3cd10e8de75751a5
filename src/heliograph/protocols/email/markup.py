"""HTML of a mail as plain text: enough to find an order or a text in it, and never slow.

Every character is looked at once or twice whatever the input, so that no mail can keep the program
busy.
"""

from __future__ import annotations

import re
from html import unescape

__all__ = ["remove_tags", "text_of_html"]

_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*+)[^<>]*+>")
_SPACES = re.compile(r"[ \t\r\n\f]+")
# What is between these and their ends is not for reading.
_HIDDEN = frozenset({"head", "script", "style", "title"})
_BREAKS = frozenset(
    {"br", "p", "div", "tr", "li", "ul", "ol", "table", "blockquote", "pre", "hr"}
    | {f"h{level}" for level in range(1, 7)}
)


def remove_tags(text: str) -> str:
    """The text without what looks like a tag; `<` before anything but a letter stays."""
    return _TAG.sub("", text)


def text_of_html(html: str) -> str:
    """What a person reads: white space collapsed, a line for every block and `<br>`."""
    pieces: list[str] = []
    hidden = ""
    end = 0
    html = _remove_comments(html)
    for tag in _TAG.finditer(html):
        name = tag[1].lower()
        is_end = tag[0][1] == "/"
        if not hidden:
            pieces.append(_SPACES.sub(" ", html[end : tag.start()]))
            if name in _BREAKS:
                pieces.append("\n")
            elif name in _HIDDEN and not is_end:
                hidden = name
        elif is_end and name == hidden:
            hidden = ""
        end = tag.end()
    if not hidden:
        pieces.append(_SPACES.sub(" ", html[end:]))
    lines = unescape("".join(pieces)).replace("\xa0", " ").split("\n")
    # Blocks in blocks break the line several times where a reader sees one break.
    return "\n".join([line for line in map(str.strip, lines) if line])


def _remove_comments(html: str) -> str:
    if "<!" not in html:
        return html
    pieces: list[str] = []
    at = 0
    while (start := html.find("<!", at)) >= 0:
        pieces.append(html[at:start])
        mark = "-->" if html.startswith("<!--", start) else ">"
        end = html.find(mark, start + 2)
        if end < 0:  # it never ends, so the rest of the mail is in it
            return "".join(pieces)
        at = end + len(mark)
    pieces.append(html[at:])
    return "".join(pieces)
