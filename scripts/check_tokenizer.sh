#!/bin/bash
# Compares the tokenizer with HF tokenizers, ids and decoded text, on at least 5 MB of local text and random bytes, with the full
# Qwen vocabulary (read from tokenizer.json and from qwen.tiktoken) and with the small stored ones.
#   scripts/check_tokenizer.sh BUILD_FOLDER        PYTHON: an interpreter with tokenizers and dashscope (default python3)
set -euo pipefail
build=${1:?folder of a build, such as build/dev}
here=$(cd "$(dirname "$0")/.." && pwd)
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
cmake --build "$build" --target text_test
TOKENIZERS_PARALLELISM=false "${PYTHON:-python3}" "$here/tests/parity/tokenizer_corpus.py" "$corpus"
LMMS_TOKENIZER_CORPUS=$corpus "$build/bin/text_test" --gtest_filter='Corpus.*' --gtest_brief=1
