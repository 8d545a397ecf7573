"""What the bridge knows by itself of an escrow's life is what the law says."""

from escrow.v1 import escrow_pb2 as pb

from bridge.upstream.follow import FINAL
from core.law import escrow


def test_the_bridge_takes_the_same_statuses_for_final_as_the_law() -> None:
    names = {pb.EscrowStatus.Name(status).removeprefix("ESCROW_STATUS_") for status in FINAL}
    assert names == {str(status) for status in escrow.FINAL}
