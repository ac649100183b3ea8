"""The command line: `gradnerve train`.

Exit codes: 0 done, 1 the training failed, 2 bad input, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any, NoReturn

from gradnerve import __version__, errors

if TYPE_CHECKING:
    from gradnerve.data import TensorDataset
    from gradnerve.train import Batch, Epoch

Show = tuple[Callable[["Batch"], None] | None, Callable[["Epoch"], None] | None]

# As many as take the CNN to where more help little.
EPOCHS = {"digits": 30, "folder": 5}
BATCH_SIZE = 32

SEE_HELP = " (see gradnerve train --help)"
MODELS = ("cnn", "mlp")


class BadInput(ValueError):
    """What the user gave cannot be used. The message says what is wrong, and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (that of the process where None), and return the exit code.

    >>> main(["--version"])
    gradnerve ...
    0
    """
    try:
        args, unknown = _parser().parse_known_args(argv)
        if unknown:
            hint = errors.nearest(unknown[0], [f"--{n.replace('_', '-')}" for n in vars(args)])
            raise BadInput(f"{unknown[0]!r} is no argument{hint and '.' + hint}{SEE_HELP}")
        code = args.command(args)
        sys.stdout.flush()
        return code
    except BadInput as error:
        return _fail(error, 2)
    except KeyboardInterrupt:
        return _fail("stopped by Ctrl-C", 130)
    except BrokenPipeError:
        # Whoever read our output is gone, as in `gradnerve train | head`. Python would complain
        # once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as a program has that SIGPIPE ends
    except SystemExit as stop:  # --help and --version
        return int(stop.code or 0)


def _fail(message: object, code: int) -> int:
    one_line = str(message).replace("\n", "\\n")  # a path may have more
    print(f"gradnerve: {one_line}", file=sys.stderr)
    return code


def _say(text: str) -> None:
    """Print, in other signs what the terminal or file has none for: a path may have any."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


# --- Arguments ------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Raise BadInput."""
        # "argument --lr: must be ..." reads better as "--lr must be ..."
        if message.startswith("argument "):
            message = message.removeprefix("argument ").replace(": ", " ", 1)
        raise BadInput(f"{message} (see {self.prog} --help)")


def _parser() -> Parser:
    parser = Parser(
        prog="gradnerve", allow_abbrev=False,
        description="The deep-learning engine that you can read.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"gradnerve {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    train = commands.add_parser(
        "train", allow_abbrev=False,
        help="train a network to read handwritten digits, or to tell other images apart",
        description="Train a network to read handwritten digits, or to tell other images apart.",
        epilog="The run's folder has the weights (model.safetensors), the figures of each epoch "
        "(metrics.jsonl) and two pictures (curves.png, confusion.png). Ctrl-C stops, and keeps "
        "what was learned.",
    )  # fmt: skip
    add = train.add_argument
    add(
        "data", nargs="?", default="digits", metavar="digits|DIR",
        help="the digits that come with GradNerve (the default), or a folder with the four IDX "
        "files of MNIST or Fashion-MNIST, plain or gzipped (./digits for a folder of that name)",
    )  # fmt: skip
    add("--model", type=_model, default="cnn", metavar="|".join(MODELS), help="default: cnn")
    add(
        "--epochs", type=_whole(1), metavar="N",
        help=f"how often to go through the images (default: {EPOCHS['digits']} for the digits, "
        f"{EPOCHS['folder']} for a folder)",
    )  # fmt: skip
    add(
        "--batch-size", type=_whole(1), metavar="N",
        help=f"images per step (default: {BATCH_SIZE})",
    )  # fmt: skip
    add(
        "--lr", type=_above_zero, default=2e-3, metavar="X",
        help="learning rate: the size of Adam's first steps, which then get smaller "
        "(default: 0.002)",
    )  # fmt: skip
    add(
        "--seed", type=_whole(0), default=0, metavar="N",
        help="the same seed gives the same network, to the bit, on one machine (default: 0)",
    )  # fmt: skip
    add(
        "--backend", choices=("numpy", "jax"), default="numpy", metavar="numpy|jax",
        help="what computes: NumPy, or programs that JAX compiles (default: numpy)",
    )  # fmt: skip
    add(
        "--devices", type=_devices, default=1, metavar="all|N",
        help="with --backend jax: how many of this machine's devices share each batch (default: 1)",
    )  # fmt: skip
    add(
        "--coordinator", metavar="HOST:PORT",
        help="with --backend jax: several processes, here or on several machines, share each "
        "batch; start each with the same command, but its own --process-id. Where process 0 "
        "listens",
    )  # fmt: skip
    add("--num-processes", type=_whole(1), metavar="N", help="how many there are")
    add(
        "--process-id", type=_whole(0), metavar="I",
        help="which one this is, from 0; process 0 writes the files and prints",
    )  # fmt: skip
    add(
        "--resume", metavar="DIR",
        help="go on with the run in this folder, from its last whole epoch; give the options that "
        "it was started with, but for the number of devices and processes",
    )  # fmt: skip
    add(
        "--out", metavar="DIR",
        help="folder for what comes out; it must not hold a run yet (default: a new one in runs/)",
    )  # fmt: skip
    train.set_defaults(command=_train)
    return parser


def _model(text: str) -> str:
    if text not in MODELS:
        hint = errors.nearest(text, MODELS)
        raise argparse.ArgumentTypeError(
            f"must be {' or '.join(MODELS)}, not {text!r}{hint and '.' + hint}"
        )
    return text


def _whole(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of {least} or more, not {text!r}"
            )
        return value

    return number


def _devices(text: str) -> int | None:
    """Their number; None for all."""
    return None if text == "all" else _whole(1)(text)


def _above_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(
            f"must be a number above 0, not {text!r}; 0.002 is a good start"
        )
    return value


# --- gradnerve train ------------------------------------------------------------------------------


def _train(args: argparse.Namespace) -> int:
    together = (args.coordinator, args.num_processes, args.process_id)
    if together == (None, None, None):
        return _train_here(args)
    if None in together or args.backend == "numpy":
        raise BadInput(
            "--coordinator, --num-processes and --process-id go together, with --backend jax"
        )
    try:
        from gradnerve import distributed

        distributed.join(args.coordinator, args.num_processes, args.process_id)
    except (ImportError, OSError, ValueError) as error:
        raise BadInput(getattr(error, "strerror", None) or error) from None
    if args.process_id == 0:
        sys.stdout = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding)
    os.dup2(2, 1)  # only process 0 prints, and Gloo, which tells how it connects, does not
    try:
        code = _train_here(args)
    except BadInput as error:
        distributed.leave(str(error))
        code = _fail(error, 2)
    except KeyboardInterrupt:
        code = _fail("stopped by Ctrl-C", 130)
    except BrokenPipeError:
        code = 141
    except Exception as error:
        if not (reason := distributed.lost(error)):
            traceback.print_exc()
        code = _fail(reason or error, 1)
    if code:
        # JAX would first wait for the others, who may wait for this one. Process 0 goes last: with
        # it goes what connects them, and they may have something to say.
        sleep(2 if args.process_id == 0 else 0)
        sys.stderr.flush()
        os._exit(code)
    return code


def _train_here(args: argparse.Namespace) -> int:
    from threadpoolctl import threadpool_limits

    from gradnerve import train

    first = not args.process_id
    if args.resume and args.out:
        raise BadInput("a run that goes on stays in its folder: give --resume or --out, not both")
    if args.backend == "numpy" and args.devices != 1:
        raise BadInput("--devices needs --backend jax: NumPy has one device")
    images, test = _load(args.data)
    embedded = args.data == "digits"
    name = "digits" if embedded else Path(args.data).resolve().name
    epochs = args.epochs or EPOCHS["digits" if embedded else "folder"]
    batch_size = args.batch_size or min(BATCH_SIZE, len(images))
    if batch_size > len(images):
        raise BadInput(
            f"--batch-size {batch_size} is more than the {len(images):,} training images; "
            "give a smaller one"
        )
    try:
        resume = args.resume and Path(args.resume)
        made: Any = nullcontext(resume if first else None)
        if first and resume is None:
            made = train.run_folder(args.out, f"{name}-{args.model}")
        with made as folder:
            mesh = _mesh(args, images, {"--epochs": epochs, "--batch-size": batch_size})
            _, height, width = images.arrays[0].shape[1:]
            if first:
                _say(
                    f"{name}: {len(images):,} images to train with and {len(test):,} to test with, "
                    f"{height}x{width}{'' if mesh is None else _named(mesh)}"
                )
            # Small networks are hardly quicker on two threads. But on a busy machine threads wait
            # for each other, and a run takes ten times as long; and with a fixed number of threads
            # equal seeds give equal bits, whatever the surroundings.
            with threadpool_limits(1), _display(epochs, first) as (on_batch, on_epoch):
                run = train.run(
                    folder, images, test, dataset=name, model=args.model, epochs=epochs,
                    batch_size=batch_size, lr=args.lr, seed=args.seed, mesh=mesh, resume=resume,
                    on_batch=on_batch, on_epoch=on_epoch,
                )  # fmt: skip
    except train.RunFolderError as error:
        raise BadInput(error) from None
    except train.TrainingFailed as error:
        return _fail(f"{error}. A smaller learning rate helps: --lr {args.lr / 10:g}", 1)
    except ConnectionError:  # whoever called knows what to do
        raise
    except OSError as error:
        return _fail(f"cannot write to '{folder}' ({error.strerror})", 1)
    if run.epochs and first:
        confusion = run.epochs[-1].confusion
        right, total = int(confusion.trace()), int(confusion.sum())
        _say(f"Test accuracy {100 * right / total:.2f} % ({right:,} of {total:,} images)")
        _say(f"The run is in {folder}")
    if run.interrupted:
        stopped = f"stopped by Ctrl-C after {len(run.epochs)} of {epochs} epochs"
        return _fail(f"{stopped}; what was learned is in {folder}", 130)
    return 0


def _mesh(args: argparse.Namespace, images: TensorDataset, settings: dict[str, Any]) -> Any:
    """The devices that compute; None for NumPy. All processes have to be about the same."""
    if args.backend == "numpy":
        return None
    try:
        from gradnerve import distributed, train

        if args.coordinator is None:
            return distributed.mesh(data=-1 if args.devices is None else args.devices)
        names = ("--num-processes", "--model", "--lr", "--seed")
        settings |= {name: getattr(args, name[2:].replace("-", "_")) for name in names}
        if args.resume:
            settings["the checkpoint"] = _checksum(Path(args.resume) / train.CHECKPOINT)
        settings["the training images"] = sum(zlib.crc32(a.tobytes()) for a in images.arrays)
        distributed.agree({**settings, "GradNerve's version": __version__})
        return distributed.mesh()
    except (ImportError, ValueError) as error:
        raise BadInput(error) from None


def _checksum(path: Path) -> int | None:
    """None where there is no such file."""
    return zlib.crc32(path.read_bytes()) if path.is_file() else None


def _named(mesh: Any) -> str:
    count, kind = mesh.devices.size, mesh.devices.flat[0].platform
    return f", on {count} {kind} device{'s' if count > 1 else ''}"


def _load(name: str) -> tuple[TensorDataset, TensorDataset]:
    from gradnerve import data

    if name == "digits":
        return data.load_digits()
    try:
        return data.load_idx(name)
    except data.DatasetError as error:
        hint = errors.nearest(name, ["digits"]) if not os.path.lexists(name) else ""
        raise BadInput(f"{error}.{hint}" if hint else error) from None


def _loss(value: float) -> str:
    return f"{value:.4f}" if value < 1000 else f"{value:.1e}"


@contextmanager
def _display(epochs: int, shown: bool) -> Iterator[Show]:
    """What to do after each batch, and after each epoch, for the reader to see how it goes."""
    if not shown:
        yield None, None
        return
    width = len(str(epochs))

    def line(epoch: Epoch) -> str:
        return (
            f"epoch {epoch.epoch:{width}}/{epochs}  "
            f"loss {_loss(epoch.train_loss)}  accuracy {100 * epoch.train_accuracy:6.2f} %  "
            f"test accuracy {100 * epoch.test_accuracy:6.2f} %  {epoch.seconds:.1f} s"
        )

    # A dumb terminal (an editor's, a CI log's) cannot move its cursor.
    if not sys.stdout.isatty() or os.environ.get("TERM") in ("dumb", "unknown", ""):
        yield None, lambda epoch: _say(line(epoch))
        return

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [
        TextColumn("epoch {task.fields[epoch]}"), BarColumn(bar_width=None),
        TextColumn("{task.fields[figures]}"), TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[left]}"),
    ]  # fmt: skip
    with Progress(*columns, console=Console(), transient=True, expand=True) as progress:
        first = f"{1:{width}}/{epochs}"
        task = progress.add_task("", total=None, epoch=first, figures="", left="")

        def on_batch(batch: Batch) -> None:
            progress.update(
                task,
                total=epochs * batch.batches,
                completed=(batch.epoch - 1) * batch.batches + batch.batch,
                epoch=f"{batch.epoch:{width}}/{epochs}",
                left="left",
                figures=f"loss {_loss(batch.loss)}  accuracy {100 * batch.accuracy:5.1f} %  "
                f"{batch.images_per_second:,.0f} images/s",
            )

        def on_epoch(epoch: Epoch) -> None:
            progress.console.print(line(epoch), markup=False, highlight=False, soft_wrap=True)

        yield on_batch, on_epoch
