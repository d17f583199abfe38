#!/usr/bin/env bash
# Times greedy answers of a model, and of transformers on the same weights where Python has it with a GPU.
# usage: bench/generation/run.sh LMMS MODEL     MODEL: a folder, such as what bench/qwen3/run.sh 0.6b leaves in build/bench/out
# Prints milliseconds a token: the time of a call with many new tokens less that of one with two, over the difference.
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: bench/generation/run.sh LMMS MODEL" >&2; exit 2; }
lmms=$1 model=$2
timed() {  # timed PROMPTS NEW: seconds, and the tokens of the longest answer: a model may end before
  local prompts=() start
  for i in $(seq "$1"); do prompts+=(--prompt "Tell me about number $i and its friends"); done
  start=$(date +%s.%N)
  "$lmms" generate "$model" "${prompts[@]}" --batch-size "$1" --max-new-tokens "$2" --greedy --json |
    python3 -c "import json, sys, time; n = max(len(json.loads(l)['ids']) for l in sys.stdin); print(time.time() - $start, n)"
}
for prompts in 1 16; do
  few=$(timed $prompts 2) many=$(timed $prompts 258)
  python3 -c "
(a, m), (b, n) = ((float(x) for x in line.split()) for line in ('$few', '$many'))
print(f'lmms          $prompts prompts: {(b - a) * 1000 / (n - m):.1f} ms a token' if n > m else 'lmms          the model ends at once')"
done
python3 - "$model" <<'END' || true
import sys, time
try:
    import torch
    from transformers import AutoModelForCausalLM
except ImportError as error:
    sys.exit(f"transformers  not here: {error}")
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16).cuda().eval()
for prompts in 1, 16:
    ids = torch.randint(0, 1000, (prompts, 30)).cuda()
    def seconds(new):
        start = time.time()
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=False)
        torch.cuda.synchronize()
        return time.time() - start
    seconds(2)
    few, many = seconds(2), seconds(258)
    print(f"transformers  {prompts} prompts: {(many - few) * 1000 / 256:.1f} ms a token")
END
