"""A payee that changes: at once the first time, after a wait from then on."""

import pytest

from core.errors import Reason, Refusal
from core.law.payee import (
    Payee,
    PayeeEventType,
    call_off,
    name_again,
    pass_time,
    register,
    waive,
)

OLD, NEW, NEWER = "acc_Old00000000001", "acc_New00000000001", "acc_New00000000002"
WAIT_US = 1_000
SELLER, ADMIN = "seller-1", "admin-1"


def first() -> Payee:
    payee = register(None, SELLER, OLD, SELLER, 1, WAIT_US)
    assert payee is not None
    return payee


def changing(account_id: str = NEW, before: Payee | None = None, now_us: int = 10) -> Payee:
    payee = register(before or first(), SELLER, account_id, SELLER, now_us, WAIT_US)
    assert payee is not None
    return payee


def test_the_first_account_counts_at_once() -> None:
    payee = first()
    assert (payee.version, payee.account_id, payee.effective_us) == (1, OLD, 1)
    assert payee.pending_us is None


def test_another_one_waits_and_then_counts() -> None:
    payee = changing()
    assert (payee.type, payee.account_id) == (PayeeEventType.CHANGE_STARTED, OLD)
    assert (payee.pending_account_id, payee.pending_us) == (NEW, 10 + WAIT_US)
    assert pass_time(payee, "clock", 9 + WAIT_US) is None
    done = pass_time(payee, "clock", 10 + WAIT_US)
    assert done is not None
    assert (done.type, done.account_id, done.pending_us) == (PayeeEventType.CHANGE_DONE, NEW, None)
    assert done.effective_us == 10 + WAIT_US
    assert pass_time(done, "clock", 10**9) is None


def test_without_a_wait_it_counts_at_once() -> None:
    payee = register(first(), SELLER, NEW, SELLER, 10, 0)
    assert payee is not None
    assert (payee.account_id, payee.pending_us) == (NEW, None)


@pytest.mark.parametrize("account_id", [NEW, NEWER])
def test_one_that_need_not_wait_any_more_counts_although_one_waits(account_id: str) -> None:
    payee = register(changing(), SELLER, account_id, SELLER, 20, 0)
    assert payee is not None
    assert (payee.account_id, payee.effective_us) == (account_id, 20)
    assert (payee.pending_account_id, payee.pending_us) == ("", None)


def test_what_is_named_again_changes_nothing() -> None:
    assert register(first(), SELLER, OLD, SELLER, 10, WAIT_US) is None
    assert register(changing(), SELLER, NEW, SELLER, 20, WAIT_US) is None


@pytest.mark.parametrize("before", [first(), changing()], ids=["counts", "waits"])
def test_what_is_named_again_and_written_down_changes_nothing_but_the_record(
    before: Payee,
) -> None:
    again = name_again(before, ADMIN, 20)
    assert (again.version, again.type, again.actor_id, again.create_time_us) == (
        before.version + 1,
        PayeeEventType.NAMED_AGAIN,
        ADMIN,
        20,
    )
    for field in ("account_id", "effective_us", "pending_account_id", "pending_us"):
        assert getattr(again, field) == getattr(before, field)


def test_a_further_change_takes_the_place_of_the_one_that_waits() -> None:
    payee = changing(NEWER, changing(), 500)
    assert (payee.version, payee.pending_account_id, payee.pending_us) == (3, NEWER, 500 + WAIT_US)


@pytest.mark.parametrize("how", ["called off", "named again"])
def test_a_change_can_be_called_off(how: str) -> None:
    before = changing()
    if how == "called off":
        payee: Payee | None = call_off(before, SELLER, 20)
    else:
        payee = register(before, SELLER, OLD, SELLER, 20, WAIT_US)
    assert payee is not None
    assert (payee.type, payee.account_id) == (PayeeEventType.CHANGE_CALLED_OFF, OLD)
    assert pass_time(payee, "clock", 10**9) is None


def test_an_admin_waives_the_wait_with_a_reason() -> None:
    payee = waive(changing(), ADMIN, "Known in person", 20)
    assert (payee.type, payee.account_id, payee.note) == (
        PayeeEventType.WAIT_WAIVED,
        NEW,
        "Known in person",
    )
    with pytest.raises(Refusal) as failed:
        waive(changing(), ADMIN, " ", 20)
    assert failed.value.reason is Reason.FIELD_INVALID


def test_a_waiver_is_for_the_account_that_the_admin_has_looked_into() -> None:
    assert waive(changing(), ADMIN, "Known", 20, NEW).account_id == NEW
    with pytest.raises(Refusal) as failed:
        waive(changing(NEWER, changing()), ADMIN, "Known", 20, NEW)
    assert failed.value.reason is Reason.PAYEE_CHANGE_NOT_FOUND


@pytest.mark.parametrize("before", [None, first()])
def test_without_a_change_there_is_nothing_to_end(before: Payee | None) -> None:
    with pytest.raises(Refusal) as failed:
        call_off(before, SELLER, 1)
    assert failed.value.reason is Reason.PAYEE_CHANGE_NOT_FOUND
    with pytest.raises(Refusal) as failed:
        waive(before, ADMIN, "x", 1)
    assert failed.value.reason is Reason.PAYEE_CHANGE_NOT_FOUND


def test_the_record_never_goes_back_in_time() -> None:
    assert call_off(changing(), SELLER, 2).create_time_us == 10
    # Nor is a wait any shorter, where the clock has gone back.
    assert changing(NEWER, changing(now_us=500), 3).pending_us == 500 + WAIT_US
    assert waive(changing(), ADMIN, "Known", 2).effective_us == 10
