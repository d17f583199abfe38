"""Prints what a run's metrics.jsonl says: the median step after a warm-up of ten, with the 10th and 90th percentile.

    python summary.py METRICS.jsonl [START]        START: when the program was started, seconds since 1970
"""
import json
import os
import sys


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def main():
    rows = [json.loads(line) for line in open(sys.argv[1])]
    rows = [row for row in rows if "loss" in row]
    steady = rows[10:] or rows
    for key, scale, unit in (("step_ms", 1, "ms"), ("data_wait_ms", 1, "ms"), ("tokens_per_second", 1e-3, "k tok/s"),
                             ("mfu", 100, "%"), ("mfu_lmms_engine", 100, "%"), ("peak_memory_bytes", 2**-30, "GiB")):
        values = [row[key] * scale for row in steady]
        print(f"{key:20} median {quantile(values, .5):10.2f}  p10 {quantile(values, .1):10.2f}  p90 {quantile(values, .9):10.2f} {unit}")
    seconds = sum(row["step_ms"] for row in steady) / 1e3
    waited = sum(row["data_wait_ms"] for row in steady) / 1e3
    print(f"{'all steady steps':20} {sum(row['tokens'] for row in steady) / seconds / 1e3:.2f}k tok/s, "
          f"{sum(row['samples'] for row in steady) / seconds:.2f} samples/s, waiting for data {100 * waited / seconds:.3f} %, "
          f"MFU {sum(row['mfu'] * row['step_ms'] for row in steady) / seconds / 10:.2f} %")
    print(f"{'loss':20} first {rows[0]['loss']:.4f} last {rows[-1]['loss']:.4f} over {len(rows)} steps")
    print(f"{'first step':20} {rows[0]['step_ms']:.0f} ms")
    if len(sys.argv) > 2:
        wall = os.path.getmtime(sys.argv[1]) - float(sys.argv[2])
        first = wall - sum(row["step_ms"] for row in rows[1:]) / 1e3
        print(f"{'end of first step':20} {first:.1f} s after the start")


main()
