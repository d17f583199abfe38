#!/usr/bin/env bash
# Trains 40 steps of SiT-XL/2 on random cached latents and prints the median of the last 30 with their spread.
# usage: bench/sit/run.sh BATCH LMMS [key=value ...]
#   BATCH: images a step; LMMS: the program
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: bench/sit/run.sh BATCH LMMS [key=value ...]" >&2; exit 2; }
batch=$1 lmms=$(readlink -f "$2")
cd "$(dirname "$0")/../.."
mkdir -p build/bench
[ -e build/bench/latents/index.json ] || python3 bench/sit/make_latents.py 12288 build/bench/latents
rm -rf build/bench/out
start=$(date +%s.%N)
"$lmms" train bench/sit/xl2.yaml trainer_args.per_device_train_batch_size="$batch" "${@:3}"
python3 bench/summary.py build/bench/out/metrics.jsonl "$start"
