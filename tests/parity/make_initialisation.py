"""Stores the statistics of transformers 5.17.0's random initialisation of Qwen2 and Qwen3 models.

    python make_initialisation.py        writes data/initialisation.json

    [{"config": config.json, "seeds": their number,
      "tensors": {name: {"elements": of one model, "mean": ..., "std": ..., "max": largest absolute value}}}]

Means and standard deviations are taken over all seeds' models together, "{i}" in a name over all layers too. A tensor that is
constant has std 0. `pad_row_max` is the largest absolute value in the embedding's row of pad_token_id.
"""
import json
import re
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

OUT = Path(__file__).parent / "data" / "initialisation.json"
SEEDS = 8
COMMON = dict(vocab_size=1024, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=64)
CONFIGS = [
    dict(model_type="qwen2", initializer_range=0.02, tie_word_embeddings=False, **COMMON),
    dict(model_type="qwen2", initializer_range=0.05, tie_word_embeddings=True, pad_token_id=3, **COMMON),
    dict(model_type="qwen3", initializer_range=0.02, tie_word_embeddings=False, head_dim=64, **COMMON),
    dict(model_type="qwen3", initializer_range=0.02, tie_word_embeddings=True, head_dim=32, attention_bias=True, **COMMON),
]


def measure(config):
    values, elements = {}, {}
    pad_row = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        settings = {key: value for key, value in config.items() if key != "model_type"}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **settings), dtype=torch.float32)
        for name, parameter in model.named_parameters():
            pattern = re.sub(r"\.layers\.\d+\.", ".layers.{i}.", name)
            elements[pattern] = parameter.numel()
            values.setdefault(pattern, []).append(parameter.detach().double().flatten())
        if "pad_token_id" in config:
            pad_row.append(model.get_input_embeddings().weight[config["pad_token_id"]].abs().max().item())
    result = dict(config=config, seeds=SEEDS, tensors={})
    if pad_row:
        result["pad_row_max"] = max(pad_row)
    for pattern, parts in values.items():
        all_values = torch.cat(parts)
        result["tensors"][pattern] = dict(
            elements=elements[pattern], mean=all_values.mean().item(), std=all_values.std().item(),
            max=all_values.abs().max().item())
    return result


def main():
    OUT.write_text("[\n" + ",\n".join(json.dumps(measure(config)) for config in CONFIGS) + "\n]\n")
    print(OUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
