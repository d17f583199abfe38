#!/usr/bin/env bash
# Fine-tunes Llama 3.2 on chats as example_config.yaml says; here a tiny Llama on chats about counting, in ten seconds on two cores.
# usage: examples/llama/run.sh [LMMS] [KEY=VALUE ...]
source "$(dirname "$0")/../tiny/tiny.sh"

"$lmms" train examples/llama/example_config.yaml \
  "model_config.load_from_pretrained_path=$checkpoint" \
  "dataset_config.processor_config.processor_name=$checkpoint" \
  trainer_args.output_dir=out/llama \
  dataset_config.packing_length=1024 \
  "${chats[@]}" "${words[@]}"

what_came_of_it "Which number comes after 37?"
