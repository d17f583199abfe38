#!/bin/bash
# Compares decoding, resizing, patches and tiles with Pillow, torchvision and Hugging Face's image processors, on 450 files: more than
# 200 JPEGs of odd sizes up to 1800 x 1400 pixels, every format, damaged files. Every value must be equal bit for bit.
#   scripts/check_images.sh BUILD_FOLDER      PYTHON: an interpreter with torch, torchvision, transformers and Pillow (default python3)
set -euo pipefail
build=${1:?folder of a build, such as build/dev}
here=$(cd "$(dirname "$0")/.." && pwd)
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
cmake --build "$build" --target media_test
"${PYTHON:-python3}" "$here/tests/parity/make_images.py" --check "$corpus" | tail -n 1
LMMS_IMAGE_CORPUS=$corpus "$build/bin/media_test" --gtest_filter='*Parity*'
