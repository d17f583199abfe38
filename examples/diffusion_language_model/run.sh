#!/usr/bin/env bash
# Trains quickstart.yaml, a small masked-diffusion language model on verses and proverbs, and lets it fill in what is masked; two minutes on two cores.
# usage: examples/diffusion_language_model/run.sh [LMMS] [KEY=VALUE ...]     LMMS: the program; without it, what make built, else lmms of the PATH
set -euo pipefail
cd "$(dirname "$0")/../.."
lmms=
case ${1-} in
  -h | --help) sed -n '2,3s/^# //p' "examples/diffusion_language_model/run.sh" && exit ;;
  '' | '~'* | *=*) ;;
  *) lmms=$1 && shift ;;
esac
for built in build/dev/bin/lmms build/release/bin/lmms; do
  if [ -z "$lmms" ] && [ -x "$built" ]; then lmms=$built; fi
done
lmms=${lmms:-lmms}
output=out/diffusion_language_model
for word in "$@"; do
  case $word in trainer_args.output_dir=*) output=${word#*=} ;; esac
done

"$lmms" train examples/diffusion_language_model/quickstart.yaml trainer_args.resume_from_checkpoint=false "$@"

values() { sed -n "s/.*\"$1\":[ ]*\([0-9.eE+-]*\).*/\1/p" "$output/metrics.jsonl"; }
echo
echo "Of the masked tokens of its texts it tells $(values eval_accuracy | tail -n 1 | awk '{ printf "%.0f %%", 100 * $1 }') right; at the start $(values eval_accuracy | head -n 1 | awk '{ printf "%.0f %%", 100 * $1 }'). Filled in:"
for line in \
  "A stitch in [MASK] saves [MASK]." \
  "All that [MASK] is not [MASK]." \
  "Twinkle, twinkle, little [MASK], How I wonder what you are! Up above the [MASK] so high, Like a [MASK] in the sky."; do
  echo "    $line"
  echo "    $("$lmms" generate "$output" --cpu --prompt "$line" | tail -n 1)"
done
cat <<END

What next:
    $lmms generate $output --prompt "The early bird catches the [MASK]."
        a line of your own; every [MASK] stands for one token
    $lmms preview examples/diffusion_language_model/quickstart.yaml
        the texts as they are trained: what is masked, t, weights
    $output/report.html in a browser
        curves and the data
END
