"""Compute the frames of a plan: ``python -m generator --system C``."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from .dft import compute, versions
from .plan import Frame, ordered
from .plans import PLANS
from .settings import SYSTEMS
from .store import FrameStore


def build_parser() -> argparse.ArgumentParser:
    """Return the command-line parser."""
    parser = argparse.ArgumentParser(
        prog="python -m generator",
        description="Compute the missing frames of a plan, one after the other.",
    )
    add = parser.add_argument
    add("--system", required=True, choices=sorted(PLANS))
    add("--out", type=Path, help="file to extend (default out/SYSTEM.extxyz)")
    add("--max-minutes", type=float, default=float("inf"), help="start no more after")
    add("--max-frames", type=int, default=sys.maxsize, help="compute at most so many")
    add("--only", action="append", metavar="TYPE", help="only this config_type")
    add("--match", default="", help="only frame_ids that contain this text")
    add("--max-stage", type=int, default=99, help="only stages up to this one")
    add("--retry-failed", action="store_true")
    add("--list", action="store_true", help="print the plan and exit")
    add("--log", type=Path, help="folder for GPAW's text output")
    return parser


def selected(args: argparse.Namespace) -> list[Frame]:
    """Return the wanted frames of the plan in the order of the calculation."""
    return [
        frame
        for frame in ordered(PLANS[args.system]().frames)
        if args.match in frame.frame_id
        and (not args.only or frame.config_type in args.only)
        and frame.stage <= args.max_stage
    ]


def print_plan(frames: Sequence[Frame], store: FrameStore) -> None:
    """Print the state of each frame."""
    finished, failed = store.finished(), store.meta()["failed"]
    for frame in frames:
        done = frame.frame_id in finished
        state = "done" if done else "failed" if frame.frame_id in failed else "to do"
        print(f"{state:6s} {frame.stage} {frame.frame_id}")
    n_done = sum(frame.frame_id in finished for frame in frames)
    print(f"{len(frames)} frames, {n_done} done")


def run_frame(frame: Frame, args: argparse.Namespace, store: FrameStore) -> bool:
    """Compute and store one frame; False if it failed."""
    log = None
    if args.log:
        args.log.mkdir(parents=True, exist_ok=True)
        log = str(args.log / (frame.frame_id.replace(":", "_") + ".txt"))
    wall, cpu = time.time(), time.process_time()
    try:
        labelled, record = compute(frame, frame.build(), SYSTEMS[args.system], log)
    except Exception as error:  # any failure of one frame must not end the queue
        message = f"{type(error).__name__}: {str(error)[:200]}"
        store.fail(frame.frame_id, {"error": message})
        print(f"FAILED {frame.frame_id} {message}", flush=True)
        return False
    record["natoms"] = len(labelled)
    record["wall_s"] = round(time.time() - wall, 1)
    record["cpu_s"] = round(time.process_time() - cpu, 1)
    store.add(labelled, record)
    energy = labelled.get_potential_energy() / len(labelled)
    force = abs(labelled.get_forces()).max()
    print(
        f"{frame.frame_id:48s} n={len(labelled):2d} k={record['kpts']} "
        f"E={energy:.4f} eV/atom Fmax={force:.3f} eV/Å cpu={record['cpu_s']} s",
        flush=True,
    )
    return True


def run(args: argparse.Namespace, store: FrameStore) -> int:
    """Compute what is missing; see `main` for the result."""
    settings = SYSTEMS[args.system]
    if not settings.validated:
        print(f"note: the settings of {args.system} were never validated")
    store.update(settings=settings.record(), versions=versions())
    start, n_new = time.time(), 0
    for frame in selected(args):
        if time.time() - start > 60 * args.max_minutes or n_new >= args.max_frames:
            return 3
        name = frame.frame_id
        skip = set() if args.retry_failed else set(store.meta()["failed"])
        if name in skip or name in store.finished() or not store.claim(name):
            continue
        try:  # another process may have finished it before the claim
            if name not in store.finished():
                n_new += run_frame(frame, args, store)
        finally:
            store.release(name)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 when nothing is left to do, 3 when a limit was reached."""
    args = build_parser().parse_args(argv)
    path = args.out or Path("out") / f"{args.system}.extxyz"
    with contextlib.closing(FrameStore(path)) as store:
        if not args.list:
            return run(args, store)
        print_plan(selected(args), store)
    return 0


if __name__ == "__main__":
    sys.exit(main())
