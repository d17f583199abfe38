#!/usr/bin/env python3
"""Stores the loss of masked diffusion of a tiny Qwen3 that sees both ways (transformers 5.17.0, torch 2.11.0, fp32, CPU, eager attention).

    python make_dllm.py        writes data/dllm/

The folder is a Hugging Face checkpoint with two files beside it, of three samples of uneven lengths, T tokens in all, each run alone:

    lengths [S] int32          of the samples
    input_ids [T] int32        before anything is masked
    masked [T] int32           1: this token was masked

full.safetensors, under a mask of zeros (every token sees all of its sample):
    t [S] fp32                 the share of masked tokens that was drawn for each sample

blocks.safetensors, block diffusion: a sample is run as its noised tokens followed by its clean ones, both with positions 0, 1, ...,
under the dense mask of Arriola et al. 2025 (their code's block_diff_mask): block diagonal, offset block causal, block causal.
    block_length [1] int32
    t [B] fp32                 of each block, one sample after another

curve.json: a short training on real text, characters of proverbs as ids ('a' is 0, a space 26): settings, texts and the loss of every step. Masks are drawn
anew in every step as the engine draws them: Philox4x32-10, keyed by seed and sample (philox() below).

Both files of tensors: loss_tokens, loss_masked [] fp64: the sum over masked tokens of -log p(token) / t, divided by all tokens or by the masked ones; nll [],
accuracy []: means over masked tokens; gradient.<parameter> fp32 of loss_tokens.
"""
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

OUT = Path(__file__).parent / "data" / "dllm"
MASK, BLOCK, LENGTHS = 63, 4, [13, 4, 10]
CONFIG = dict(
    model_type="qwen3", vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, head_dim=16, max_position_embeddings=64, initializer_range=0.2, rms_norm_eps=1e-6, tie_word_embeddings=False,
    rope_parameters=dict(rope_theta=1e4, rope_type="default"),
)


def make_model():
    torch.manual_seed(17)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**CONFIG), attn_implementation="eager").float().eval()
    for _, parameter in sorted(model.named_parameters()):
        if parameter.dim() == 1:
            with torch.no_grad():
                parameter.copy_(1 + 0.1 * torch.randn(parameter.shape))
    return model


def blocks_of(n):
    return torch.arange(n) // BLOCK


def block_mask(n):
    """[2n, 2n] bool: noised tokens, then clean ones."""
    block = torch.cat([blocks_of(n), blocks_of(n)])
    clean = torch.arange(2 * n) >= n
    q, k = block[:, None], block[None, :]
    q_clean, k_clean = clean[:, None], clean[None, :]
    diagonal = (q == k) & (q_clean == k_clean)
    offset_causal = (q > k) & k_clean & ~q_clean
    causal = (q >= k) & k_clean & q_clean
    return diagonal | offset_causal | causal


def logits_of(model, ids, positions, sees):
    mask = torch.zeros(sees.shape).masked_fill(~sees, float("-inf"))[None, None]
    return model(input_ids=ids[None], position_ids=positions[None], attention_mask=mask, use_cache=False).logits[0]


def store(model, name, samples, t_of_token, logits_of_sample, extra):
    """t_of_token: of each sample [n]."""
    model.zero_grad()
    weighted, nll, right, total, masked_count = 0.0, 0.0, 0, 0, 0
    for (ids, masked), t in zip(samples, t_of_token):
        logits = logits_of_sample(ids, masked)
        loss = torch.nn.functional.cross_entropy(logits[masked].double(), ids[masked], reduction="none")
        weighted = weighted + (loss / t[masked].double()).sum()
        nll += loss.sum().item()
        right += (logits[masked].argmax(-1) == ids[masked]).sum().item()
        total += len(ids)
        masked_count += int(masked.sum())
    (weighted / total).backward()
    tensors = {
        "lengths": torch.tensor(LENGTHS, dtype=torch.int32),
        "input_ids": torch.cat([ids for ids, _ in samples]).int(),
        "masked": torch.cat([masked for _, masked in samples]).int(),
        "loss_tokens": (weighted / total).detach(),
        "loss_masked": (weighted / masked_count).detach(),
        "nll": torch.tensor(nll / masked_count, dtype=torch.float64),
        "accuracy": torch.tensor(right / masked_count, dtype=torch.float64),
        **extra,
    }
    for parameter, value in model.named_parameters():
        tensors["gradient." + parameter] = value.grad.detach().contiguous()
    save_file(tensors, OUT / f"{name}.safetensors")
    (OUT / f"{name}.safetensors").chmod(0o644)
    print(name, {key: float(tensors[key]) for key in ("loss_tokens", "loss_masked", "nll", "accuracy")})


TEXTS = ["a stitch in time saves nine", "all that glitters is not gold", "the early bird catches the worm", "look before you leap"]
SETTINGS = dict(learning_rate=5e-3, beta1=0.9, beta2=0.98, eps=1e-8, weight_decay=0.1, max_grad_norm=1.0, seed=21, t_min=0.1, t_max=0.9, steps=40)
TIME, CORRUPTION = 7, 4  # what a draw is for


def philox(counter, key):
    """Salmon et al. 2011."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def uniform_of(seed, ordinal, purpose, element):
    return (philox([ordinal, 0, element // 4, 0], [seed, purpose])[element % 4] + 1) * 2.0**-32


def curve(model):
    s = SETTINGS
    texts = [torch.tensor([26 if c == " " else ord(c) - ord("a") for c in text]) for text in TEXTS]
    decayed = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW(
        [dict(params=decayed, weight_decay=s["weight_decay"]), dict(params=others, weight_decay=0.0)],
        lr=s["learning_rate"], betas=(s["beta1"], s["beta2"]), eps=s["eps"], foreach=False)
    losses = []
    for step in range(s["steps"]):
        total = 0.0
        for i, ids in enumerate(texts):
            ordinal, n = step * len(texts) + i, len(ids)
            t = s["t_min"] + (s["t_max"] - s["t_min"]) * uniform_of(s["seed"], ordinal, TIME, 0)
            masked = torch.tensor([uniform_of(s["seed"], ordinal, CORRUPTION, q) <= t for q in range(n)])
            logits = logits_of(model, ids.masked_fill(masked, MASK), torch.arange(n), torch.ones(n, n, dtype=torch.bool))
            total = total + torch.nn.functional.cross_entropy(logits[masked], ids[masked], reduction="sum") / t
        loss = total / sum(map(len, texts))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), s["max_grad_norm"])
        optimizer.step()
        losses.append(loss.item())
    (OUT / "curve.json").write_text(json.dumps(dict(settings=s, texts=TEXTS, losses=losses), indent=1) + "\n")
    print("curve", losses[0], losses[-1])


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    model = make_model()
    model.save_pretrained(OUT)
    (OUT / "model.safetensors").chmod(0o644)
    (OUT / "generation_config.json").unlink(missing_ok=True)
    generator = torch.Generator().manual_seed(5)
    ids = [torch.randint(0, MASK, (n,), generator=generator) for n in LENGTHS]

    def uniform(n):
        return 0.15 + 0.8 * torch.rand(n, generator=generator)

    t = uniform(len(LENGTHS))
    drawn = [torch.full((n,), float(t[i])) for i, n in enumerate(LENGTHS)]
    samples = [(x, torch.rand(len(x), generator=generator) <= share) for x, share in zip(ids, drawn)]

    def full(x, masked):
        n = len(x)
        return logits_of(model, x.masked_fill(masked, MASK), torch.arange(n), torch.ones(n, n, dtype=torch.bool))

    for x, masked in samples[::2]:  # the likeliest token is the right one here: accuracy is not 0
        first = int(masked.nonzero()[0])
        x[first] = full(x, masked)[first].argmax()
    store(model, "full", samples, drawn, full, {"t": t})

    times = [uniform(int(blocks_of(n)[-1]) + 1) for n in LENGTHS]
    drawn = [share[blocks_of(n)] for share, n in zip(times, LENGTHS)]
    samples = [(x, torch.rand(len(x), generator=generator) <= share) for x, share in zip(ids, drawn)]

    def blocks(x, masked):
        n = len(x)
        both = torch.cat([x.masked_fill(masked, MASK), x])
        return logits_of(model, both, torch.arange(n).repeat(2), block_mask(n))[:n]

    store(model, "blocks", samples, drawn, blocks, {"t": torch.cat(times), "block_length": torch.tensor([BLOCK], dtype=torch.int32)})
    curve(model)


if __name__ == "__main__":
    main()
