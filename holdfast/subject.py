"""Who a token can be for: the rules of a user id, the roles, and the names that nobody may have."""

from __future__ import annotations

# Characters of a user id.
MAX_USER_ID_CHARACTERS = 128
# The roles that a token can carry; any other word in it gives no right.
ROLES = ("user", "admin", "service")
# In the record of an escrow these stand for Holdfast itself, so no user may be called so.
RESERVED_USER_IDS = frozenset({"razorpay", "settlement", "clock"})


def user_id_problem(user_id: str) -> str:
    """Answer what is wrong with a user id; empty when nothing is."""
    if not 0 < len(user_id) <= MAX_USER_ID_CHARACTERS or not user_id.isprintable():
        return f"must be 1 to {MAX_USER_ID_CHARACTERS} printable characters"
    if user_id in RESERVED_USER_IDS:
        return f"must not be {user_id}, a name that Holdfast keeps for itself"
    return ""
