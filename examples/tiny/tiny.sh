#!/usr/bin/env bash
# What every family's run.sh shares and sources. It goes to the top of the repository, where the paths in the configs begin, and sets
#   lmms        the program: the first word, else what `make` built here, else lmms of the PATH
#   words       the other words, KEY=VALUE, which come last on the command line
#   checkpoint  a tiny checkpoint of the family with random weights, which is made of tiny_model.yaml
#   chats, digits   what such a model needs in place of the real config's values, for chats about counting and about pictures of digits
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)
family=${folder##*/}

usage() {
  echo "usage: examples/$family/run.sh [LMMS] [KEY=VALUE ...]     LMMS: the program; without it, what make built, else lmms of the PATH"
}
words=("$@")
lmms=
case ${1-} in
  -h | --help) usage && exit ;;
  '' | '~'* | *=*) ;;
  */*) lmms=$(cd "$(dirname "$1")" && pwd)/${1##*/} ;;
  *) lmms=$1 ;;
esac
[ -z "$lmms" ] || words=("${@:2}")
cd "$folder/../.."
for built in build/dev/bin/lmms build/release/bin/lmms; do
  if [ -z "$lmms" ] && [ -x "$built" ]; then lmms=$built; fi
done
lmms=${lmms:-lmms}
lmms=${lmms#"$PWD/"}
if ! command -v "$lmms" >/dev/null; then
  echo "examples/$family/run.sh: no program '$lmms' here; make build builds it. $(usage)" >&2
  exit 2
fi
output=out/$family
for word in "${words[@]}"; do
  case $word in trainer_args.output_dir=*) output=${word#*=} ;; esac
done

checkpoint=out/tiny/$family
mkdir -p "$checkpoint"
echo "$checkpoint: a tiny checkpoint with random weights, made of examples/$family/tiny_model.yaml"
if ! "$lmms" train "examples/$family/tiny_model.yaml" "trainer_args.output_dir=$checkpoint" >"$checkpoint.log" 2>&1; then
  cat "$checkpoint.log" >&2
  exit 1
fi

small=(
  "~trainer_args.num_train_epochs"  # max_steps decides
  trainer_args.resume_from_checkpoint=false  # anew, whatever an earlier call left
  trainer_args.use_cpu=true trainer_args.bf16=false
  trainer_args.dataloader_num_workers=1
  trainer_args.eval_strategy=steps trainer_args.eval_on_start=true
)
chats=(
  "dataset_config.datasets=[{path: examples/tiny/train.jsonl}]"
  dataset_config.eval_dataset_path=examples/tiny/eval.jsonl
  "${small[@]}"
  trainer_args.learning_rate=4e-3 trainer_args.max_steps=400 trainer_args.eval_steps=200
  trainer_args.per_device_eval_batch_size=64
  "trainer_args.eval_generate={rows: 60, max_new_tokens: 24}"
)
# The tower has random weights here: it is trained, too.
digits=(
  "dataset_config.datasets=[{path: examples/quickstart/train.jsonl}]"
  dataset_config.eval_dataset_path=examples/quickstart/eval.jsonl
  "${small[@]}"
  "trainer_args.freeze_modules=[]"
  trainer_args.learning_rate=3e-3 trainer_args.max_steps=400 trainer_args.eval_steps=200
  trainer_args.per_device_eval_batch_size=64
  "trainer_args.eval_generate={rows: 120, max_new_tokens: 12}"
)

# The values of a field in the run's metrics, a line each.
values() { sed -n "s/.*\"$1\":[ ]*\([0-9.eE+-]*\).*/\1/p" "$output/metrics.jsonl"; }
# The first answer of every evaluation, a line each; what is no printable character is a `?`.
answers() {
  sed -n 's/^{"kind":"generation".*"answers":\[{"answer":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$output/journal.jsonl" |
    sed 's/\\[nrt]/ /g; s/\\u[0-9a-f]\{4\}/?/g; s/\\\(["\\]\)/\1/g' |
    LC_ALL=C sed "s/$(printf '\357\277\275')/?/g; s/^ *\$/(nothing)/" | cut -c 1-100
}

# Says what came of the run, where to look, and the same with a real checkpoint. Words: the question that answers() shows; arguments of chat.
what_came_of_it() {
  local real exact data="{path: chats.jsonl}"
  [ -z "${2-}" ] || data="{path: chats.jsonl, data_folder: media}"
  real=$(sed -n 's/^  load_from_pretrained_path: *\([^ ]*\).*/\1/p' "examples/$family/example_config.yaml")
  exact=$(values eval_exact | tail -n 1)
  cat <<END

After $(values step | tail -n 1) steps eval_loss is $(values eval_loss | tail -n 1 | cut -c 1-6); it began at $(values eval_loss | head -n 1 | cut -c 1-6).${exact:+
Of the chats that it never saw it answers $(awk -v share="$exact" 'BEGIN { printf "%.0f %%", 100 * share }') to the letter.}
"$1"
    before:  $(answers | head -n 1)
    after:   $(answers | tail -n 1)

Look at it:
    $output/report.html in a browser
        curves, the answers at every evaluation, the data
    $lmms chat $output${2:+ $2}
        talk with it
With a real checkpoint (hf download $real) and your data, on a GPU:
    $lmms plan examples/$family/example_config.yaml 'dataset_config.datasets=[$data]'
        whether it fits, and how long a step will take
    $lmms train examples/$family/example_config.yaml 'dataset_config.datasets=[$data]'
END
}
