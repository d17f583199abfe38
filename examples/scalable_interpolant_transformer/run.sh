#!/usr/bin/env bash
# Trains examples/scalable_interpolant_transformer/quickstart.yaml anew and says where the digits are that it wrote.
# usage: examples/scalable_interpolant_transformer/run.sh [LMMS] [KEY=VALUE ...]
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ $# -gt 0 ] && [[ $1 != *=* ]]; then
  lmms=$1
  shift
elif [ -x build/dev/bin/lmms ]; then
  lmms=build/dev/bin/lmms
else
  lmms=lmms
fi
output=out/scalable_interpolant_transformer
"$lmms" train examples/scalable_interpolant_transformer/quickstart.yaml trainer_args.resume_from_checkpoint=false "$@"
"$lmms" sample "$output" --cpu --guidance 2 --seed 1 --output "$output/digits.png"
cat <<END

Look at it:
    $output/digits.png
        eight of each digit that nobody wrote
    $output/report.html
        the same noise at every evaluation: how digits came out of it; curves
Then:
    $lmms sample $output --cpu --class 3,7 --per-class 32 --sampler heun --output out/threes_and_sevens.png
    $lmms preview examples/scalable_interpolant_transformer/quickstart.yaml
        an image as the model sees it
END
