"""Stores names and shapes of the tensors of every public dense Qwen2, Qwen2.5 and Qwen3 size, as transformers 5.17.0 saves them.

    python make_public_shapes.py        writes data/public_shapes/qwen2.json, data/public_shapes/qwen3.json

    {size: {"config": what config.json says (the hub's spelling),
            "parameters": their number, a tied head counted once,
            "tensors": {name: shape}}}      "{i}" in a name stands for every layer 0 to num_hidden_layers - 1

Models are built on the meta device; the script fails where layers differ or the totals are not those of the published weights.
"""
import json
import re
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

OUT = Path(__file__).parent / "data" / "public_shapes"
# size: layers, hidden, intermediate, heads, key-value heads, vocabulary, tied, eps, parameters
QWEN2 = {
    "0.5B": (24, 896, 4864, 14, 2, 151936, True, 1e-6, 494_032_768),
    "1.5B": (28, 1536, 8960, 12, 2, 151936, True, 1e-6, 1_543_714_304),
    "3B": (36, 2048, 11008, 16, 2, 151936, True, 1e-6, 3_085_938_688),
    "7B": (28, 3584, 18944, 28, 4, 152064, False, 1e-6, 7_615_616_512),
    "14B": (48, 5120, 13824, 40, 8, 152064, False, 1e-5, 14_770_033_664),
    "32B": (64, 5120, 27648, 40, 8, 152064, False, 1e-5, 32_763_876_352),
    "72B": (80, 8192, 29568, 64, 8, 152064, False, 1e-5, 72_706_203_648),
}
QWEN3 = {
    "0.6B": (28, 1024, 3072, 16, 8, 151936, True, 1e-6, 596_049_920),
    "1.7B": (28, 2048, 6144, 16, 8, 151936, True, 1e-6, 1_720_574_976),
    "4B": (36, 2560, 9728, 32, 8, 151936, True, 1e-6, 4_022_468_096),
    "8B": (36, 4096, 12288, 32, 8, 151936, False, 1e-6, 8_190_735_360),
    "14B": (40, 5120, 17408, 40, 8, 151936, False, 1e-6, 14_768_307_200),
    "32B": (64, 5120, 25600, 64, 8, 151936, False, 1e-6, 32_762_123_264),
}


def config_of(family, row):
    layers, hidden, intermediate, heads, key_value_heads, vocabulary, tied, eps, _ = row
    config = dict(
        architectures=["Qwen2ForCausalLM" if family == "qwen2" else "Qwen3ForCausalLM"], model_type=family, hidden_act="silu",
        hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=key_value_heads, vocab_size=vocabulary, tie_word_embeddings=tied, rms_norm_eps=eps,
        rope_theta=1000000.0, use_sliding_window=False, initializer_range=0.02, attention_dropout=0.0,
        max_position_embeddings=32768 if family == "qwen2" else 40960, torch_dtype="bfloat16")
    if family == "qwen3":
        config |= dict(head_dim=128, attention_bias=False, rope_scaling=None)
    return config


def tensors_of(config):
    """{name: shape} with the layers' names folded to "{i}", and the number of parameters."""
    settings = {key: value for key, value in config.items() if key not in ("model_type", "torch_dtype")}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **settings))
    folded, count = {}, {}
    total = 0
    for name, parameter in model.named_parameters():  # a tied head is no parameter of its own
        total += parameter.numel()
        pattern = re.sub(r"\.layers\.\d+\.", ".layers.{i}.", name)
        assert folded.setdefault(pattern, list(parameter.shape)) == list(parameter.shape), name
        count[pattern] = count.get(pattern, 0) + 1
    for pattern, times in count.items():
        assert times == (config["num_hidden_layers"] if "{i}" in pattern else 1), pattern
    return folded, total


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for family, sizes in (("qwen2", QWEN2), ("qwen3", QWEN3)):
        result = {}
        for size, row in sizes.items():
            config = config_of(family, row)
            tensors, total = tensors_of(config)
            assert total == row[-1], (family, size, total)
            result[size] = dict(config=config, parameters=total, tensors=tensors)
        text = ",\n".join(f"{json.dumps(size)}: {json.dumps(entry)}" for size, entry in result.items())
        (OUT / f"{family}.json").write_text("{\n" + text + "\n}\n")
        print(family, len(result), "sizes,", (OUT / f"{family}.json").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
