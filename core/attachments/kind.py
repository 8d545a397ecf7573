"""What a file is, by its first bytes. Pure.

Only what a browser shows without running anything of it. The sources: PNG, section 5.2
(https://www.w3.org/TR/png-3/); JPEG, ISO 10918-1 annex B (SOI, then a marker); WebP, RFC 9649,
section 2.4; PDF, ISO 32000-1 section 7.5.2.
"""

from __future__ import annotations

PNG, JPEG, WEBP, PDF = "image/png", "image/jpeg", "image/webp", "application/pdf"
KINDS = (PNG, JPEG, WEBP, PDF)
# As many first bytes as it takes to tell.
HEAD_BYTES = 12


def kind_of(head: bytes) -> str:
    """Answer the content type of a file that begins like this; empty for any other kind."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    return PDF if head.startswith(b"%PDF-") else ""
