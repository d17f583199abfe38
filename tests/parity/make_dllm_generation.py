"""Stores how masks become tokens, step by step, with models of make_qwen_text.py that see to both sides (transformers 5.17.0, torch
2.11.0, fp32, CPU): the most confident predictions of a step stay, the others are masked again (Nie et al. 2025, "Large Language
Diffusion Models", section 2.4 and appendix A.2; whole logits in every step).

    python make_dllm_generation.py        writes data/dllm_generation.json

[{case, prompt, length, block, steps, guidance, trained_block, drafts: [[ids of the answer] before the first step and behind each]}]

block: the answer is filled in from the left, so many tokens at a time, in steps * block / length steps each. trained_block: tokens
see their own block of so many tokens and those before it, counted from the first one of the text; an answer begins at a border.
A mask is never predicted.
"""
import json
import random
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent / "data"


def logits_of(model, ids, block):
    number = torch.arange(len(ids)) // block if block else torch.zeros(len(ids), dtype=torch.long)
    hidden = (number[None, :] > number[:, None]).float() * torch.finfo(torch.float32).min
    mask = hidden[None, None]
    return model(torch.tensor([ids]), attention_mask={"full_attention": mask, "sliding_attention": mask}, use_cache=False).logits[0]


def unmask(model, prompt, mask, length, block, steps, guidance, trained_block):
    text = prompt + [mask] * length
    answer = slice(len(prompt), len(text))
    drafts = [text[answer]]
    for begin in range(len(prompt), len(text), block):
        in_block = steps * block // length
        for step in range(in_block):
            logits = logits_of(model, text, trained_block)
            if guidance != 1:
                alone = logits_of(model, [mask] * len(prompt) + text[answer], trained_block)
                logits = alone + guidance * (logits - alone)
            logits[:, mask] = -torch.inf
            probability, token = logits.softmax(-1).max(-1)
            masked = [i for i in range(begin, begin + block) if text[i] == mask]
            masked.sort(key=lambda i: -probability[i].item())
            for i in masked[:block // in_block + (step < block % in_block)]:
                text[i] = token[i].item()
            drafts.append(text[answer])
    return drafts


@torch.no_grad()
def main():
    draw = random.Random(17)
    rows = []
    for case, prompt, length, block, steps, guidance, trained_block in [
            ("qwen3_untied", 7, 24, 24, 24, 1, 0), ("qwen3_untied", 3, 24, 8, 9, 1, 0), ("qwen3_untied", 9, 16, 16, 5, 2.5, 0),
            ("qwen3_untied", 8, 16, 4, 12, 1, 4), ("qwen3_untied", 12, 12, 6, 4, 1.5, 6), ("qwen2_tied", 5, 16, 16, 6, 1, 0)]:
        if not (HERE / "qwen_text" / case).exists():
            raise SystemExit(f"no {case}: {[f.name for f in (HERE / 'qwen_text').iterdir()]}")
        model = AutoModelForCausalLM.from_pretrained(HERE / "qwen_text" / case, dtype=torch.float32, attn_implementation="eager").eval()
        mask = model.config.vocab_size - 1
        ids = [draw.randrange(mask) for _ in range(prompt)]
        rows.append({"case": case, "prompt": ids, "length": length, "block": block, "steps": steps, "guidance": guidance,
                     "trained_block": trained_block, "mask": mask,
                     "drafts": unmask(model, ids, mask, length, block, steps, guidance, trained_block)})
    (HERE / "dllm_generation.json").write_text(json.dumps(rows) + "\n")


main()
