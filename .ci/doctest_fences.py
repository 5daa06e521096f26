"""Griffe extension for the reference pages: doctests in running text are shown as code.

The google style knows doctests in an "Examples" section only. Ours stand at the end of a docstring, where
Markdown would take ``>>>`` for a quotation in a quotation.
"""

import griffe


class DoctestFences(griffe.Extension):
    """Puts a fence around every unindented doctest."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrites the docstring of each module, class, function and attribute as it is found."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """Fences each run of lines that begins with a prompt and ends before an empty line."""
    lines, inside = [], False
    for line in text.splitlines():
        if not inside and line.startswith(">>> "):
            inside = True
            lines += ["", "```pycon"]
        elif inside and not line.strip():
            inside = False
            lines.append("```")
        lines.append(line)
    return "\n".join([*lines, "```"] if inside else lines)
