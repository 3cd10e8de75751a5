"""XML from strangers as a small tree: no document types, no entities, bounded in depth and count.

Without a document type there is nothing that could expand or point outside; everything else a
document can cost is bounded by its length.
"""

from __future__ import annotations

from xml.parsers.expat import ExpatError, ParserCreate

__all__ = ["Element", "XmlError", "parse_xml"]

MAX_DEPTH = 32
MAX_ELEMENTS = 2000

_SEPARATOR = " "


class XmlError(ValueError):
    """The document is broken, or holds what is not taken; the text repeats nothing of it."""


class Element:
    """One element. `attributes` are by local name; `text` is its own text, without its children."""

    __slots__ = ("attributes", "children", "name", "namespace", "text")

    def __init__(self, namespace: str, name: str, attributes: dict[str, str]) -> None:
        self.namespace = namespace
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.text = ""

    def find(self, name: str) -> Element | None:
        """The first child of that local name."""
        return next((child for child in self.children if child.name == name), None)

    def text_of(self, name: str) -> str:
        """The text of the first child of that local name; '' without one."""
        child = self.find(name)
        return "" if child is None else child.text


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) >= MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise XmlError("too many elements")
        namespace, _, name = tag.rpartition(_SEPARATOR)
        local = {key.rpartition(_SEPARATOR)[2]: value for key, value in attributes.items()}
        element = Element(namespace, name, local)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def end(self, tag: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def characters(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)

    def refuse_doctype(self, *_: object) -> None:
        raise XmlError("a document type is not taken")

    def refuse_instruction(self, *_: object) -> None:
        raise XmlError("processing instructions are not taken")


def parse_xml(data: bytes | str, charset: str = "") -> Element:
    """The root element. `charset` (of a header) outranks what the document says of itself.

    Raises XmlError.
    """
    if isinstance(data, str):
        data, charset = data.encode("utf-8", "replace"), "utf-8"
    builder = _Builder()
    try:
        parser = ParserCreate(charset or None, _SEPARATOR)
        parser.buffer_text = True
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.characters
        parser.StartDoctypeDeclHandler = builder.refuse_doctype
        parser.ProcessingInstructionHandler = builder.refuse_instruction
        parser.Parse(data.lstrip(b"\r\n\t "), True)
    except XmlError:
        raise
    # A charset that nobody knows is a LookupError, one that does not fit a byte a ValueError.
    except (ExpatError, ValueError, LookupError) as error:
        raise XmlError("not well-formed XML") from error
    assert builder.root is not None, "a well-formed document has a root"
    return builder.root
