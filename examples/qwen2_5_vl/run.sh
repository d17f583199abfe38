#!/usr/bin/env bash
# Fine-tunes Qwen2.5-VL on chats about pictures as example_config.yaml says; here a tiny one on handwritten digits, in twenty seconds on two cores.
# usage: examples/qwen2_5_vl/run.sh [LMMS] [KEY=VALUE ...]
source "$(dirname "$0")/../tiny/tiny.sh"

"$lmms" train examples/qwen2_5_vl/example_config.yaml \
  "model_config.load_from_pretrained_path=$checkpoint" \
  "dataset_config.processor_config.processor_name=$checkpoint" \
  trainer_args.output_dir=out/qwen2_5_vl \
  dataset_config.packing_length=1024 \
  "${digits[@]}" "${words[@]}"

what_came_of_it "Which digit is this?" "--image examples/quickstart/digit.png"
