#!/usr/bin/env bash
# Fine-tunes Qwen3 on chats as example_config.yaml says; here a tiny Qwen3 on chats about counting, in ten seconds on two cores.
# usage: examples/qwen3_llm/run.sh [LMMS] [KEY=VALUE ...]
source "$(dirname "$0")/../tiny/tiny.sh"

"$lmms" train examples/qwen3_llm/example_config.yaml \
  "model_config.load_from_pretrained_path=$checkpoint" \
  "dataset_config.processor_config.processor_name=$checkpoint" \
  trainer_args.output_dir=out/qwen3_llm \
  dataset_config.packing_length=1024 \
  "${chats[@]}" "${words[@]}"

what_came_of_it "Which number comes after 37?"
