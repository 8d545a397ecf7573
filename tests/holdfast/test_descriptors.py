"""The limit of open files, in a process of its own."""

import subprocess
import sys

from tests.fakes.process import ROOT

RAISED = """
import resource
from holdfast import descriptors
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
assert descriptors.raised() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 200
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
assert descriptors.raised() == 300
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, 300)
"""


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    done = subprocess.run([sys.executable, "-c", RAISED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
