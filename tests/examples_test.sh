#!/usr/bin/env bash
# Runs every family's examples/FAMILY/run.sh for a few steps in a folder of its own, and asks of each: the loss fell, the report and the model
# are there, its example_config.yaml fits a card with the tiny checkpoint, and a config that is as it stands names what is missing.
# usage: tests/examples_test.sh LMMS
set -euo pipefail
fail() { printf 'examples_test: %s\n' "$@" >&2; exit 1; }
repository=$(cd "$(dirname "$0")/.." && pwd)
lmms=$(cd "$(dirname "$1")" && pwd)/${1##*/}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
ln -s "$repository/examples" "$room/examples"  # run.sh works where the folder examples is
cd "$room"

try() {
  local family=$1 output=out/$1 config=examples/$1/example_config.yaml text first last
  local data="dataset_config.datasets=[{path: examples/$2/train.jsonl}]"  # of what run.sh trains on
  text=$("examples/$family/run.sh" "$lmms" trainer_args.max_steps=6 trainer_args.eval_steps=6 trainer_args.warmup_ratio=0 \
    "dataset_config.eval_dataset_path=$room/$2.jsonl" "trainer_args.eval_generate={rows: 2, max_new_tokens: 4}" 2>&1) ||
    fail "$family/run.sh failed:" "$text"
  [[ $text == *"Look at it:"*"$output/report.html"*"$lmms chat $output"* ]] || fail "$family/run.sh does not say where to look:" "$text"
  first=$(sed -n 's/.*"eval_loss":\([0-9.]*\).*/\1/p' "$output/metrics.jsonl" | head -n 1)
  last=$(sed -n 's/.*"eval_loss":\([0-9.]*\).*/\1/p' "$output/metrics.jsonl" | tail -n 1)
  awk -v first="$first" -v last="$last" 'BEGIN { exit !(last < first - 0.3) }' || fail "$family: eval_loss went from $first to $last"
  for file in report.html model.safetensors config.json tokenizer.json; do
    [ -s "$output/$file" ] || fail "$family left no $file"
  done
  # What a user does next, with the config as it is but for model and data.
  local real=("model_config.load_from_pretrained_path=out/tiny/$family" "dataset_config.processor_config.processor_name=out/tiny/$family" "$data")
  text=$("$lmms" plan "$config" --card h100 --steps 1 "${real[@]}" dataset_config.packing_length=2048 2>&1) || fail "$family: lmms plan:" "$text"
  [[ $text == *"of h100"* || $text == *"h100"*"GiB"* ]] || fail "$family: lmms plan says nothing of the card:" "$text"
  text=$("$lmms" preview "$config" -n 1 --no-color "${real[@]}" 2>&1) || fail "$family: lmms preview:" "$text"
  if text=$("$lmms" train "$config" 2>&1); then fail "$family: a config without its data was trained"; fi
  [[ $text == *"example_config.yaml:"*"does not exist"* ]] || fail "$family: the config as it stands:" "$text"
  echo "$family: eval_loss $first -> $last"
}

head -n 24 "$repository/examples/tiny/eval.jsonl" >tiny.jsonl
head -n 24 "$repository/examples/quickstart/eval.jsonl" >quickstart.jsonl
for family in qwen2_5_llm qwen3_llm llama; do try $family tiny; done
for family in qwen2_5_vl qwen3_vl llava_onevision; do try $family quickstart; done
for config in "$repository"/examples/*/example_config.yaml; do
  [ -e "$room/out/$(basename "$(dirname "$config")")" ] || fail "$config is not tried here"
done
echo "examples_test: passed"
