"""A bucket as the place of files: `s3://bucket/prefix`, at Amazon or whoever speaks S3.

Who we are and where the service is come from the settings that all AWS tools read, for example
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION and AWS_ENDPOINT_URL_S3.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from core.attachments.place import PIECE_BYTES, away
from core.errors import Refusal

log = logging.getLogger(__name__)

# How long the service may take to take a connection, and then between any two of its bytes.
CONNECT_S, READ_S = 5.0, 20.0
# How often a request is made before it counts as failed.
TRIES = 3
# Connections to the service.
CONNECTIONS = 64
# How long one whole request may take.
REQUEST_S = 120.0
_MISSING = frozenset({"NoSuchKey", "404"})


class InBucket:
    """Each file is an object; it is written by one request, so that it is whole or not there."""

    name = "s3"

    def __init__(self, client: Any, stack: contextlib.AsyncExitStack, bucket: str, prefix: str):
        self._client = client
        self._stack = stack
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    @classmethod
    async def opened(cls, bucket: str, prefix: str) -> InBucket:
        """Make a client. Connects to nothing yet. Raises BotoCoreError."""
        config = AioConfig(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            max_pool_connections=CONNECTIONS,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
            # Not all services that speak S3 know the newer checksums; we have our own.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        stack = contextlib.AsyncExitStack()
        client = await stack.enter_async_context(get_session().create_client("s3", config=config))
        return cls(client, stack, bucket, prefix)

    async def write(self, file_id: str, pieces: AsyncIterator[bytes]) -> None:
        with _refusing(), tempfile.TemporaryFile() as body:
            async for piece in pieces:
                await asyncio.to_thread(body.write, piece)
            body.seek(0)
            async with asyncio.timeout(REQUEST_S):
                await self._client.put_object(**self._key(file_id), Body=body)

    async def read(self, file_id: str) -> AsyncGenerator[bytes]:
        with _refusing():
            try:
                answer = await self._client.get_object(**self._key(file_id))
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _MISSING:
                    return
                raise
            async with answer["Body"] as body:
                while piece := await body.read(PIECE_BYTES):
                    yield piece

    async def delete(self, file_id: str) -> None:
        with _refusing():
            async with asyncio.timeout(REQUEST_S):
                await self._client.delete_object(**self._key(file_id))

    async def close(self) -> None:
        await self._stack.aclose()

    def _key(self, file_id: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + file_id}


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Refusal:
        raise
    except (BotoCoreError, ClientError, OSError, TimeoutError) as error:
        log.error("the bucket of attachments cannot be used: %s", error)
        raise away("Files cannot be stored or read right now") from None
