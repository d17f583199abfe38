#!/usr/bin/env bash
# Trains examples/quickstart/config.yaml, asks the model before and after, and says what came of it.
# usage: examples/quickstart/run.sh PROGRAM     from the top of the repository
set -euo pipefail
program=$1
output=out/quickstart
question="Which digit is this?"
picture=examples/quickstart/digit.png
"$program" train examples/quickstart/config.yaml

exact=$(sed -n 's/.*"eval_exact":[ ]*\([0-9.eE+-]*\).*/\1/p' "$output/metrics.jsonl" | tail -n 1)
before=$(sed -n 's/^{"kind":"generation".*"answers":\[{"answer":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$output/journal.jsonl" | head -n 1 | cut -c 1-60)
after=$("$program" generate "$output" --cpu --draw --image "$picture" --prompt "$question")
cat <<END

Of 360 digits that the model never saw it answers $(awk -v share="$exact" 'BEGIN { printf "%.0f (%.1f %%)", 360 * share, 100 * share }') exactly. One of them:

$(sed '$d; s/^/    /' <<<"$after")

"$question"
    before training:  $before
    after training:   $(tail -n 1 <<<"$after")

What next:
    $program report $output
        the answers as a grid of pictures, curves, data: open the page it names in a browser
    $program chat $output --image $picture
        talk with it about that picture
    $program preview examples/quickstart/config.yaml
        what it was trained on, token by token
END
