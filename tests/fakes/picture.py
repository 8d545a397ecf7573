"""Small files as people attach them: the first bytes of each kind, and then anything."""

import random

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
HEADS = {
    "image/png": PNG_HEAD,
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/webp": b"RIFF\x24\x00\x00\x00WEBP",
    "application/pdf": b"%PDF-1.7\n",
}


def picture(size_bytes: int = 1_000, *, kind: str = "image/png", seed: int = 1) -> bytes:
    head = HEADS[kind]
    return head + random.Random(seed).randbytes(size_bytes - len(head))
