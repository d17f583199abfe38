"""Stores the statistics of transformers 5.17.0's random initialisation of Llama, Qwen2, Qwen3, Qwen2.5-VL and Qwen3-VL models.

    python make_initialisation.py        writes data/initialisation.json

    [{"config": config.json, "seeds": their number,
      "tensors": {name: {"elements": of one model, "mean": ..., "std": ..., "max": largest absolute value}}}]

Means and standard deviations are taken over all seeds' models together, "{i}" in a name over all layers too; names are those of the hub. A tensor that is
constant has std 0. `pad_row_max` is the largest absolute value in the embedding's row of pad_token_id.
"""
import json
import re
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

OUT = Path(__file__).parent / "data" / "initialisation.json"
SEEDS = 8
COMMON = dict(vocab_size=1024, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=64)
IDS = dict(image_token_id=1000, video_token_id=1001, vision_start_token_id=1002, vision_end_token_id=1003)
CONFIGS = [
    dict(model_type="llama", initializer_range=0.03, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, **COMMON),
    dict(model_type="qwen2", initializer_range=0.02, tie_word_embeddings=False, **COMMON),
    dict(model_type="qwen2", initializer_range=0.05, tie_word_embeddings=True, pad_token_id=3, **COMMON),
    dict(model_type="qwen3", initializer_range=0.02, tie_word_embeddings=False, head_dim=64, **COMMON),
    dict(model_type="qwen3", initializer_range=0.02, tie_word_embeddings=True, head_dim=32, attention_bias=True, **COMMON),
    dict(model_type="qwen2_5_vl", **IDS, text_config=dict(initializer_range=0.03, rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[4, 6, 6]), **COMMON),
         vision_config=dict(depth=2, hidden_size=64, intermediate_size=96, num_heads=2, out_hidden_size=128, fullatt_block_indexes=[1], initializer_range=0.04)),
    dict(model_type="qwen3_vl", **IDS, text_config=dict(initializer_range=0.02, head_dim=32, rope_parameters=dict(rope_type="default", rope_theta=5e6, mrope_section=[6, 5, 5]), **COMMON),
         vision_config=dict(depth=2, hidden_size=64, intermediate_size=96, num_heads=2, out_hidden_size=128, num_position_embeddings=49, deepstack_visual_indexes=[0],
                            initializer_range=0.05)),
]


def hub_name(config, name):
    """The name of a parameter on the hub, from its module's."""
    if config["model_type"] != "qwen2_5_vl":
        return name
    return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")


def measure(config):
    values, elements = {}, {}
    pad_row = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        settings = {key: value for key, value in config.items() if key != "model_type"}
        auto = AutoModelForImageTextToText if "vision_config" in config else AutoModelForCausalLM
        model = auto.from_config(AutoConfig.for_model(config["model_type"], **settings), dtype=torch.float32)
        for name, parameter in model.named_parameters():
            pattern = re.sub(r"\.(layers|blocks|deepstack_merger_list)\.\d+\.", r".\1.{i}.", hub_name(config, name))
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
