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

# A small SiT on digits, shortened: a run's grids, its average, its numbers; and what its real config says.
try_sit() {
  local family=scalable_interpolant_transformer text first last
  local output=out/$family config=examples/$family/example_config.yaml data=examples/$family
  text=$("examples/$family/run.sh" "$lmms" trainer_args.max_steps=8 trainer_args.eval_steps=4 trainer_args.warmup_steps=1 trainer_args.logging_steps=1 \
    trainer_args.eval_sample.per_class=1 trainer_args.eval_sample.steps=2 2>&1) || fail "$family/run.sh failed:" "$text"
  [[ $text == *"Look at it:"*"$output/digits.png"* ]] || fail "$family/run.sh does not say where to look:" "$text"
  for file in samples/step-0.png samples/step-4.png samples/step-8.png digits.png report.html model.safetensors ema/model.safetensors config.json; do
    [ -s "$output/$file" ] || fail "$family left no $file"
  done
  grep -q '"samples_per_second":' "$output/metrics.jsonl" || fail "$family: no images a second in metrics.jsonl"
  if grep -q perplexity "$output/metrics.jsonl"; then fail "$family: a perplexity of images in metrics.jsonl"; fi
  [ "$(grep -c '"kind":"samples"' "$output/journal.jsonl")" = 3 ] || fail "$family: the journal does not tell of three grids"
  first=$(sed -n 's/.*"eval_loss":\([0-9.]*\).*/\1/p' "$output/metrics.jsonl" | head -n 1)
  last=$(sed -n 's/.*"eval_loss":\([0-9.]*\).*/\1/p' "$output/metrics.jsonl" | tail -n 1)
  awk -v first="$first" -v last="$last" 'BEGIN { exit !(last < first - 0.05) }' || fail "$family: eval_loss went from $first to $last"
  text=$("$lmms" plan "$config" --card h100 --steps 1 dataset_config.dataset_format=parquet "dataset_config.dataset_path=$data/train.parquet" \
    model_config.load_from_config.config.in_channels=3 model_config.load_from_config.config.vae_path=null trainer_args.eval_sample=null \
    trainer_args.eval_strategy=no model_config.load_from_config.config.depth=2 2>&1) || fail "$family: lmms plan:" "$text"
  [[ $text == *h100*GiB* ]] || fail "$family: lmms plan says nothing of the card:" "$text"
  if text=$("$lmms" train "$config" 2>&1); then fail "$family: a config without its data was trained"; fi
  [[ $text == *"example_config.yaml:"*"does not exist"* ]] || fail "$family: the config as it stands:" "$text"
  echo "$family: eval_loss $first -> $last"
}

head -n 24 "$repository/examples/tiny/eval.jsonl" >tiny.jsonl
head -n 24 "$repository/examples/quickstart/eval.jsonl" >quickstart.jsonl
for family in qwen2_5_llm qwen3_llm llama; do try $family tiny; done
for family in qwen2_5_vl qwen3_vl llava_onevision; do try $family quickstart; done
try_sit
# masked diffusion: eval_loss falls, the masks of a line are filled in, the real config fits a card
try_diffusion() {
  local family=diffusion_language_model output=out/diffusion_language_model text first last
  text=$("examples/$family/run.sh" "$lmms" trainer_args.max_steps=12 trainer_args.eval_steps=12 2>&1) || fail "$family/run.sh failed:" "$text"
  [[ $text == *"A stitch in [MASK] saves [MASK]."*"What next:"* ]] || fail "$family/run.sh does not fill in:" "$text"
  first=$(sed -n 's/.*"eval_loss":\([0-9.]*\).*/\1/p' "$output/metrics.jsonl" | head -n 1)
  last=$(sed -n 's/.*"eval_loss":\([0-9.]*\).*/\1/p' "$output/metrics.jsonl" | tail -n 1)
  awk -v first="$first" -v last="$last" 'BEGIN { exit !(last < first - 0.3) }' || fail "$family: eval_loss went from $first to $last"
  grep -q '"mask_token_id": *2143' "$output/config.json" || fail "$family: config.json does not say the mask token"
  local real=("model_config.load_from_pretrained_path=$output" "dataset_config.processor_config.processor_name=$output"
    dataset_config.dataset_path=examples/$family/data/train.jsonl dataset_config.packing_length=2048)
  text=$("$lmms" plan "examples/$family/example_config.yaml" --card h100 --steps 1 "${real[@]}" 2>&1) || fail "$family: lmms plan:" "$text"
  text=$("$lmms" preview "examples/$family/example_config.yaml" -n 3 --no-color "${real[@]}" 2>&1) || fail "$family: lmms preview:" "$text"
  [[ $text == *"masked ("*" · t 0."*"[MASK]"* ]] || fail "$family: lmms preview shows no masks:" "$text"
  echo "$family: eval_loss $first -> $last"
}
try_diffusion
for config in "$repository"/examples/*/example_config.yaml; do
  [ -e "$room/out/$(basename "$(dirname "$config")")" ] || fail "$config is not tried here"
done
echo "examples_test: passed"
