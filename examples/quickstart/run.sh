#!/usr/bin/env bash
# Trains examples/quickstart/config.yaml and says what came of it.
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
cat <<END

Loss on 64 conversations that the model never saw: $before before training, $after after.
(8.32 would be guessing: the logarithm of the vocabulary's 4096 tokens.)

The model is in $output, as a Hugging Face checkpoint:
    python3 -c "from transformers import AutoModelForCausalLM as M; print(M.from_pretrained('$output'))"
What next:
    less $output/metrics.jsonl         every step's loss, speed and memory
    $program train examples/quickstart/config.yaml trainer_args.output_dir=out/longer trainer_args.num_train_epochs=6
    $program list      the models, data sets and schedules that a config can name
    docs/guide/        your own data and your own checkpoint
END
