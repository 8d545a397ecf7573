"""Which place ATTACHMENTS_URL names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.attachments.place import Place


class Unusable(Exception):
    """The place that ATTACHMENTS_URL names cannot be used. The text says why, and what to do."""


async def opened(url: str) -> Place | None:
    """Open the place; None for the database. Raises Unusable."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _folder(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        return await _bucket(parts.netloc, parts.path.strip("/"))
    return None


def _folder(path: Path) -> Place:
    from core.attachments.folder import InFolder

    try:
        return InFolder(path)
    except OSError as error:
        raise Unusable(f"ATTACHMENTS_URL: the directory cannot be used: {error}") from None


async def _bucket(bucket: str, prefix: str) -> Place:
    try:
        from botocore.exceptions import BotoCoreError

        from core.attachments.bucket import InBucket
    except ImportError:
        text = "ATTACHMENTS_URL: s3:// needs the extra s3: pip install 'holdfast[s3]'"
        raise Unusable(text) from None
    try:
        return await InBucket.opened(bucket, prefix)
    except (BotoCoreError, ValueError) as error:
        raise Unusable(f"ATTACHMENTS_URL: the bucket cannot be used: {error}") from None
