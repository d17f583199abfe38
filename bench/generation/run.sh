#!/usr/bin/env bash
# Times greedy answers of a model, and of transformers on the same weights where Python has it with a GPU.
# usage: bench/generation/run.sh LMMS MODEL     MODEL: a folder, such as what bench/qwen3_0.6b/run.sh leaves in build/bench/out
# Prints milliseconds a token: the time of a call with many new tokens less that of one with two, over the difference.
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: bench/generation/run.sh LMMS MODEL" >&2; exit 2; }
lmms=$1 model=$2
seconds() {  # seconds PROMPTS NEW
  local prompts=() start
  for i in $(seq "$1"); do prompts+=(--prompt "Tell me about number $i and its friends"); done
  start=$(date +%s.%N)
  "$lmms" generate "$model" "${prompts[@]}" --batch-size "$1" --max-new-tokens "$2" --greedy --json >/dev/null
  echo "$(date +%s.%N) - $start" | bc
}
for prompts in 1 16; do
  few=$(seconds $prompts 2) many=$(seconds $prompts 258)
  echo "lmms          $prompts prompts: $(echo "scale=1; ($many - $few) * 1000 / 256" | bc) ms a token"
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
