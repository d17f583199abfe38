#!/usr/bin/env bash
# Builds examples/plugin against an installation, trains and resumes it, asks the trained model, and tries libraries that must be refused.
# usage: tests/plugin_test.sh BUILD     BUILD: a build folder with the target programs built
set -euo pipefail
fail() { printf 'plugin_test: %s\n' "$@" >&2; exit 1; }
repository=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
room=$(mktemp -d "$build/plugin_test.XXXXXX")
trap 'rm -rf "$room"' EXIT
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} LMMS_DEVICE=cpu

# The installation: libtorch, which is large, is a link to what it would be a copy of.
for component in cpu common devel; do
  cmake --install "$build" --component "$component" --prefix "$room/lmms" >/dev/null
done
site=$(sed -n 's/^SITE:PATH=//p' "$build/CMakeCache.txt")
for folder in torch pyarrow nvidia; do [ ! -e "$site/$folder" ] || ln -s "$site/$folder" "$room/lmms/lib/lmms/$folder"; done
lmms=$room/lmms/bin/lmms

cd "$room"
mkdir examples
ln -s "$repository/examples/quickstart" examples/quickstart
cp -r "$repository/examples/plugin" examples/plugin
rm -rf examples/plugin/build
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
build_plugin() {  # FOLDER OPTIONS...
  cmake -S examples/plugin -B "$1" -DCMAKE_PREFIX_PATH="$room/lmms" -DCMAKE_CXX_COMPILER="$compiler" "${@:2}" >log 2>&1 &&
    cmake --build "$1" -j2 >>log 2>&1 || fail "the plugin was not built:" "$(tail -n 30 log)"
}
build_plugin examples/plugin/build -DCMAKE_CXX_FLAGS=-O1
library=examples/plugin/build/libdates.so config=examples/plugin/config.yaml

text=$("$lmms" list --plugin "$library") || fail "lmms list --plugin failed"
for name in gated_convolution table_text regularised_trainer; do
  grep -E "^  $name .*\[$library\]$" <<<"$text" >/dev/null || fail "list does not show where $name comes from:" "$text"
done
grep -E '^  fsdp2_trainer .*\[' <<<"$text" && fail "list calls a name of the program a plugin's"
text=$("$lmms" help regularised_trainer --plugin "$library")
[[ $text == *"label smoothing"* ]] || fail "help does not know the plugin's trainer:" "$text"
text=$("$lmms" preview "$config" -n 1 --no-color) || fail "preview failed:" "$text"
[[ $text == *"2004-07-11"* ]] || fail "preview does not show the first row:" "$text"
text=$("$lmms" plan "$config" --steps 1 2>&1) || fail "plan failed:" "$text"

# Ten steps at once, and in two parts: the same weights.
steps=(trainer_args.max_steps=10 trainer_args.logging_steps=1 trainer_args.eval_strategy=steps trainer_args.eval_steps=10
  trainer_args.save_strategy=steps)
"$lmms" train "$config" -q "${steps[@]}" trainer_args.save_steps=10 trainer_args.output_dir=whole >log 2>&1 || fail "train:" "$(<log)"
"$lmms" train "$config" -q "${steps[@]}" trainer_args.save_steps=5 trainer_args.output_dir=parts >log 2>&1 || fail "train:" "$(<log)"
rm -rf parts/checkpoint-10 parts/finished.json
"$lmms" train "$config" -q "${steps[@]}" trainer_args.save_steps=5 trainer_args.output_dir=parts >log 2>&1 || fail "resume:" "$(<log)"
cmp whole/checkpoint-10/model.safetensors parts/checkpoint-10/model.safetensors || fail "a resumed run has other weights"
losses=$(sed -n 's/.*"eval_cross_entropy":\([0-9.]*\).*/\1/p' whole/metrics.jsonl)
awk -v first="$(head -n 1 <<<"$losses")" -v last="$(tail -n 1 <<<"$losses")" 'BEGIN { exit !(last > 0 && last < first - 0.5) }' ||
  fail "eval_cross_entropy did not fall:" "$losses"

# Its checkpoint is read with the plugin, and not without.
"$lmms" eval "$config" whole >log 2>&1 || fail "eval:" "$(<log)"
"$lmms" generate whole --plugin "$library" --plain --prompt '2003-02-14 = ' --greedy --max-new-tokens 8 --json >log 2>&1 ||
  fail "generate:" "$(<log)"
grep -q '"ids"' log || fail "generate says nothing:" "$(<log)"
if text=$("$lmms" generate whole --prompt hello 2>&1); then fail "a plugin's model was read without the plugin"; fi
[[ $text == *"gated_convolution"*"--plugin"* ]] || fail "without the plugin:" "$text"

# What must be refused.
refused() {  # WORDS COMMAND...
  local text status=0
  text=$("$lmms" "${@:2}" 2>&1) || status=$?
  [ "$status" = 2 ] && [[ $text == *"$1"* ]] || fail "lmms ${*:2} ended with $status; expected '$1' in:" "$text"
}
cp "$library" twin.so
refused "is registered already, by: $library" list --plugin "$library" --plugin twin.so
"$lmms" list --plugin "$library" --plugin "./$library" >/dev/null || fail "the same library twice"
refused "is no plugin: it has no lmms_plugin_abi" list --plugin lmms/lib/lmms/liblmms_video.so
refused "plugins[0]: there is no file 'no.so'" preview "$config" plugins=[no.so]
refused "'gated_convolution'" plan "$config" plugins=null trainer_type=fsdp2_trainer \
  dataset_config.processor_config.processor_type=qwen2 dataset_config.processor_config.extra_kwargs=null
write() { cat >examples/plugin/"$1"; }
for file in gated_convolution table_text regularised; do : | write "$file.cpp"; done
write plugin.cpp <<<'#include "train/plugin.h"
LMMS_PLUGIN(registries) { (void)registries; }'
build_plugin other -DCMAKE_CXX_FLAGS='-DLMMS_PLUGIN_ABI=\"lmms\ plugin\ abi:\ lmms\ 0.0.1\;\ compiler\ gcc\ 3\"'
refused "is a plugin for another program: lmms 0.0.1 (here " list --plugin other/libdates.so
write plugin.cpp <<<'#include "train/plugin.h"
void nowhere();
LMMS_PLUGIN(registries) { (void)registries; nowhere(); }'
build_plugin other -DCMAKE_CXX_FLAGS=
refused "undefined symbol" list --plugin other/libdates.so
write plugin.cpp <<<'#include "core/error.h"
#include "train/plugin.h"
LMMS_PLUGIN(registries) { (void)registries; throw lmms::Error("mine", "not today", "tomorrow"); }'
build_plugin other -DCMAKE_CXX_FLAGS=
refused "mine: not today" list --plugin other/libdates.so
echo "plugin_test: passed"
