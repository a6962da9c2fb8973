"""QR codes as SVG: a picture of a text for a camera to read."""

from io import BytesIO

import segno

QUIET_ZONE = 4
"""Modules of white around the code, which the standard demands."""


def svg_of(text: str) -> str:
    """A whole SVG document, black on white, that scales to any size."""
    picture = BytesIO()
    segno.make(text, micro=False, error="m").save(
        picture, kind="svg", border=QUIET_ZONE, light="white", omitsize=True, xmldecl=False
    )
    return picture.getvalue().decode()
