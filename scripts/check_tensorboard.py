#!/usr/bin/env python3
"""Reads the event files of a run with TensorBoard's own reader and compares them with metrics.jsonl, float32 for float32.

usage: python scripts/check_tensorboard.py OUTPUT_DIR        (needs PyPI tensorboard and numpy)
Every number of metrics.jsonl that has an event must be the same, every event must have its row, and there must be a loss.
"""
import json
import pathlib
import sys

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def tag_of(field):
    return "eval/" + field[5:] if field.startswith("eval_") else "train/" + field


def main():
    output = pathlib.Path(sys.argv[1])
    expected = {}
    for line in (output / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for field, value in row.items():
            if "eval_loss" in row and not field.startswith("eval_"):
                continue  # of an evaluation its own fields alone become events
            if field != "step" and isinstance(value, (int, float)) and not isinstance(value, bool):
                expected.setdefault(tag_of(field), {})[row["step"]] = numpy.float32(value)
    folders = [path for path in (output / "runs").iterdir() if path.is_dir()]
    if len(folders) != 1:
        sys.exit(f"check_tensorboard: {output / 'runs'} holds {len(folders)} folders, expected one")
    reader = EventAccumulator(str(folders[0]), size_guidance={"scalars": 0})
    reader.Reload()
    tags = reader.Tags()["scalars"]
    breaches, count = [], 0
    for tag in tags:
        events = {e.step: numpy.float32(e.value) for e in reader.Scalars(tag)}
        if len(events) != len(reader.Scalars(tag)):
            breaches.append(f"{tag}: a step stands there twice")
        if events != expected.get(tag, {}):
            different = sorted(step for step in events.keys() | expected.get(tag, {}).keys()
                               if events.get(step) != expected.get(tag, {}).get(step))
            breaches.append(f"{tag}: differs at steps {different[:5]}")
        count += len(events)
    if "train/loss" not in tags:
        breaches.append(f"no train/loss among {tags}")
    files = len(list(folders[0].glob("events.out.tfevents.*")))
    print("\n".join(breaches + [f"check_tensorboard: {files} files, {len(tags)} tags, {count} numbers, {len(breaches)} breaches"]))
    sys.exit(bool(breaches))


if __name__ == "__main__":
    main()
