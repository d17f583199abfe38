#!/usr/bin/env bash
# Trains examples/quickstart/config.yaml, asks the model before and after, and says what came of it.
# usage: examples/quickstart/run.sh PROGRAM     from the top of the repository
set -euo pipefail
program=$1
output=out/quickstart
# Threads that wait sleep instead of spinning: six times faster wherever something else runs beside the training.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
"$program" train examples/quickstart/config.yaml

losses=$(sed -n 's/.*"eval_loss":[ ]*\([0-9.eE+-]*\).*/\1/p' "$output/metrics.jsonl")
before=$(LC_ALL=C printf %.3f "$(head -n 1 <<<"$losses")")
after=$(LC_ALL=C printf %.3f "$(tail -n 1 <<<"$losses")")
answer() {  # the first answer of the first or last evaluation
  sed -n 's/^{"kind":"generation".*"answers":\[{"answer":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$output/journal.jsonl" | "$@" | cut -c 1-70
}
cat <<END

Loss on 64 conversations that the model never saw: $before before training, $after after.
(8.32 would be guessing: the logarithm of the vocabulary's 4096 tokens.)

"Hi there! How are you?"
    before training:  $(answer head -n 1)
    after training:  $(answer tail -n 1)

What next:
    $program chat $output
        talk with it
    $program preview examples/quickstart/config.yaml
        what it was trained on, token by token
    $program report $output
        curves, answers, data: open the page it names in a browser
END
