import subprocess
import sys

_SERVER = """
import gc, core.server
from holdfast import garbage
before = len(gc.get_objects())
garbage.leave_alone()
print(before, len(gc.get_objects()))
class Ring: pass
ring = Ring(); ring.me = ring; del ring
print(gc.collect())
"""


def test_what_is_there_at_the_start_is_not_searched_again_and_what_comes_later_is() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _SERVER], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    before, after, found = map(int, told)
    assert before > 50_000
    assert after < before / 100
    assert found >= 1
