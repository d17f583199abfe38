#!/usr/bin/env bash
# Trains 25 steps of Qwen2.5-VL-3B's shape on packed chats with images and prints the median of the last 15 with their spread.
# A sample has one image: samples/s are images/s.
# usage: bench/qwen2_5_vl_3b/run.sh LMMS [key=value ...]      needs Python with numpy and Pillow the first time
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: bench/qwen2_5_vl_3b/run.sh LMMS [key=value ...]" >&2; exit 2; }
lmms=$(readlink -f "$1")
cd "$(dirname "$0")/../.."
[ -e build/bench/vl/chats.jsonl ] || python3 bench/qwen2_5_vl_3b/make_data.py examples/chat_tiny/tokenizer build/bench/vl
rm -rf build/bench/vl/out
start=$(date +%s.%N)
"$lmms" train bench/qwen2_5_vl_3b/config.yaml "${@:2}"
python3 bench/summary.py build/bench/vl/out/metrics.jsonl "$start"
