"""Races lmms against the Python project (lmms_engine 0.1.4) on one GPU: the same config, data and checkpoint, alternated.

    python bench/race/race.py --lmms LMMS --peer PEER --root ROOT --out OUT [--rounds 1] [--steps 30] W1 W2 ...

PEER: a folder with workloads.py (name -> the project's own config) and run_peer.py, which runs one of them and adds a line of JSON to
a file; ROOT: the checkpoints and data that those configs name. lmms reads the same config, written as YAML, under the overrides of
RUNS below. OUT/race.md is the page, OUT/race.json its numbers.
"""
import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time

# workload -> the Python project's configs, with its settings, and our overrides of the first of them
AUTO, PURE = "trainer_args.gradient_checkpointing=auto", "trainer_args.master_weights=false"
RUNS = {
    "w1": (["w1-nogc"], [[AUTO], []]),
    "w2": (["w2"], [[AUTO], [AUTO, PURE]]),
    "w3": (["w3-nogc"], [[AUTO], [AUTO, PURE]]),
}
WARM = 10  # steps of ours that do not count


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("lmms", "peer", "root", "out"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--limit", type=float, default=1e9, help="seconds after which nothing more is started")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("workloads", nargs="+", choices=sorted(RUNS))
    return parser.parse_args()


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def run_ours(a, config, overrides, folder):
    config = dict(config, trainer_args=dict(config["trainer_args"], output_dir=folder, max_steps=a.steps,
                                            gradient_checkpointing=False, save_strategy="no"))
    file = folder + ".yaml"
    with open(file, "w") as f:
        json.dump(config, f)  # JSON is YAML
    start = time.time()
    done = subprocess.run([a.lmms, "train", file, *overrides], capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": done.stderr[-600:]}
    rows = [json.loads(line) for line in open(os.path.join(folder, "metrics.jsonl"))]
    rows = [row for row in rows if "loss" in row]
    steady = rows[WARM:]
    seconds = sum(row["step_ms"] for row in steady) / 1e3
    first = os.path.getmtime(os.path.join(folder, "metrics.jsonl")) - start - sum(r["step_ms"] for r in rows[1:]) / 1e3
    chosen = re.search(r"auto runs again (.*?) \(", done.stderr)
    return {
        "tokens_per_second": sum(row["tokens"] for row in steady) / seconds,
        "mfu": sum(row["mfu"] * row["step_ms"] for row in steady) / seconds / 1e3,
        "step_ms": [quantile([row["step_ms"] for row in steady], q) for q in (0.5, 0.1, 0.9)],
        "peak_gib": max(row["peak_memory_bytes"] for row in rows) / 2**30,
        "first_step_s": first,
        "recompute": chosen.group(1) if chosen else "",
    }


def run_peer(a, name, results):
    before = len(open(results).readlines()) if os.path.exists(results) else 0
    subprocess.run([sys.executable, os.path.join(a.peer, "run_peer.py"), name, a.root, results], capture_output=True, text=True)
    lines = open(results).readlines() if os.path.exists(results) else []
    return json.loads(lines[-1]) if len(lines) > before else {"error": "no result"}


def gpu():
    query = "name,driver_version,memory.total"
    out = subprocess.run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"], capture_output=True, text=True)
    return out.stdout.strip() or "no GPU"


def main():
    a = arguments()
    begin = time.time()
    sys.path.insert(0, a.peer)
    from workloads import WORKLOADS

    os.makedirs(a.out, exist_ok=True)
    results = []
    for turn in range(a.rounds):
        for workload in a.workloads:
            names, settings = RUNS[workload]
            ours = [("lmms", overrides) for overrides in settings]
            theirs = [] if a.ours_only else [("peer", name) for name in names]
            for i in range(max(len(ours), len(theirs))):
                for kind, what in theirs[i:i + 1] + ours[i:i + 1]:
                    if time.time() - begin > a.limit:
                        continue
                    if kind == "peer":
                        row = run_peer(a, what, os.path.join(a.out, "peer.jsonl"))
                    else:
                        folder = tempfile.mkdtemp(prefix=f"race_{workload}_")
                        row = run_ours(a, WORKLOADS[names[0]](a.root, folder, a.steps), what, folder)
                    results.append({**row, "workload": workload, "side": kind, "what": what, "round": turn})
                    print(json.dumps(results[-1])[:900], flush=True)
    version = subprocess.run([a.lmms, "--version"], capture_output=True, text=True).stdout.strip()
    with open(os.path.join(a.out, "race.json"), "w") as f:
        json.dump({"gpu": gpu(), "host": platform.platform(), "lmms": version, "results": results}, f, indent=1)
    write_page(os.path.join(a.out, "race.md"), version, results)


def write_page(file, version, results):
    lines = ["# lmms beside the Python project", "", f"{gpu()}; {platform.platform()}; {version}; command:", "",
             "```", " ".join(sys.argv), "```", "",
             "| workload | side | settings | tokens a second | MFU | step, median (p10 to p90) | peak | end of first step |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in results:
        what = r["what"] if isinstance(r["what"], str) else " ".join(r["what"]) or "defaults"
        if r["side"] == "lmms" and "error" in r:
            lines.append(f"| {r['workload']} | {r['side']} | {what} | {r['error'][:80]} | | | | |")
        elif r["side"] == "lmms":
            median, low, high = r["step_ms"]
            lines.append(f"| {r['workload']} | lmms | {what} {r['recompute']} | {r['tokens_per_second']:,.0f} | {100 * r['mfu']:.1f} % "
                         f"| {median:.0f} ms ({low:.0f} to {high:.0f}) | {r['peak_gib']:.1f} GiB | {r['first_step_s']:.1f} s |")
        elif r.get("tok_s"):
            lines.append(f"| {r['workload']} | Python | {what}, bf16 states | {r['tok_s']:,.0f} | {100 * r['mfu_causal']:.1f} % "
                         f"| {r['ms_step']:.0f} ms ({r['ms_step_min']:.0f} to {r['ms_step_max']:.0f}, all) | {r['mem_alloc_gib']:.1f} GiB "
                         f"| {r['first_step_s']:.1f} s |")
        else:
            lines.append(f"| {r['workload']} | Python | {what} | {r.get('error')} | | | | |")
    with open(file, "w") as f:
        f.write("\n".join(lines) + "\n")


main()
