"""Stores what transformers 5.17.0 (torch 2.11.0, fp32, CPU) generates, greedily, with the models of make_qwen_text.py, and what its
logits processors leave of some logits.

    python make_generation.py        writes data/generation.json

    greedy: {case: [{prompt: [ids], ids: [24 new ids, each prompt run alone]}]}
    stopped: the same, of one case, with an eos_token_id that turns up in the middle; ids are without it
    penalised: of one case, with repetition_penalty
    sampling: [{temperature, top_k, top_p, logits: [V], probabilities: [V] fp32 after temperature, top_k, top_p, softmax}]
"""
import json
import random
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

HERE = Path(__file__).parent / "data"
NEW = 24


def greedy(model, prompt, eos=None, penalty=None):
    ids = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False,
                         max_new_tokens=NEW, eos_token_id=eos, pad_token_id=0, temperature=None, top_p=None, top_k=None,
                         repetition_penalty=penalty)
    return ids[0, len(prompt):].tolist()


def main():
    draw = random.Random(7)
    result = {"greedy": {}, "sampling": []}
    for folder in sorted((HERE / "qwen_text").iterdir()):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        model.generation_config.eos_token_id = None
        prompts = [[draw.randrange(model.config.vocab_size) for _ in range(n)] for n in (7, 1, 12)]
        result["greedy"][folder.name] = [{"prompt": p, "ids": greedy(model, p)} for p in prompts]
        if folder.name == "qwen3_untied":
            rows = result["greedy"][folder.name]
            eos = [rows[0]["ids"][4], rows[1]["ids"][1]]
            stopped = []
            for row in rows:
                ids = greedy(model, row["prompt"], eos)
                finished = ids[-1] in eos
                stopped.append({"prompt": row["prompt"], "ids": ids[:-1] if finished else ids, "finished": finished})
            result["penalised"] = {"case": folder.name, "penalty": 1.3, "rows": [
                {"prompt": row["prompt"], "ids": greedy(model, row["prompt"], penalty=1.3)} for row in rows]}
            result["stopped"] = {"case": folder.name, "eos": eos, "rows": stopped}
    generator = torch.Generator().manual_seed(3)
    for temperature, top_k, top_p in [(1.0, 0, 1.0), (0.7, 0, 1.0), (1.0, 5, 1.0), (1.3, 0, 0.8), (0.6, 20, 0.95), (2.0, 1, 0.5),
                                      (0.5, 400, 0.05)]:
        logits = (torch.randn(1, 40, generator=generator) * 2)
        scores = TemperatureLogitsWarper(temperature)(None, logits)
        if top_k > 0:
            scores = TopKLogitsWarper(top_k)(None, scores)
        if top_p < 1:
            scores = TopPLogitsWarper(top_p)(None, scores)
        result["sampling"].append({"temperature": temperature, "top_k": top_k, "top_p": top_p, "logits": logits[0].tolist(),
                                   "probabilities": scores.softmax(-1)[0].tolist()})
    (HERE / "generation.json").write_text(json.dumps(result) + "\n")


main()
