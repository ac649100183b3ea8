"""What the C library does with memory that is freed."""

import platform
import subprocess
import sys

import pytest

AGAIN = """
import resource
import numpy as np
import gradnerve

def step():
    arrays = [np.ones(2**18, np.float32) for _ in range(150)]  # 1 MB each

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

step()
before = faults()
step()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about glibc's thresholds")
def test_memory_of_a_step_is_kept_for_the_next_one():
    done = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000  # of 38,400 pages; else each costs a fault again
