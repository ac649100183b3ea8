"""The training loop: that it learns, repeats itself, stops where it must, and keeps what it has."""

import json
from pathlib import Path

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import io, nn, optim, train
from gradnerve.data import TensorDataset

FILES = {"model.safetensors", "metrics.jsonl", "curves.png", "confusion.png"}


def halves(n, seed=0, size=8):
    """Images that are bright on the left (class 0) or on the right (class 1): an easy task."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.uniform(-1, -0.5, (n, 1, size, size)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[:, :, label * size // 2 : (label + 1) * size // 2] += 1
    return TensorDataset(images, labels)


def options(**changes):
    return {
        "dataset": "halves",
        "model": "mlp",
        "classes": 2,
        "epochs": 3,
        "batch_size": 16,
    } | changes


def names(folder):
    return {path.name for path in folder.iterdir()}


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


# --- Networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", train.MODELS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 20), (1, 1, 1), (1, 2, 3)])
@pytest.mark.parametrize("classes", [2, 47])
def test_networks_fit_their_images(kind, shape, classes):
    model = train.MODELS[kind](shape, classes)
    assert model(np.zeros((3, *shape), dtype=np.float32)).shape == (3, classes)


def test_sizes_of_the_networks():
    def size(model):
        return sum(p.size for p in model.parameters())

    assert size(train.cnn((1, 8, 8), 10)) == 160 + 4640 + (512 * 128 + 128) + 1290
    assert size(train.cnn((1, 28, 28), 10)) == 160 + 4640 + (32 * 49 * 128 + 128) + 1290
    assert size(train.mlp((1, 8, 8), 10)) == 65 * 256 + 257 * 128 + 129 * 10


# --- The loop -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", train.MODELS)
def test_it_learns(kind):
    model = train.MODELS[kind]((1, 8, 8), 2)
    optimizer = optim.Adam(model.parameters())
    epochs = list(train.fit(model, optimizer, halves(400), halves(100, 1), epochs=3, batch_size=16))
    assert [e.epoch for e in epochs] == [1, 2, 3]
    assert epochs[-1].test_accuracy == 1.0
    assert epochs[-1].train_loss < epochs[0].train_loss / 2
    assert epochs[-1].confusion.sum() == 100
    assert all(e.seconds > 0 for e in epochs)


def test_any_model_and_optimizer_will_do():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    (epoch,) = train.fit(model, optimizer, halves(200), halves(50, 1), epochs=1, batch_size=8)
    assert epoch.test_accuracy > 0.9


def test_the_learning_rate_falls():
    model = train.mlp((1, 8, 8), 2)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    rates = [
        optimizer.lr
        for _ in train.fit(model, optimizer, halves(8), halves(4), epochs=5, batch_size=4)
    ]
    assert rates == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1])
    assert optimizer.lr == 0.5, "the next run starts where this one did"


def test_batches_are_reported_as_they_are_done():
    model = train.mlp((1, 8, 8), 2)
    seen = []
    list(
        train.fit(
            model,
            optim.Adam(model.parameters()),
            halves(40),
            halves(10, 1),
            epochs=2,
            batch_size=16,
            on_batch=seen.append,
        )
    )
    assert [(b.epoch, b.batch, b.batches) for b in seen] == [
        (1, 1, 3), (1, 2, 3), (1, 3, 3), (2, 1, 3), (2, 2, 3), (2, 3, 3),
    ]  # fmt: skip
    assert all(0 <= b.accuracy <= 1 and b.loss > 0 and b.images_per_second > 0 for b in seen)


def test_means_are_over_images_not_batches():
    """A last batch of one image counts for one image. With lr 0 nothing changes on the way."""
    model = train.mlp((1, 8, 8), 2)
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    data = halves(33)
    (epoch,) = train.fit(
        model, optim.Adam(model.parameters(), lr=0.0), data, data, epochs=1, batch_size=16
    )
    loss, confusion = train.evaluate(model, data, batch_size=33)
    assert epoch.train_loss == pytest.approx(loss, rel=1e-5)
    assert epoch.test_loss == pytest.approx(loss, rel=1e-5)
    assert epoch.train_accuracy == epoch.test_accuracy == np.trace(confusion) / 33


def test_evaluate_counts_by_true_class_then_predicted():
    class Always1(nn.Module):
        def forward(self, x):
            return x.reshape(len(x), -1)[:, :3] * 0 + gn.Tensor([0, 5, 0], dtype="float32")

    data = TensorDataset(np.zeros((4, 1, 2, 2), dtype=np.float32), np.array([0, 1, 2, 2]))
    loss, confusion = train.evaluate(Always1(), data, batch_size=3)
    assert confusion.tolist() == [[0, 1, 0], [0, 1, 0], [0, 2, 0]]
    right, wrong = np.log1p(2 * np.exp(-5)), np.log1p(2 * np.exp(-5)) + 5
    assert loss == pytest.approx((right + 3 * wrong) / 4, rel=1e-5)


def test_evaluate_without_dropout_and_without_a_graph():
    model = train.mlp((1, 8, 8), 2).train()
    first, second = train.evaluate(model, halves(50)), train.evaluate(model, halves(50))
    assert first[0] == second[0]
    assert not model.training


def test_evaluate_of_nothing():
    empty = TensorDataset(np.zeros((0, 1, 8, 8), dtype=np.float32), np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match="evaluate: the data set has no examples"):
        train.evaluate(train.mlp((1, 8, 8), 2), empty)


# --- When it goes wrong ---------------------------------------------------------------------------


def failure(model, epochs=2, lr=1e-3, data=None):
    loop = train.fit(
        model, optim.Adam(model.parameters(), lr=lr), data or halves(40), halves(10, 1),
        epochs=epochs, batch_size=16,
    )  # fmt: skip
    with pytest.raises(train.TrainingFailed) as error:
        list(loop)
    return str(error.value)


def test_a_nan_names_epoch_batch_and_layer():
    model = train.cnn((1, 8, 8), 2)
    model.conv2.weight.data[0, 0, 0, 0] = np.nan
    assert failure(model) == (
        "the loss became NaN in epoch 1, batch 1 of 3; first not finite was the output of layer "
        "'conv2' (Conv2d)"
    )


def test_an_infinity_names_the_layer_it_is_born_in():
    model = train.mlp((1, 8, 8), 2)
    model.fc2.weight.data[...] = 3e38
    message = failure(model)
    assert message.startswith("the loss became ")
    assert message.endswith("first not finite was the output of layer 'fc2' (Linear)")


def test_a_nan_in_a_later_batch():
    model = train.mlp((1, 8, 8), 2)
    message = failure(model, lr=1e30)
    assert message.startswith("the loss became NaN in epoch 1, batch 2 of 3; first not finite was")


def test_a_nan_that_only_the_test_sees():
    model = train.mlp((1, 8, 8), 2)
    message = failure(model, lr=1e30, data=halves(16))
    assert message.startswith(
        "the loss became NaN in the test after epoch 1, whose last batch was batch 1; first not"
    )


def test_a_loss_that_overflows_by_itself():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    model[1].weight.data[...] = 0
    model[1].bias.data[...] = [-3e38, 3e38]
    assert failure(model) == (
        "the loss became infinite in epoch 1, batch 1 of 3; the outputs of all layers are finite"
    )


# --- A run and its folder -------------------------------------------------------------------------


def test_a_run_leaves_its_files(tmp_path):
    told = []
    result = train.run(
        tmp_path, halves(200), halves(50, 1), on_epoch=told.append, seed=3, **options()
    )
    assert names(tmp_path) == FILES
    assert not result.interrupted
    assert told == result.epochs
    lines = metrics(tmp_path)
    assert [list(line) for line in lines] == 3 * [
        ["epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"]
    ]
    assert lines[-1] == result.epochs[-1].figures()
    for picture in ("curves.png", "confusion.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    assert io.load_metadata(tmp_path / "model.safetensors") == {
        "batch_size": 16, "classes": 2, "dataset": "halves", "epochs": 3, "image": [1, 8, 8],
        "lr": 0.002, "model": "mlp", "seed": 3, "test_accuracy": lines[-1]["test_accuracy"],
    }  # fmt: skip


def test_the_weights_are_those_that_were_tested(tmp_path):
    test = halves(50, 1)
    result = train.run(tmp_path, halves(100), test, **options(epochs=1))
    about = io.load_metadata(tmp_path / "model.safetensors")
    model = train.MODELS[about["model"]](tuple(about["image"]), about["classes"])
    model.load_state_dict(io.load_weights(tmp_path / "model.safetensors"))
    loss, confusion = train.evaluate(model, test)
    assert loss == result.epochs[-1].test_loss
    assert np.array_equal(confusion, result.epochs[-1].confusion)
    assert train.evaluate(result.model, test)[0] == loss


def outcome(folder, seed, model="cnn"):
    folder.mkdir()
    train.run(folder, halves(100), halves(20, 1), seed=seed, **options(model=model, epochs=2))
    figures = [{k: v for k, v in line.items() if k != "seconds"} for line in metrics(folder)]
    return (folder / "model.safetensors").read_bytes(), figures


@pytest.mark.parametrize("model", train.MODELS)
def test_a_seed_repeats_a_run_to_the_bit(tmp_path, model):
    first = outcome(tmp_path / "a", 5, model)
    np.random.default_rng().random()
    gn.ops.random.generator().random(7)
    assert outcome(tmp_path / "b", 5, model) == first
    other = outcome(tmp_path / "c", 6, model)
    assert other[0] != first[0]
    assert other[1] != first[1]


def interrupt_at(epoch, batch):
    def on_batch(now):
        if (now.epoch, now.batch) == (epoch, batch):
            raise KeyboardInterrupt

    return on_batch


def test_an_interrupted_run_keeps_its_finished_epochs(tmp_path):
    test, kept = halves(20, 1), []
    for batch in (1, 5):
        folder = tmp_path / str(batch)
        folder.mkdir()
        result = train.run(
            folder, halves(100), test, on_batch=interrupt_at(3, batch), **options(epochs=9)
        )
        assert result.interrupted
        assert len(result.epochs) == len(metrics(folder)) == 2
        assert names(folder) == {*FILES, train.CHECKPOINT}
        assert train.evaluate(result.model, test)[0] == result.epochs[-1].test_loss
        kept.append((folder / "model.safetensors").read_bytes())
    assert kept[0] == kept[1], "what was learned in an unfinished epoch is not in there"
    assert io.load_metadata(folder / "model.safetensors")["epochs"] == 2


def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path):
    """To the bit: weights, Adam's state, the order of the images, dropout, the learning rate."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    same = options(epochs=5)
    train.run(whole, halves(100), halves(20, 1), **same)
    for epoch, batch in ((2, 3), (4, 1)):
        resume = parts if (parts / train.CHECKPOINT).exists() else None
        stop = interrupt_at(epoch, batch)
        train.run(parts, halves(100), halves(20, 1), on_batch=stop, resume=resume, **same)
    with pytest.raises(train.RunFolderError, match=r"has lr 0.\d+, this command 0.5; give"):
        train.run(parts, halves(100), halves(20, 1), resume=parts, **{**same, "lr": 0.5})
    last = train.run(parts, halves(100), halves(20, 1), resume=parts, **same)
    assert [epoch.epoch for epoch in last.epochs] == [1, 2, 3, 4, 5]
    assert names(parts) == FILES
    weights = [(folder / "model.safetensors").read_bytes() for folder in (parts, whole)]
    assert weights[0] == weights[1]
    for line, other in zip(metrics(parts), metrics(whole), strict=True):
        assert {**line, "seconds": 0} == {**other, "seconds": 0}
    with pytest.raises(train.RunFolderError, match="no checkpoint to go on from: its run is compl"):
        train.run(parts, halves(100), halves(20, 1), resume=parts, **same)


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_a_checkpoint_cut_off_is_never_taken_for_a_good_one(tmp_path, kept):
    train.run(tmp_path, halves(100), halves(20, 1), on_batch=interrupt_at(2, 1), **options())
    path = tmp_path / train.CHECKPOINT
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(train.RunFolderError, match=r"checkpoint.safetensors is damaged, or cannot"):
        train.run(tmp_path, halves(100), halves(20, 1), resume=tmp_path, **options())


def test_a_run_killed_while_it_writes_goes_on_from_the_checkpoint_before(tmp_path, monkeypatch):
    class Killed(BaseException):
        """Not to be caught, as a SIGKILL."""

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    train.run(whole, halves(100), halves(20, 1), **options(epochs=4))
    write_bytes, written = Path.write_bytes, []

    def half(path, data):
        written.append(path.name)
        if sum("checkpoint" in name for name in written) == 2:
            write_bytes(path, data[: len(data) // 2])
            raise Killed
        return write_bytes(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # nor is there time to clear up
        with pytest.raises(Killed):
            train.run(parts, halves(100), halves(20, 1), **options(epochs=4))
    assert any(name.startswith(".checkpoint-") for name in names(parts))
    seen = []
    train.run(
        parts, halves(100), halves(20, 1), resume=parts, on_epoch=seen.append, **options(epochs=4)
    )
    assert [epoch.epoch for epoch in seen] == [2, 3, 4]
    weights = [(folder / "model.safetensors").read_bytes() for folder in (parts, whole)]
    assert weights[0] == weights[1]


def test_a_run_interrupted_in_its_first_epoch_keeps_the_weights(tmp_path):
    result = train.run(
        tmp_path, halves(100), halves(20, 1), on_batch=interrupt_at(1, 2), **options()
    )
    assert result.interrupted
    assert result.epochs == []
    assert names(tmp_path) == {"model.safetensors"}
    weights = io.load_weights(tmp_path / "model.safetensors")
    assert all(np.array_equal(weights[k], v) for k, v in result.model.state_dict().items())
    assert io.load_metadata(tmp_path / "model.safetensors")["epochs"] == 0


def test_a_failed_run_keeps_its_finished_epochs(tmp_path):
    train_set = halves(100)

    def spoil(epoch):
        if epoch.epoch == 2:
            train_set.arrays[0][...] = np.nan

    with pytest.raises(train.TrainingFailed, match="NaN in epoch 3, batch 1 of 7"):
        train.run(tmp_path, train_set, halves(20, 1), on_epoch=spoil, **options(epochs=5))
    assert names(tmp_path) == {*FILES, train.CHECKPOINT}
    assert len(metrics(tmp_path)) == 2
    weights = io.load_weights(tmp_path / "model.safetensors")
    assert all(np.isfinite(array).all() for array in weights.values())


def test_a_run_that_fails_at_once_leaves_nothing(tmp_path):
    with pytest.raises(train.TrainingFailed):
        train.run(tmp_path, halves(100), halves(20, 1), **options(lr=1e30))
    assert names(tmp_path) == set()


# --- Finding a folder -----------------------------------------------------------------------------


def open_folder(out, name="digits-cnn"):
    with train.run_folder(out, name) as folder:
        io.write(folder / "metrics.jsonl", "{}")
    return folder


def test_new_folders_never_overwrite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "digits-cnn-2").touch()
    found = [str(open_folder(None)) for _ in range(2)]
    assert found == ["runs/digits-cnn-1", "runs/digits-cnn-3"]
    assert str(open_folder(None, "../my data: ü/")) == "runs/my-data-ü-1"
    assert str(open_folder(None, "...")) == "runs/run-1"


def test_exactly_the_folder_that_was_named(tmp_path):
    out = tmp_path / "a" / "b"
    assert open_folder(out) == out
    assert names(out) == {"metrics.jsonl"}


def test_a_folder_with_other_things_in_it_will_do(tmp_path):
    (tmp_path / "notes.txt").touch()
    open_folder(str(tmp_path))
    assert names(tmp_path) == {"notes.txt", "metrics.jsonl"}


def test_empty_folders_are_removed_again_if_they_were_made_for_it(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(KeyError), train.run_folder(tmp_path / "there" / "a" / "b", "x"):
        raise KeyError
    assert names(tmp_path) == {"there"}
    with train.run_folder(tmp_path / "there", "x"):
        pass
    assert names(tmp_path) == {"there"}


def refused(out):
    with pytest.raises(train.RunFolderError) as error, train.run_folder(out, "x"):
        pass
    return str(error.value)


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_folder_that_holds_a_run(tmp_path, file):
    (tmp_path / file).touch()
    assert refused(tmp_path) == (
        f"'{tmp_path}' holds a run already; name another folder, or remove this one"
    )
    assert names(tmp_path) == {file}


def test_a_file_for_a_folder(tmp_path):
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file") == (
        f"'{tmp_path / 'file'}' is a file; name a folder for what comes out of the run"
    )
    assert refused(tmp_path / "file" / "a") == (
        f"cannot write to '{tmp_path / 'file' / 'a'}' (Not a directory); name another folder with "
        "--out"
    )


def test_a_folder_that_cannot_be_made(tmp_path):
    long = tmp_path / "new" / ("x" * 300)
    assert refused(long) == (
        f"cannot write to '{long}' (File name too long); name another folder with --out"
    )
    assert names(tmp_path) == set(), "nor is the folder around it left behind"


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    """As the superuser, who may run this, every folder can be written to: so we say it is not."""

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gradnerve.train.Path.touch", denied)
    assert refused(tmp_path / "new") == (
        f"cannot write to '{tmp_path / 'new'}' (Permission denied); name another folder with --out"
    )
    assert names(tmp_path) == set()
