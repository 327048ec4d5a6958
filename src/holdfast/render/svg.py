"""An SVG file as an element that stands inside a page beside others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def inline(text: str, name: str, label: str) -> str:
    """The drawing in `text` as one <svg> element, for browsers and readers of XML alike.

    Its ids begin with `name`, so that plots with different names share none. Styles become attributes, which
    a page's stylesheet overrules; a style sheet inside the drawing, which would reach the whole page, goes.
    `label` is what a screen reader reads out.
    """
    root = ElementTree.fromstring(text)  # noqa: S314 - drawn by this process, never received
    for definitions in root.findall("{*}defs"):
        if definitions.find("{*}style") is not None:
            root.remove(definitions)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = dict(_plain_attributes(element, name))
        element.attrib.clear()
        element.attrib.update(attributes)
        element.tail = None
        if element.tag != "text":
            element.text = None
    root.attrib.update(
        {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": label, "font-family": FONT}
        | {"stroke-linejoin": "round"}
    )
    return ElementTree.tostring(root, encoding="unicode")


def _plain_attributes(element: ElementTree.Element, name: str) -> Iterator[tuple[str, str]]:
    for qualified, value in element.attrib.items():
        key = qualified.rpartition("}")[2]
        if key == "style":
            rules = (rule.partition(":") for rule in value.split(";"))
            styles = ((rule.strip(), given.strip()) for rule, _, given in rules)
            yield from (style for style in styles if style[0] != "font-family")
        elif key == "id":
            if element.tag != "g":  # groups are numbered alike in every plot, and nothing refers to them
                yield key, f"{name}-{value}"
        elif key in {"href", "clip-path"}:
            yield key, value.replace("#", f"#{name}-")
        elif not value.startswith("rotate(-0 "):
            yield key, _rounded(value)


def _rounded(numbers: str) -> str:
    """Coordinates to a hundredth of a point, finer than any screen shows."""
    return re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}", " ".join(numbers.split()))
