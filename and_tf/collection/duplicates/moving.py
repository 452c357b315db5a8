"""Moves superfluous images to another folder, and back: nothing is deleted or overwritten.

Each move is logged before it is made, so that a kill at any moment loses neither an image nor the
record of where it came from.
"""

import errno
import itertools
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from and_tf.collection.duplicates.groups import Group
from and_tf.collection.duplicates.move_log import COLUMNS, numbered, read_log
from and_tf.collection.printing import count_of, print_line
from and_tf.errors import Argument, UserError
from and_tf.runs.atomic_files import sync_descriptor
from and_tf.runs.csv_cells import row_writer
from and_tf.runs.places import check_local

logger = logging.getLogger(__name__)


class Move(NamedTuple):
    """The move of one file; both paths are absolute."""

    source: Path
    target: Path


def check_target(images: Path, target: Path) -> None:
    """Refuses a target folder that the next search would look into, or that is not a folder.

    Raises:
        UserError: if one folder lies in the other, or the target is a file or an address.
    """
    check_local("move_duplicates_to", target)
    inside, outside = (Path(os.path.realpath(folder)) for folder in (target, images))
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise UserError(
            Argument("move_duplicates_to", str(target)), f" and {images} must not contain one "
            "another: the next search would find the moved images again. Give another folder.",
        )  # fmt: skip
    if target.exists() and not target.is_dir():
        raise UserError(
            Argument("move_duplicates_to", str(target)), " is a file: give a folder's name."
        )


def move_duplicates(
    images: Path, names: Sequence[str], groups: Sequence[Group], target: Path, dry_run: bool
) -> None:
    """Moves all images of groups except those to keep, or prints where they would go."""
    moves = plan_moves(images, names, groups, target)
    if dry_run:
        for move in moves:
            print_line(f"  would move {move.source} to {move.target}")
        print(f"{count_of(len(moves), 'image')} would be moved to {target}; nothing was moved.")
    elif moves:
        log = move_files(moves, target)
        moved = count_of(len(moves), "image")
        print(f"{moved} moved to {target}. The log for undo_moves: {log}")
        logger.info(
            "The table and its page still hold them: the same command with %s, and without %s, "
            "brings both up to date.", Argument("update", True), Argument("move_duplicates_to"),
        )  # fmt: skip


def print_undone(log: Path, dry_run: bool = False) -> None:
    """Undoes the moves of a log, or prints what would be moved, and prints how many."""
    moved, failed = undo_moves(log, dry_run)
    if dry_run:
        print(f"{count_of(moved, 'image')} would be moved back; nothing was moved.")
        return
    print(
        f"{count_of(moved, 'image')} moved back"
        + (f", {failed:,} not: see above." if failed else ".")
    )


def plan_moves(
    images: Path, names: Sequence[str], groups: Sequence[Group], target: Path
) -> list[Move]:
    """Moves of all images of groups except those to keep: to the same relative path, or numbered.

    Links stay where they are: they take no space, and may lead to the image that is kept.

    Args:
        images: the folder.
        names: N paths relative to it.
        groups: of near-duplicates.
        target: the folder to move to.
    """
    taken: set[Path] = set()
    moves = []
    for group in groups:
        for row in group.members:
            source = images.absolute() / names[row]
            if row == group.keep or _is_reached_by_link(images.absolute(), names[row]):
                continue
            place = _free_place(target.absolute() / names[row], taken)
            taken.add(place)
            moves.append(Move(source, place))
    return moves


def move_files(moves: Sequence[Move], folder: Path) -> Path:
    """Makes moves, each after it has been written to a new log in a folder.

    Args:
        moves: as planned.
        folder: for the log; created if it is missing.

    Returns:
        The path of the log, for `undo_moves`.

    Raises:
        UserError: if a file cannot be moved; those before it have been moved and are in the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = next(p for n in itertools.count(1) if not (p := folder / f"moves-{n}.csv").exists())
    with open(path, "x", newline="", encoding="utf-8", errors="surrogateescape") as file:
        write_row = row_writer(file)
        write_row(COLUMNS)
        for move in moves:
            write_row([str(move.source), str(move.target)])
            file.flush()
            sync_descriptor(file.fileno())
            try:
                _move(move)
            except OSError as error:
                raise UserError(
                    f"{move.source} cannot be moved to {move.target} ({error.strerror}): fix "
                    f"this and start again. The earlier moves are logged in {path}."
                ) from error
    return path


def undo_moves(log: Path, dry_run: bool = False) -> tuple[int, int]:
    """Moves images back to where they came from according to a log, the last move first.

    It can be repeated: images that are back already stay. A file in the way is never overwritten.

    Args:
        log: as `move_files` wrote it.
        dry_run: only print what would be moved.

    Returns:
        How many images were moved back, or would be, and how many could not be.

    Raises:
        NotFound, BrokenFile: if there is no such log, or it does not belong to its folder.
    """
    moved = failed = 0
    for move in itertools.starmap(Move, reversed(read_log(log))):
        if not os.path.lexists(move.target):
            if not os.path.lexists(move.source):
                logger.warning("%s is in neither place: left out.", move.source)
                failed += 1
            continue
        if os.path.lexists(move.source):  # a move that was cut short, or another file of this name
            logger.warning("%s exists: %s stays where it is.", move.source, move.target)
            failed += 1
            continue
        if dry_run:
            print_line(f"  would move {move.target} back to {move.source}")
        else:
            _move(Move(move.target, move.source))
        moved += 1
    return moved, failed


def _is_reached_by_link(images: Path, name: str) -> bool:
    path = images / name
    return any(part.is_symlink() for part in [path, *path.parents][: len(Path(name).parts)])


def _free_place(path: Path, taken: set[Path]) -> Path:
    """The path, or the first of "name (2).jpg", "name (3).jpg" and so on that is free."""
    others = (numbered(path, number) for number in itertools.count(2))
    return next(
        place
        for place in itertools.chain([path], others)
        if place not in taken and not os.path.lexists(place)
    )


def _move(move: Move) -> None:
    """Moves a file; fails if its target exists. At every moment it is in at least one place."""
    move.target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(move.source, move.target)  # unlike a rename, fails if the target exists
    except OSError as error:
        if error.errno == errno.EEXIST:
            raise
        _copy(move)  # to another file system, or one without hard links
    os.unlink(move.source)


def _copy(move: Move) -> None:
    """Copies a file with its times to a path that is free, and syncs it to disk."""
    try:
        with open(move.source, "rb") as source, open(move.target, "xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            sync_descriptor(target.fileno())
        shutil.copystat(move.source, move.target)
        if move.source.stat().st_size != move.target.stat().st_size:
            raise OSError(errno.EIO, "the copy is not as long as the original")
    except FileExistsError:
        raise
    except BaseException:
        move.target.unlink(missing_ok=True)  # half a copy; the original is where it was
        raise
