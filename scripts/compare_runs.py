#!/usr/bin/env python3
"""Whether two builds of the program train to the same bits: the quickstart and examples/chat_tiny, each trained by both.

usage: scripts/compare_runs.py OLD NEW [--steps N]      # programs; --steps: of each run, for a quick look; threads: OMP_NUM_THREADS

Compared are every row of metrics.jsonl without its times and sizes, and every byte of the weights of the final model. On a CPU equal
programs are equal to the bit, whatever the machine; another number of threads gives other bits. Ends with 1 if anything differs."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGS = {"quickstart": "examples/quickstart/config.yaml", "chat_tiny": "examples/chat_tiny/config.yaml"}
# What a clock or the allocator says.
MEASURED = {"tokens_per_second", "samples_per_second", "tokens_per_second_per_device", "mfu", "mfu_lmms_engine", "step_ms", "data_wait_ms", "peak_memory_bytes",
            "eval_seconds"}


def train(program, config, output, steps):
    words = [program, "train", config, f"trainer_args.output_dir={output}", "trainer_args.use_cpu=true"]
    if steps:
        words.append(f"trainer_args.max_steps={steps}")
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1", **os.environ})
    if done.returncode != 0:
        sys.exit(f"{program} ended with {done.returncode} on {config}:\n{done.stdout[-2000:]}")


def rows(output):
    """The text of each row; numbers keep the digits that the program wrote."""
    def kept(pairs):
        return {key: value for key, value in pairs if key not in MEASURED}

    lines = (output / "metrics.jsonl").read_text().splitlines()
    return [json.dumps(json.loads(line, object_pairs_hook=kept, parse_float=str, parse_int=str)) for line in lines]


def difference(old, new):
    """None, or the first thing that differs."""
    before, now = rows(old), rows(new)
    for number, (a, b) in enumerate(zip(before, now), 1):
        if a != b:
            return f"row {number} of metrics.jsonl:\n  old {a}\n  new {b}"
    if len(before) != len(now):
        return f"metrics.jsonl has {len(now)} rows, before {len(before)}"
    for file in sorted(old.glob("model*.safetensors")):
        if file.read_bytes() != (new / file.name).read_bytes():
            return f"{file.name} of the final model"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    program = lambda path: shutil.which(os.path.abspath(path)) or parser.error(f"{path} is no program")
    parser.add_argument("old", metavar="OLD", type=program)
    parser.add_argument("new", metavar="NEW", type=program)
    parser.add_argument("--steps", type=int, default=0)
    args = parser.parse_args()
    os.chdir(Path(__file__).resolve().parent.parent)  # paths in the configs begin there
    differs = False
    with tempfile.TemporaryDirectory() as folder:
        for name, config in CONFIGS.items():
            outputs = {which: Path(folder) / which / name for which in ("old", "new")}
            for which, output in outputs.items():
                train(getattr(args, which), config, output, args.steps)
            found = difference(outputs["old"], outputs["new"])
            differs |= found is not None
            count = len(rows(outputs["old"]))
            print(f"{name}: " + (f"differs: {found}" if found else f"the same bits ({count} rows of metrics, the final weights)"), flush=True)
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
