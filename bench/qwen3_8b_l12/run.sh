#!/usr/bin/env bash
# Trains 40 steps of the shape of Qwen3-8B cut to 12 layers on packed chats and prints the median of the last 30 with their spread.
# usage: bench/qwen3_8b_l12/run.sh LMMS QWEN_TIKTOKEN [key=value ...]
#   LMMS: the program; QWEN_TIKTOKEN: the Qwen vocabulary (the PyPI package dashscope carries qwen.tiktoken)
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: bench/qwen3_8b_l12/run.sh LMMS QWEN_TIKTOKEN [key=value ...]" >&2; exit 2; }
lmms=$(readlink -f "$1") vocabulary=$(readlink -f "$2")
cd "$(dirname "$0")/../.."
mkdir -p build/bench/tokenizer
cp "$vocabulary" build/bench/tokenizer/qwen.tiktoken
[ -e build/bench/chats.jsonl ] || python3 bench/qwen3_0.6b/make_chats.py 2000 build/bench/chats.jsonl
rm -rf build/bench/out
start=$(date +%s.%N)
"$lmms" train bench/qwen3_8b_l12/config.yaml "${@:3}"
python3 bench/summary.py build/bench/out/metrics.jsonl "$start"
