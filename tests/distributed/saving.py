"""Run by test_distributed.py: one of several processes that save a state in parts, or restore it.

saving.py PORT PROCESSES PROCESS FOLDER STEPS: what is there goes on, up to so many steps. Prints
where it began, and each loss.
"""

import sys
from unittest import mock

import numpy as np
from eight import RULES, Net, raises, step
from jax.experimental import multihost_utils

import gradnerve as gn
from gradnerve import optim

D = gn.distributed


def main(port, processes, process, folder, steps):
    D.join(f"127.0.0.1:{port}", int(processes), int(process))
    mesh = D.mesh(model=-1)
    gn.manual_seed(1)
    model = D.shard(Net(), mesh, RULES)
    late = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, dampening=0.1)
    optimizer = D.shard(late, mesh)  # with dampening v begins with a gradient
    state = {"model": model, "optimizer": optimizer}
    real = multihost_utils.process_allgather
    with mock.patch.object(multihost_utils, "process_allgather", side_effect=real) as gathered:
        begun = D.restore(folder, state) or 0
        print("from", begun, file=sys.stderr)
        compiled = gn.jit(step)
        for i in range(begun, int(steps)):
            rng = np.random.default_rng(i)
            x = rng.normal(size=(24, 12)).astype(np.float32)
            y = x[:, :4].argmax(axis=1)
            x, y = (D.shard_batch(array, mesh, "model") for array in (x, y))
            print("loss", compiled(model, optimizer, x, y).item(), file=sys.stderr)
        weight = model.fc1.weight.data
        assert weight.addressable_shards[0].data.shape == (16 // mesh.size, 12)
        D.save(folder, state, int(steps))
    with raises(ValueError, "of step . already; steps go upwards"):
        D.save(folder, state, int(steps))
    with raises(ValueError, "is of something else: there is no 'modle.fc1.bias' in it. Did you"):
        D.restore(folder, {"modle": model, "optimizer": optimizer})
    with raises(ValueError, r"has 'model.fc1.weight' as \(16, 12\), and it is to be \(2, 2\)"):
        other = D.shard(gn.nn.Linear(2, 2), mesh)
        named = {"fc1": other, "fc2": other}
        D.restore(folder, {"model": named, "optimizer": optimizer})
    # Orbax asks whether all mean the same step; of what is cut nobody has more than his own part.
    assert all(np.size(call.args[0]) == 1 for call in gathered.call_args_list)


if __name__ == "__main__":
    main(*sys.argv[1:])
