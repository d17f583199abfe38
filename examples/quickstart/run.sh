#!/usr/bin/env bash
# Trains examples/quickstart/config.yaml, asks the model before and after, and says what came of it.
# usage: examples/quickstart/run.sh PROGRAM     from the top of the repository
set -euo pipefail
program=$1
output=out/quickstart
# Threads that wait sleep instead of spinning: six times faster wherever something else runs beside the training.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
"$program" train examples/quickstart/config.yaml
"$program" generate "$output" --image examples/quickstart/digit.png --prompt "Which digit is this?"
