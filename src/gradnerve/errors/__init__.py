"""What GradNerve says when something is wrong: what happened, why, and what to write instead."""

from gradnerve.errors.checks import *
from gradnerve.errors.compiled import *
from gradnerve.errors.engine import *
from gradnerve.errors.kinds import *
from gradnerve.errors.linear_algebra import *
from gradnerve.errors.networks import *
from gradnerve.errors.operators import *
from gradnerve.errors.source import *
