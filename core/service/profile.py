"""ProfileService. Its proto file says what each call does and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from escrow.v1 import profile_service_pb2 as rpc
from escrow.v1 import profile_service_pb2_grpc as service

from core.errors import field_invalid, request_id_reused
from core.service import check, name
from core.service.check import Check
from core.service.guard import caller, is_keeper, require_keeper
from core.storage.profile import Put, put
from core.storage.store import Store
from holdfast.subject import user_id_problem

# People whom one call asks about.
MAX_ASKED = 100


class ProfileService(service.ProfileServiceServicer):
    """How people are shown to one another."""

    def __init__(self, store: Store, *, now_us: Callable[[], int]) -> None:
        self._store = store
        self._now_us = now_us

    async def PutProfile(
        self, request: rpc.PutProfileRequest, context: Any
    ) -> rpc.PutProfileResponse:
        require_keeper("PutProfile is")
        display_name = name.written(request.display_name)
        check_ = Check()
        check_.request_id(request.request_id)
        user_id = check_.user_id("user_id", request.user_id)
        if problem := name.problem(display_name):
            check_.problem("display_name", problem)
        check_.done()
        wanted = Put(
            user_id=user_id,
            display_name=display_name,
            cause=check.cause(caller(), request.request_id),
            fingerprint=check.fingerprint(request),
            now_us=self._now_us(),
        )
        if await self._store.transact(put(wanted)) != wanted.fingerprint:
            raise request_id_reused()
        profile = rpc.Profile(user_id=user_id, display_name=display_name)
        return rpc.PutProfileResponse(profile=profile)

    async def BatchGetProfiles(
        self, request: rpc.BatchGetProfilesRequest, context: Any
    ) -> rpc.BatchGetProfilesResponse:
        if len(request.user_ids) > MAX_ASKED:
            raise field_invalid("user_ids", f"must be at most {MAX_ASKED}; ask in several calls")
        # What cannot be a user id is nobody's, and must not hide the names of the others.
        ids = {one for one in request.user_ids if not user_id_problem(one)}
        names = await self._store.names(ids, None if is_keeper() else caller().user_id)
        found = [rpc.Profile(user_id=one, display_name=names[one]) for one in sorted(names)]
        return rpc.BatchGetProfilesResponse(profiles=found)
