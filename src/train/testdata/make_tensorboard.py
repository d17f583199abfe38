#!/usr/bin/env python3
"""Writes tensorboard.tfevents with TensorBoard's own protobuf classes and record writer (tensorboard 2.21.0).

tensorboard_test.cpp encodes the same events and compares the bytes.
usage: python make_tensorboard.py        (pip install tensorboard==2.21.0)
"""
import pathlib

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

EVENTS = [
    Event(wall_time=1764000000.25, file_version="brain.Event:2"),
    Event(wall_time=1764000000.5, step=101, session_log=SessionLog(status=SessionLog.START)),
]


def scalars(wall_time, step, values):
    return Event(wall_time=wall_time, step=step,
                 summary=Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values]))


EVENTS += [
    scalars(1764000001.0, 101, [("train/loss", 2.3456789), ("train/learning_rate", 1e-5), ("train/grad_norm", 0.0)]),
    scalars(1764000002.125, 0, [("eval/loss", -1.5)]),                      # step 0 has no field
    scalars(0.0, 1 << 40, [("train/a longer name, ümlaut", 3.4e38)]),      # a varint of six bytes
    scalars(1764000003.0, 102, [("train/loss", float("nan")), ("train/x", float("inf"))]),
    scalars(1764000004.0, 300, [(f"train/term_{i}", i / 7) for i in range(20)]),  # lengths beyond one byte
    scalars(1764000005.0, 301, []),
]

if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("tensorboard.tfevents")
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for event in EVENTS:
            writer.write(event.SerializeToString())
        writer.flush()
    print(path, path.stat().st_size, "bytes")
