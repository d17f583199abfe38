#!/usr/bin/env bash
# Trains 40 steps of a Qwen3 shape on packed chats and prints the median of the last 30 with their spread.
# usage: bench/qwen3/run.sh SHAPE LMMS QWEN_TIKTOKEN [key=value ...]
#   SHAPE: 0.6b, or 8b_l12 (Qwen3-8B cut to 12 layers); LMMS: the program
#   QWEN_TIKTOKEN: the Qwen vocabulary (the PyPI package dashscope carries qwen.tiktoken)
set -euo pipefail
usage() { echo "usage: bench/qwen3/run.sh 0.6b|8b_l12 LMMS QWEN_TIKTOKEN [key=value ...]" >&2; exit 2; }
[ $# -ge 3 ] || usage
case $1 in 0.6b | 8b_l12) config=bench/qwen3/$1.yaml ;; *) usage ;; esac
lmms=$(readlink -f "$2") vocabulary=$(readlink -f "$3")
cd "$(dirname "$0")/../.."
mkdir -p build/bench/tokenizer
cp "$vocabulary" build/bench/tokenizer/qwen.tiktoken
[ -e build/bench/chats.jsonl ] || python3 bench/qwen3/make_chats.py 2000 build/bench/chats.jsonl
rm -rf build/bench/out
start=$(date +%s.%N)
"$lmms" train "$config" "${@:4}"
python3 bench/summary.py build/bench/out/metrics.jsonl "$start"
