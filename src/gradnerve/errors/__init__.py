"""What GradNerve says when something is wrong: what happened, why, and what to write instead."""

from gradnerve.errors.checks import *
from gradnerve.errors.compiled import *
from gradnerve.errors.engine import *
from gradnerve.errors.kinds import *
from gradnerve.errors.linear_algebra import *
from gradnerve.errors.networks import *
from gradnerve.errors.operators import *
from gradnerve.errors.source import *

# A traceback names a class by where users find it.
for _kind in list(globals().values()):
    if isinstance(_kind, type) and _kind.__module__.startswith(__name__):
        _kind.__module__ = __name__
