"""Stores the losses of trainings in transformers 5.17.0 and torch 2.11.0 (fp32, CPU, eager attention, AdamW one tensor at a time).

    python make_training_curve.py       writes data/training_curves.json

A list of trainings of one checkpoint of data/qwen_text on the packed batch beside it, the same in every step: `case`, the optimiser's
`settings`, and `losses` [steps], each before its update. Gradients are clipped; matrices decay, norms and biases do not.
"""
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

DATA = Path(__file__).parent / "data"
STEPS = 30
USUAL = dict(learning_rate=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, max_grad_norm=1.0)
TRAININGS = [("qwen3_untied", USUAL), ("qwen2_tied", USUAL), ("qwen3_untied", {**USUAL, "beta2": 0.99999}),
             ("qwen3_untied", {**USUAL, "beta1": 0.0, "max_grad_norm": 0.0})]


def losses_of(model, batch):
    """The sum of -log p(target) of every sample run alone, over the number of trained positions."""
    total, begin = 0.0, 0
    for length in batch["segment_lengths"].tolist():
        ids, labels = (batch[key][begin : begin + length].long() for key in ("input_ids", "labels"))
        total = total + torch.nn.functional.cross_entropy(model(ids[None]).logits[0], labels, reduction="sum")
        begin += length
    return total / (batch["labels"] != -100).sum()


def train(case, settings):
    model = AutoModelForCausalLM.from_pretrained(DATA / "qwen_text" / case, dtype=torch.float32, attn_implementation="eager").train()
    batch = load_file(DATA / "qwen_text" / case / "expected.safetensors")
    decayed = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW(
        [dict(params=decayed, weight_decay=settings["weight_decay"]), dict(params=others, weight_decay=0.0)],
        lr=settings["learning_rate"], betas=(settings["beta1"], settings["beta2"]), eps=settings["eps"], foreach=False)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = losses_of(model, batch)
        loss.backward()
        if settings["max_grad_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings["max_grad_norm"])
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    torch.set_num_threads(1)
    curves = [dict(case=case, settings=settings, losses=train(case, settings)) for case, settings in TRAININGS]
    (DATA / "training_curves.json").write_text(json.dumps(curves, indent=1) + "\n")
    for curve in curves:
        print(curve["case"], curve["losses"][0], curve["losses"][-1])


if __name__ == "__main__":
    main()
