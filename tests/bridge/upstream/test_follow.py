"""What the bridge assumes about statuses is what core's law says."""

from escrow.v1 import escrow_pb2 as pb

from bridge.upstream.follow import FINAL
from core.law import status


def test_the_bridge_and_the_law_agree_on_final_statuses() -> None:
    names = {pb.EscrowStatus.Name(number).removeprefix("ESCROW_STATUS_") for number in FINAL}
    assert names == {str(one) for one in status.FINAL}
