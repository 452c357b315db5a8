"""train.py: an experiment from its flags to its exported encoder, begun or continued."""

import os
import re
import shutil
import time
import types

import tensorflow as tf

from and_tf.data.picture import save_grid
from and_tf.data.pipeline import batch_indices, sample_augmented, train_pipeline
from and_tf.errors import StepNotFinite
from and_tf.evaluation import extract
from and_tf.export.run import export_path, write_export
from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum
from and_tf.runs import checkpoint
from and_tf.runs.lock import locked
from and_tf.runs.outbox import Outbox
from and_tf.runs.workdir import Workdir, differences
from and_tf.training.build import Experiment, build_experiment, start_devices
from and_tf.training.callbacks import Checkpoints, Evaluation, RoundEnds, RunLog
from and_tf.training.devices import precision_policy
from and_tf.training.online_evaluation import Monitor
from and_tf.training.pace import CostEstimate, StepCounter
from and_tf.training.settings import read_options
from and_tf.training.summary import print_estimates, summarise


def run_experiment(options: types.SimpleNamespace) -> None:
    """Trains to the end of the plan, or goes on where the run in the workdir stopped.

    Args:
        options: values of `flags.train_flags()`.

    Raises:
        ValueError: if flags, images or the run in the workdir do not fit; nothing is overwritten.
    """
    run = Workdir(options.workdir or f"runs/{options.name}")
    options.precision = _precision(options, run)
    is_continued = _check_workdir(run, options)
    if run.summary.is_file():
        print(f"{run.path} is finished: see {run.summary}. For a new run choose another --workdir.")
        return
    start_devices(options)
    experiment = build_experiment(options, run)
    monitor = Monitor(
        experiment.train, experiment.held_out, experiment.augmentation, experiment.load_size
    )
    curriculum = _curriculum(experiment)
    with locked(run.path) as check:
        if _check_workdir(run, options) != is_continued or run.summary.is_file():
            raise ValueError(f"{run.path} was changed by another process: repeat the command.")
        if is_continued:
            _continue(experiment, curriculum, monitor)
        else:
            _begin(experiment, monitor)
        print_estimates(experiment, monitor)
        started = time.monotonic()
        if _fit(experiment, curriculum, monitor, Outbox(check)):
            _finish(experiment, time.monotonic() - started)
        else:
            print(f"Stopped after step {experiment.step}. The same command continues.")


def _precision(options: types.SimpleNamespace, run: Workdir) -> str:
    """The policy that `--precision` means: of a run that has begun, the one it began with."""
    if options.precision == "mixed" and run.flags.is_file():
        kept = read_options(run).precision
        if kept.startswith("mixed_"):
            return kept
    return precision_policy(options.precision)


def _check_workdir(run: Workdir, options: types.SimpleNamespace) -> bool:
    """Whether the workdir holds this very experiment, begun; another one is refused."""
    if any(parent.is_file() for parent in run.path.absolute().parents):
        raise ValueError(f"--workdir={run.path} lies below a file: choose another --workdir.")
    if not run.flags.is_file():
        if run.path.exists() and (not run.path.is_dir() or _foreign_files(run)):
            raise ValueError(
                f"--workdir={run.path} is not empty and holds no run: choose another --workdir."
            )
        return False
    different = differences(read_options(run), options)
    if different:
        raise ValueError(
            f"--workdir={run.path} holds a run with other flags ({'; '.join(different)}): "
            "choose another --workdir or --name, or repeat its flags."
        )
    return run.checkpoint.is_file() or run.previous_checkpoint.is_file()


def _foreign_files(run: Workdir) -> set[str]:
    """What stands in a folder besides the traces of a start that was killed at once."""
    return {path.name for path in run.path.iterdir()} - {"lock", "flags.cfg.partial"}


def _curriculum(experiment: Experiment) -> NeighbourhoodCurriculum:
    options, plan, model = experiment.options, experiment.plan, experiment.model

    def clean_features():
        return extract(model.encoder, experiment.train, options.image_size, progress=False)

    return NeighbourhoodCurriculum(
        rounds=plan.rounds,
        epochs_per_round=plan.epochs_per_round,
        first_round_epochs=plan.first_round_epochs,
        steps_per_epoch=experiment.steps_per_epoch,
        anchors=options.anchors,
        anchor_share=options.anchor_share if options.method == "and" else 0.0,
        features=clean_features if options.discovery_features == "clean" else None,
        labels=experiment.train.labels,
        seed=options.seed,
        search=options.neighbour_search,
        precision=options.discovery_precision,
        progress=True,
    )


def _begin(experiment: Experiment, monitor: Monitor) -> None:
    """Writes what a new run starts from."""
    run, options = experiment.run, experiment.options
    raw = None if monitor.missing else monitor.raw_pixels()
    measured = {} if raw is None else {"raw_pixels_knn_top1": raw}
    run.write_flags(options)
    run.write_images(experiment.images)
    run.write_facts(experiment.facts | measured)
    run.forget_after(-1)
    views = sample_augmented(
        experiment.train, experiment.augmentation, experiment.load_size, seed=options.seed
    )
    save_grid(views, run.augmented)


def _continue(
    experiment: Experiment, curriculum: NeighbourhoodCurriculum, monitor: Monitor
) -> None:
    """Restores the last checkpoint and forgets figures measured after it."""
    run = experiment.run
    arrays, facts, path = run.load_checkpoint()
    if missing := {"step", "curriculum", "best"} - facts.keys():
        raise ValueError(
            f"The checkpoint {path} lacks {', '.join(sorted(missing))}: continue it with the "
            "version of this program that wrote it, or train anew in another --workdir."
        )
    state = checkpoint.training_state(experiment.model) | monitor.state
    checkpoint.restore(state, arrays, path)
    if path != run.checkpoint and run.checkpoint.is_file():  # not to take the place of the sound
        os.replace(run.checkpoint, run.checkpoint.with_suffix(".damaged"))
    curriculum.figures, monitor.best = facts["curriculum"], facts["best"]
    run.forget_after(facts["step"])
    print(f"Continuing {run.path} after step {facts['step']} of {experiment.total_steps}.")


def _fit(
    experiment: Experiment, curriculum: NeighbourhoodCurriculum, monitor: Monitor, outbox: Outbox
) -> bool:
    """Trains to the end of the plan; False if a signal stopped it before."""
    callbacks = training_callbacks(experiment, curriculum, monitor, outbox)
    *_, log, _, checkpoints = callbacks
    if not experiment.is_epoch_end():
        checkpoints.loss_to_restore = [v.numpy() for v in experiment.model.loss_tracker.variables]
    checkpoints.watch_signals()
    try:
        while experiment.step < experiment.total_steps and not checkpoints.stop_asked:
            _fit_part(experiment, callbacks)
    finally:
        checkpoints.unwatch_signals()
        log.close()
    unwritten = [name for name, _ in outbox.waiting]
    if checkpoints.saved_step != experiment.step:
        unwritten.append("the checkpoint")
    if unwritten:
        raise OSError(
            f"{experiment.run.path}: the disk is full and {unwritten[0]} could not be written: "
            "make room and repeat the command, which continues at the last checkpoint."
        )
    return experiment.step == experiment.total_steps


def training_callbacks(
    experiment: Experiment, curriculum: NeighbourhoodCurriculum, monitor: Monitor, outbox: Outbox
) -> list:
    """All that acts beside the steps of a run, in the order in which it acts."""
    run, options, plan = experiment.run, experiment.options, experiment.plan
    steps_per_epoch, is_epoch_end = experiment.steps_per_epoch, experiment.is_epoch_end
    counter = StepCounter()
    return [
        counter,
        curriculum,
        CostEstimate(counter, plan, steps_per_epoch),
        Evaluation(monitor, plan, options.eval_every, is_epoch_end),
        RunLog(
            run,
            outbox,
            counter,
            experiment.schedule,
            len(experiment.train),
            experiment.total_steps,
            steps_per_epoch,
        ),
        RoundEnds(run, outbox, plan, is_epoch_end),
        Checkpoints(
            run,
            outbox,
            curriculum,
            monitor,
            counter,
            plan,
            is_epoch_end,
            experiment.step,
            options.checkpoint_epochs,
            options.checkpoint_steps,
            options.checkpoint_minutes,
        ),
    ]


def _fit_part(experiment: Experiment, callbacks: list) -> None:
    """The rest of a broken epoch on its own, else all epochs that are left."""
    epoch = experiment.step // experiment.steps_per_epoch
    last = experiment.plan.total_epochs if experiment.is_epoch_end() else epoch + 1
    images = train_pipeline(
        experiment.train,
        experiment.options.batch_size,
        experiment.augmentation,
        experiment.options.seed,
        first_step=experiment.step,
        load_size=experiment.load_size,
        sends=experiment.sends,
    )
    try:
        experiment.model.fit(
            images, initial_epoch=epoch, epochs=last, callbacks=callbacks, verbose=0, shuffle=False
        )
    except StepNotFinite as error:
        raise StepNotFinite(_diverged(experiment)) from error
    except tf.errors.InvalidArgumentError as error:
        if broken := re.search(r"ValueError: (Image \d+ of .* is broken: .*)", str(error)):
            raise ValueError(broken[1]) from error  # from the pipeline, which reads files late
        raise


def _diverged(experiment: Experiment) -> str:
    """What to say of a step whose loss or gradient is no number; nothing of it was applied."""
    step, options = experiment.step, experiment.options
    indices = batch_indices(len(experiment.train), options.batch_size, options.seed, step).numpy()
    shown = ", ".join(map(str, indices))
    return (
        f"The loss or its gradient is NaN or infinite in step {step + 1}, images {shown}: lower "
        f"--learning_rate={options.learning_rate} or raise --temperature={options.temperature}, "
        "in another --workdir. The last checkpoint is kept."
    )


def _finish(experiment: Experiment, seconds: float) -> None:
    """Exports the encoder, then writes the summary, which marks the run as finished."""
    run, encoder = experiment.run, experiment.model.encoder
    for left_over in run.exports.glob(".encoder*"):  # by a finish that was killed
        shutil.rmtree(left_over)
    images = experiment.train.load(
        range(min(8, len(experiment.train))), experiment.options.image_size
    )
    for form in ("savedmodel", "keras"):
        write_export(encoder, export_path(run, form), form, images)
    text = summarise(experiment, seconds)
    run.write_summary(text)
    print(text, end="")
