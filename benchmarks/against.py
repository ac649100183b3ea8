"""Two states of the sources beside each other: `python -m benchmarks --against REVISION`.

Each has a process of its own, with the same libraries and the workloads as they are now. They take
turns, so that a slow moment of the machine is slow for both.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent


STARTS = 3  # a process can be lucky or unlucky in where its memory lies, all its life


def rows(names, revision, library, options):
    """For each workload its title, and the seconds of each round: those of the revision, ours."""
    with worktree(revision) as old:
        for name in names:
            print(f"... {name}", file=sys.stderr, flush=True)
            times = [], []
            for _ in range(STARTS):
                with Source(old, options) as before, Source(ROOT, options) as after:
                    title = in_turns((before, after), name, library, options, times)
            yield title, *map(np.array, times)


def in_turns(sources, name, library, options, times):
    """Compare the losses, then add each round's seconds to the lists of times."""
    made = [source.ask(make=name, library=library) for source in sources]
    np.testing.assert_allclose(*(m["losses"] for m in made), rtol=1e-4, err_msg=name)
    for i in range(-(-options.rounds // STARTS)):
        for place in (0, 1) if i % 2 == 0 else (1, 0):
            times[place].append(sources[place].ask(turn=i)["seconds"])
    return made[0]["title"]


@contextlib.contextmanager
def worktree(revision):
    """A directory with the files of a revision, as long as it is needed."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "old"
        made = git("worktree", "add", "--detach", str(path), revision)
        if made.returncode:
            sys.exit(f"benchmarks: {made.stderr.strip()}")
        try:
            yield path
        finally:
            git("worktree", "remove", "--force", str(path))


def git(*arguments):
    """A git command in this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


class Source:
    """A process that imports GradNerve from a directory, and answers what it is asked."""

    def __init__(self, directory, options):
        self.command = [sys.executable, "-m", "benchmarks.against", json.dumps(options.child)]
        self.env = {**os.environ, "PYTHONPATH": str(directory / "src")}

    def __enter__(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, env=self.env, stdin=pipe, stdout=pipe, text=True
        )
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def ask(self, **question):
        """The answer to a question: both are lines of JSON."""
        print(json.dumps(question), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"benchmarks: the process with {self.env['PYTHONPATH']} ended")
        return json.loads(answer)


def serve(options):
    """Such a process: makes a step and tells its first losses; then times it, turn by turn."""
    from benchmarks import timing
    from benchmarks.workloads import STEPS

    step = count = None
    for line in sys.stdin:
        question = json.loads(line)
        if "make" in question:
            workload = STEPS[question["make"]]
            problem = workload.problem(**(workload.QUICK if options["quick"] else {}))
            step = workload.VERSIONS[question["library"]](problem)
            losses = [float(np.ravel(timing.parts(step())[0])[0]) for _ in range(3)]
            count = timing.steps_in(step, options["seconds"])
            answer = {"title": workload.TITLE, "losses": losses}
        else:
            answer = {"seconds": timing.turn(step, count, getattr(time, options["clock"]))}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
