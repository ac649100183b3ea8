"""Training a network to tell images apart: the loop behind `gradnerve train`.

`fit` is the loop; the rest is what one wants around it: a network for the data, a test, and a
folder with what came out. Any program can call these.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from gradnerve import io, nn
from gradnerve.data import DataLoader, TensorDataset
from gradnerve.debug import first_non_finite
from gradnerve.graph import no_grad
from gradnerve.nn import functional as F
from gradnerve.ops.random import generator, manual_seed
from gradnerve.optim import Adam, Optimizer
from gradnerve.tensor import Tensor

if TYPE_CHECKING:
    from gradnerve.parallel import Parallel


class TrainingFailed(FloatingPointError):
    """The loss is no longer a finite number. The message says when, and in which layer."""


class RunFolderError(ValueError):
    """A run's folder cannot be used. The message says why, and what to do."""


class Batch(NamedTuple):
    """How far an epoch has come: what `on_batch` is told after each batch."""

    epoch: int
    batch: int  # both count from 1
    batches: int
    loss: float  # the means of the epoch so far
    accuracy: float
    images_per_second: float


class Epoch(NamedTuple):
    """What an epoch has come to. Accuracies are from 0 to 1, losses in nats."""

    epoch: int  # counts from 1
    train_loss: float  # means over the epoch, taken while the network was changing
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    confusion: np.ndarray  # (C, C): how many test images of class [row] were taken for [column]

    def figures(self) -> dict[str, Any]:
        """All but the confusion matrix: a line of metrics.jsonl."""
        return {k: v for k, v in self._asdict().items() if k != "confusion"}


# --- Networks -------------------------------------------------------------------------------------


def cnn(shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """A small convolutional network for images of shape (C, H, W): two convolutions, two layers.

    It halves the image after each convolution; an image of less than 16 pixels only once.

    >>> cnn((1, 8, 8), classes=10)(np.zeros((5, 1, 8, 8), dtype=np.float32)).shape
    (5, 10)
    """
    channels, height, width = shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = nn.Conv2d(channels, 16, 3, padding=1)
    layers["relu1"] = nn.ReLU()
    if min(height, width) >= 16:
        layers["pool1"] = nn.MaxPool2d(2)
        height, width = height // 2, width // 2
    layers["conv2"] = nn.Conv2d(16, 32, 3, padding=1)
    layers["relu2"] = nn.ReLU()
    if min(height, width) >= 2:
        layers["pool2"] = nn.MaxPool2d(2)
        height, width = height // 2, width // 2
    layers["flatten"] = nn.Flatten()
    layers["drop1"] = nn.Dropout(0.25)
    layers["fc1"] = nn.Linear(32 * height * width, 128)
    layers["relu3"] = nn.ReLU()
    layers["drop2"] = nn.Dropout(0.5)
    layers["fc2"] = nn.Linear(128, classes)
    return nn.Sequential(layers)


def mlp(shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """A multilayer perceptron for images of shape (C, H, W): three layers, of 256, 128, `classes`.

    >>> mlp((1, 8, 8), classes=10)(np.zeros((5, 1, 8, 8), dtype=np.float32)).shape
    (5, 10)
    """
    channels, height, width = shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["flatten"] = nn.Flatten()
    layers["fc1"] = nn.Linear(channels * height * width, 256)
    layers["relu1"] = nn.ReLU()
    layers["drop1"] = nn.Dropout(0.2)
    layers["fc2"] = nn.Linear(256, 128)
    layers["relu2"] = nn.ReLU()
    layers["drop2"] = nn.Dropout(0.2)
    layers["fc3"] = nn.Linear(128, classes)
    return nn.Sequential(layers)


MODELS = {"cnn": cnn, "mlp": mlp}


# --- The loop -------------------------------------------------------------------------------------


def fit(
    model: nn.Module,
    optimizer: Optimizer,
    train: TensorDataset,
    test: TensorDataset,
    *,
    epochs: int,
    batch_size: int,
    on_batch: Callable[[Batch], None] | None = None,
    mesh: Any = None,
    first: int = 1,
) -> Iterator[Epoch]:
    """Train, epoch by epoch, and after each test the model and hand out how it did.

    With a `mesh` of `gn.distributed` the step is compiled by JAX, and each batch cut into parts for
    its devices. `first` is the number of the first epoch, of a run that goes on.

    The data sets hold images (N, C, H, W) and class numbers (N,). The learning rate falls evenly,
    from the optimizer's in the first epoch to an N-th of it in the last of N. The order of the
    images comes from the generator that `gn.manual_seed` seeds. Raises TrainingFailed where a loss
    is NaN or infinite.

    >>> import gradnerve as gn
    >>> gn.manual_seed(0)
    >>> train, test = gn.data.load_digits()
    >>> model = mlp((1, 8, 8), classes=10)
    >>> optimizer = gn.optim.Adam(model.parameters())
    >>> for epoch in fit(model, optimizer, train, test, epochs=2, batch_size=32):
    ...     print(epoch.epoch, epoch.test_accuracy > 0.8)
    1 True
    2 True
    """
    step: Callable[..., tuple[float, int]]
    if mesh is None:
        parallel = None
        loader = DataLoader(train, batch_size, shuffle=True)
        step = partial(_step, model, optimizer)
    else:
        from gradnerve.parallel import Parallel

        parallel = Parallel(model, optimizer, mesh)
        # Of a batch, each process reads its own part: it is told which images, not given them.
        loader = DataLoader(TensorDataset(np.arange(len(train))), batch_size, shuffle=True)
        step = partial(_parallel_step, parallel, train, batch_size)
    lr = optimizer.lr
    try:
        for epoch in range(first, epochs + 1):
            start = perf_counter()
            # With steps of one size the weights would not settle: the accuracy would go up and
            # down by half a percent, and a run would end where it happens to be.
            optimizer.lr = lr * (epochs - epoch + 1) / epochs
            model.train()
            loss, accuracy = _learn(step, loader, epoch, on_batch)
            where = f"the test after epoch {epoch}, whose last batch was batch {len(loader)}"
            test_loss, confusion = evaluate(model, test, where=where, parallel=parallel)
            right = int(np.trace(confusion))
            seconds = perf_counter() - start
            yield Epoch(epoch, loss, accuracy, test_loss, right / len(test), seconds, confusion)
    finally:
        optimizer.lr = lr


def _learn(
    step: Callable[..., tuple[float, int]],
    loader: DataLoader,
    epoch: int,
    on_batch: Callable[[Batch], None] | None,
) -> tuple[float, float]:
    """One epoch: the mean loss and the accuracy on the way."""
    start = perf_counter()
    seen, right, total = 0, 0, 0.0
    # What overflows is found in the loss, and told in words.
    with np.errstate(all="ignore"):
        for number, batch in enumerate(loader, start=1):
            loss, correct = step(batch, f"epoch {epoch}, batch {number} of {len(loader)}")
            count = len(batch[0])
            seen, right, total = seen + count, right + correct, total + loss * count
            if on_batch is not None:
                speed = seen / (perf_counter() - start)
                on_batch(Batch(epoch, number, len(loader), total / seen, right / seen, speed))
    return total / seen, right / seen


def _step(
    model: nn.Module, optimizer: Optimizer, batch: tuple[Any, ...], where: str
) -> tuple[float, int]:
    """Learn from a batch: its loss, and how many images were right before."""
    images, labels = batch
    logits, loss = _loss(model, images, labels, where)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), int((logits.data.argmax(axis=1) == labels).sum())


def _parallel_step(
    parallel: Parallel, dataset: TensorDataset, size: int, batch: tuple[Any, ...], where: str
) -> tuple[float, int]:
    (places,) = batch
    loss, right = parallel.step(dataset, places, size)
    if not np.isfinite(loss):
        _fail(parallel.model.to("numpy"), dataset[places][0], loss, where)
    return loss, right


def evaluate(
    model: nn.Module,
    dataset: TensorDataset,
    *,
    batch_size: int = 250,
    where: str = "the test",
    parallel: Parallel | None = None,
) -> tuple[float, np.ndarray]:
    """The mean loss, and the confusion matrix: counts (C, C) by true class, then predicted class.

    Switches the model to evaluation. `parallel` computes, if given. Raises TrainingFailed, naming
    `where`, for a loss of NaN or infinity.

    >>> import gradnerve as gn
    >>> _, test = gn.data.load_digits()
    >>> loss, confusion = evaluate(mlp((1, 8, 8), classes=10), test)
    >>> confusion.shape, int(confusion.sum())
    ((10, 10), 359)
    """
    model.eval()
    if parallel is not None:
        return _parallel_test(parallel, dataset, batch_size, where)
    total, confusion = 0.0, None
    with no_grad(), np.errstate(all="ignore"):
        for images, labels in DataLoader(dataset, batch_size):
            logits, loss = _loss(model, images, labels, where)
            total += loss.item() * len(labels)
            if confusion is None:
                confusion = np.zeros((logits.shape[1], logits.shape[1]), dtype=np.int64)
            np.add.at(confusion, (labels, logits.data.argmax(axis=1)), 1)
    if confusion is None:
        raise ValueError("evaluate: the data set has no examples")
    return total / len(dataset), confusion


def _parallel_test(
    parallel: Parallel, dataset: TensorDataset, size: int, where: str
) -> tuple[float, np.ndarray]:
    total, confusion = 0.0, np.zeros((), dtype=np.int64)
    for (places,) in DataLoader(TensorDataset(np.arange(len(dataset))), size):
        loss, counts = parallel.test(dataset, places, size)
        if not np.isfinite(loss):
            _fail(parallel.model.to("numpy"), dataset[places][0], loss, where)
        total, confusion = total + loss, confusion + counts
    return total / len(dataset), confusion


def _loss(
    model: nn.Module, images: np.ndarray, labels: np.ndarray, where: str
) -> tuple[Tensor, Tensor]:
    logits = model(Tensor(images))
    loss = F.cross_entropy(logits, labels)
    if not np.isfinite(loss.item()):
        _fail(model, images, loss.item(), where)
    return logits, loss


def _fail(model: nn.Module, images: np.ndarray, loss: float, where: str) -> NoReturn:
    value = "NaN" if np.isnan(loss) else "infinite"
    layer = first_non_finite(model, images)
    first = (
        f"first not finite was the output of layer {layer}"
        if layer
        else "the outputs of all layers are finite"
    )
    raise TrainingFailed(f"the loss became {value} in {where}; {first}")


# --- A run and its folder -------------------------------------------------------------------------

FILES = ("model.safetensors", "metrics.jsonl", "curves.png", "confusion.png")
CHECKPOINT = "checkpoint.safetensors"
"""What a run needs to go on: there as long as it is not complete."""


@dataclass
class Run:
    """What a run has come to."""

    model: nn.Module
    epochs: list[Epoch]  # those that were finished
    interrupted: bool


def run(
    folder: Path | None,
    train: TensorDataset,
    test: TensorDataset,
    *,
    dataset: str,
    model: str = "cnn",
    classes: int = 10,
    epochs: int,
    batch_size: int,
    lr: float = 2e-3,
    seed: int = 0,
    mesh: Any = None,
    resume: Path | None = None,
    on_batch: Callable[[Batch], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Run:
    """Train a new network by Adam, and keep what comes out in `folder` (None: nowhere).

    `model` is a name in MODELS, `dataset` a name to remember; with a `mesh` JAX trains, on its
    devices. After each epoch the folder has the weights, model.safetensors, the figures of all
    epochs, metrics.jsonl, and, until the last, checkpoint.safetensors: a folder with that can be
    given as `resume`, with otherwise equal arguments, and the run goes on as if it had never
    stopped. At the end there are also curves.png and confusion.png. Equal arguments give equal
    weights and figures (all but the seconds), to the bit, on one machine. A KeyboardInterrupt ends
    the run: the folder then holds the last finished epoch's state, or, before there is one, the
    weights alone. Raises TrainingFailed as `fit` does; the epochs before it are in the folder;
    RunFolderError where `resume` has no checkpoint, or one of another run.
    """
    manual_seed(seed)
    shape = train.arrays[0].shape[1:]
    network = MODELS[model](shape, classes)
    about = {
        "batch_size": batch_size, "classes": classes, "dataset": dataset, "image": list(shape),
        "lr": lr, "model": model, "seed": seed,
    }  # fmt: skip
    optimizer = Adam(network.parameters(), lr=lr)
    done: list[Epoch] = []
    interrupted = False
    options = {**about, "epochs": epochs}
    if resume is not None:
        done = _load_checkpoint(resume, network, optimizer, options)

    def save(state: dict[str, np.ndarray]) -> None:
        if folder is None:
            return
        accuracy = {"test_accuracy": done[-1].test_accuracy} if done else {}
        io.save_weights(
            folder / "model.safetensors", state, {**about, "epochs": len(done), **accuracy}
        )
        if done:
            lines = [json.dumps(epoch.figures()) + "\n" for epoch in done]
            io.write(folder / "metrics.jsonl", "".join(lines))

    state = None
    try:
        loop = fit(
            network, optimizer, train, test,
            epochs=epochs, batch_size=batch_size, on_batch=on_batch, mesh=mesh,
            first=len(done) + 1,
        )  # fmt: skip
        for epoch in loop:
            done, state = [*done, epoch], network.state_dict()
            if folder is not None and epoch.epoch < epochs:
                _save_checkpoint(folder, state, optimizer, options, done)
            save(state)
            if on_epoch is not None:
                on_epoch(epoch)
    except KeyboardInterrupt:
        interrupted = True
        save(state or network.state_dict())
    finally:
        if done and folder is not None:
            _draw(folder, done, f"{dataset}, {model}")
    if state is not None:
        network.load_state_dict(state)
    if len(done) == epochs and folder is not None:
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return Run(network, done, interrupted)


def _save_checkpoint(
    folder: Path, state: dict[str, np.ndarray], optimizer: Optimizer, options: dict[str, Any],
    done: list[Epoch],
) -> None:  # fmt: skip
    """The whole state after an epoch: weights, the optimiser's, the random numbers', the figures.

    The arrays are whole ones, wherever their parts lay: any number of devices can go on from here.
    """
    arrays = {f"model.{name}": array for name, array in state.items()}
    for i, slots in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{i}.{name}": np.asarray(slot) for name, slot in slots.items()}
    epochs = [{**epoch.figures(), "confusion": epoch.confusion.tolist()} for epoch in done]
    about = {"options": options, "epochs": epochs, "random": generator().bit_generator.state}
    io.save_weights(folder / CHECKPOINT, arrays, about)


def _load_checkpoint(
    folder: Path, network: nn.Module, optimizer: Optimizer, options: dict[str, Any]
) -> list[Epoch]:
    """Take over the state after the last finished epoch; returns the epochs so far."""
    try:
        arrays = io.load_weights(folder / CHECKPOINT)
        about = io.load_metadata(folder / CHECKPOINT)
        was = about["options"]
    except FileNotFoundError:
        raise RunFolderError(
            f"'{folder}' has no checkpoint to go on from: its run is complete, or had not finished "
            "an epoch"
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise RunFolderError(
            f"cannot go on from '{folder}': its {CHECKPOINT} is damaged, or cannot be read "
            f"({error}). A run that is stopped leaves a whole one; was it copied?"
        ) from None
    for name, value in options.items():
        if was[name] != value:
            raise RunFolderError(
                f"the run in '{folder}' has {name.replace('_', ' ')} {was[name]}, this command "
                f"{value}; give the options that it was started with"
            )
    weights = {n[6:]: a for n, a in arrays.items() if n.startswith("model.")}
    network.load_state_dict(weights)
    kept = optimizer.state_dict()
    for name, array in arrays.items():
        if name.startswith("optimizer."):
            _, i, slot = name.split(".")
            kept["state"][int(i)][slot] = array
    optimizer.load_state_dict(kept)
    generator().bit_generator.state = about["random"]
    epochs = [{**epoch, "confusion": np.array(epoch["confusion"])} for epoch in about["epochs"]]
    return [Epoch(**epoch) for epoch in epochs]


def _draw(folder: Path, epochs: list[Epoch], title: str) -> None:
    from gradnerve import viz

    title = title.encode("utf-8", "replace").decode()  # a folder's name need not be text
    curves = viz.learning_curves([epoch.figures() for epoch in epochs], title)
    confusion = viz.confusion_matrix(epochs[-1].confusion, title)
    with warnings.catch_warnings():
        # matplotlib would tell of each letter that its font has not.
        warnings.filterwarnings("ignore", message="Glyph")
        io.write_with(folder / "curves.png", curves.savefig)
        io.write_with(folder / "confusion.png", confusion.savefig)


@contextmanager
def run_folder(out: str | Path | None, name: str) -> Iterator[Path]:
    """A folder for a run: `out`, or a new one, runs/NAME-1, runs/NAME-2 and so on.

    On leaving, the folders that were made for it are removed again if nothing is in them. Raises
    RunFolderError where it cannot be made or written to, or holds a run already.

    >>> out = Path(getfixture("tmp_path")) / "first"
    >>> with run_folder(out, "digits") as folder:
    ...     io.write(folder / "metrics.jsonl", "{}")
    >>> with run_folder(out, "digits") as folder:
    ...     pass
    Traceback (most recent call last):
        ...
    gradnerve.train.RunFolderError: ... holds a run already; name another folder, ...
    """
    made: list[Path] = []
    try:
        folder = _make_new(name, made) if out is None else _make(Path(out), made)
        probe = folder / f".{token_hex(4)}"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise RunFolderError(_cannot_write(folder, error)) from None
        yield folder
    finally:
        for path in reversed(made):
            with suppress(OSError):  # where there is something in it
                path.rmdir()


def _make(folder: Path, made: list[Path], new: bool = False) -> Path:
    """Make a folder, and those that it is in, as far as they are missing; `made` collects them.

    Raises FileExistsError where it is to be `new` and is not.
    """
    try:
        for path in (*reversed(folder.parents), folder):
            wanted = new and path == folder
            if wanted or not path.exists():
                path.mkdir(exist_ok=not wanted)
                made.append(path)
        holds_run = any((folder / file).exists() for file in FILES)
    except OSError as error:
        if new and isinstance(error, FileExistsError):
            raise
        raise RunFolderError(_cannot_write(folder, error)) from None
    if not folder.is_dir():
        raise RunFolderError(f"'{folder}' is a file; name a folder for what comes out of the run")
    if holds_run:
        raise RunFolderError(
            f"'{folder}' holds a run already; name another folder, or remove this one"
        )
    return folder


def _make_new(name: str, made: list[Path]) -> Path:
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    for number in count(1):
        try:
            return _make(Path("runs") / f"{safe}-{number}", made, new=True)
        except FileExistsError:
            continue
    raise AssertionError("there is always another number")


def _cannot_write(folder: Path, error: OSError) -> str:
    return f"cannot write to '{folder}' ({error.strerror}); name another folder with --out"
