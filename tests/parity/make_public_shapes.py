"""Stores names and shapes of the tensors of every public dense Llama 3, Qwen2, Qwen2.5, Qwen3, Qwen2.5-VL, Qwen3-VL and LLaVA-OneVision size.

    python make_public_shapes.py        writes llama.json, qwen2.json, qwen3.json, qwen2_5_vl.json, qwen3_vl.json and llava_onevision.json in data/public_shapes

    {size: {"config": what config.json says (the hub's spelling),
            "parameters": their number, a tied head counted once,
            "tensors": {name: shape}}}      "{i}" in a name stands for every layer 0 to num_hidden_layers - 1, of a vision tower depth - 1

Shapes are those of transformers 5.17.0's models, names those of the hub's files.
Models are built on the meta device; the script fails where layers differ or the totals are not those of the published weights.
"""
import json
import re
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

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
# The first of each: 3.2, 3.2, 3.1, 3.1 and 3.1; 3.0's and 3.3's have the same shapes.
LLAMA = {
    "1B": (16, 2048, 8192, 32, 8, 128256, True, 1e-5, 1_235_814_400),
    "3B": (28, 3072, 8192, 24, 8, 128256, True, 1e-5, 3_212_749_824),
    "8B": (32, 4096, 14336, 32, 8, 128256, False, 1e-5, 8_030_261_248),
    "70B": (80, 8192, 28672, 64, 8, 128256, False, 1e-5, 70_553_706_496),
    "405B": (126, 16384, 53248, 128, 8, 128256, False, 1e-5, 405_853_388_800),
}
# size: the language model's row in QWEN2 with its vocabulary, intermediate size of the tower, parameters
QWEN2_5_VL = {
    "3B": ("3B", 151936, 3420, 3_754_622_976),
    "7B": ("7B", 152064, 3420, 8_292_166_656),
    "32B": (None, 152064, 3456, 33_452_718_336),
    "72B": ("72B", 152064, 3456, 73_410_777_344),
}
QWEN2_32B = (64, 5120, 27648, 40, 8, 152064, False, 1e-6, None)


# size: the language model's row in QWEN3, (depth, hidden, intermediate, deepstack) of the tower, parameters
SMALL, LARGE = (24, 1024, 4096, [5, 11, 17]), (27, 1152, 4304, [8, 16, 24])
QWEN3_VL = {
    "2B": ("1.7B", SMALL, 2_127_532_032),
    "4B": ("4B", SMALL, 4_437_815_808),
    "8B": ("8B", LARGE, 8_767_123_696),
    "32B": ("32B", LARGE, 33_357_390_064),
}


# size: the language model's row in QWEN2, vocabulary, tied, parameters
LLAVA_ONEVISION = {
    "0.5B": ("0.5B", 152000, True, 893_675_552),
    "7B": ("7B", 152128, False, 8_030_807_584),
    "72B": ("72B", 152064, False, 73_180_522_016),
}


def llava_config_of(size):
    text, vocabulary, tied, _ = LLAVA_ONEVISION[size]
    config = config_of("qwen2", QWEN2[text])
    del config["torch_dtype"]
    return dict(
        architectures=["LlavaOnevisionForConditionalGeneration"], model_type="llava_onevision", image_token_index=151646,
        video_token_index=151647, projector_hidden_act="gelu", vision_feature_layer=-1, vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9", tie_word_embeddings=tied,
        image_grid_pinpoints=[[384 * h, 384 * w] for h in range(1, 7) for w in range(1, 7)],
        text_config=config | dict(vocab_size=vocabulary, tie_word_embeddings=tied),
        vision_config=dict(
            model_type="siglip_vision_model", hidden_size=1152, intermediate_size=4304, num_hidden_layers=26, num_attention_heads=16,
            image_size=384, patch_size=14, vision_use_head=False))


def vl3_config_of(size):
    text, (depth, hidden, intermediate, deepstack), _ = QWEN3_VL[size]
    config = config_of("qwen3", QWEN3[text])
    for key in ("architectures", "use_sliding_window", "torch_dtype"):
        del config[key]
    tied = config.pop("tie_word_embeddings")
    return dict(
        architectures=["Qwen3VLForConditionalGeneration"], model_type="qwen3_vl", tie_word_embeddings=tied, image_token_id=151655,
        video_token_id=151656, vision_start_token_id=151652, vision_end_token_id=151653,
        text_config=config | dict(
            model_type="qwen3_vl_text", max_position_embeddings=262144, rope_theta=5000000,
            rope_scaling=dict(mrope_interleaved=True, mrope_section=[24, 20, 20], rope_type="default")),
        vision_config=dict(
            depth=depth, hidden_act="gelu_pytorch_tanh", hidden_size=hidden, intermediate_size=intermediate, num_heads=16,
            in_channels=3, out_hidden_size=config["hidden_size"], patch_size=16, spatial_merge_size=2, temporal_patch_size=2,
            num_position_embeddings=2304, deepstack_visual_indexes=deepstack, model_type="qwen3_vl"))


def vl_config_of(size):
    text, vocabulary, intermediate, _ = QWEN2_5_VL[size]
    config = config_of("qwen2", QWEN2[text] if text else QWEN2_32B)
    return config | dict(
        architectures=["Qwen2_5_VLForConditionalGeneration"], model_type="qwen2_5_vl", vocab_size=vocabulary, rms_norm_eps=1e-6,
        max_position_embeddings=128000, rope_scaling=dict(type="mrope", mrope_section=[16, 24, 24]), image_token_id=151655,
        video_token_id=151656, vision_start_token_id=151652, vision_end_token_id=151653,
        vision_config=dict(
            depth=32, hidden_act="silu", hidden_size=1280, intermediate_size=intermediate, num_heads=16, in_chans=3,
            out_hidden_size=config["hidden_size"], patch_size=14, spatial_merge_size=2, spatial_patch_size=14, window_size=112,
            fullatt_block_indexes=[7, 15, 23, 31], tokens_per_second=2, temporal_patch_size=2))


def llama_config_of(row):
    layers, hidden, intermediate, heads, key_value_heads, vocabulary, tied, eps, _ = row
    return dict(
        architectures=["LlamaForCausalLM"], model_type="llama", attention_bias=False, attention_dropout=0.0, bos_token_id=128000,
        eos_token_id=[128001, 128008, 128009], head_dim=hidden // heads, hidden_act="silu", hidden_size=hidden,
        initializer_range=0.02, intermediate_size=intermediate, max_position_embeddings=131072, mlp_bias=False,
        num_attention_heads=heads, num_hidden_layers=layers, num_key_value_heads=key_value_heads, pretraining_tp=1,
        rms_norm_eps=eps, rope_theta=500000.0, tie_word_embeddings=tied, torch_dtype="bfloat16", vocab_size=vocabulary,
        rope_scaling=dict(factor=32.0 if tied else 8.0, high_freq_factor=4.0, low_freq_factor=1.0,
                          original_max_position_embeddings=8192, rope_type="llama3"))


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
    built = AutoConfig.for_model(config["model_type"], **settings)
    with torch.device("meta"):
        model = (AutoModelForImageTextToText.from_config(built) if "vision_config" in config
                 else AutoModelForCausalLM.from_config(built))
    folded, count = {}, {}
    total = 0
    for name, parameter in model.named_parameters():  # a tied head is no parameter of its own
        total += parameter.numel()
        if config["model_type"] == "qwen2_5_vl":  # the hub's names
            name = re.sub(r"^model\.visual\.", "visual.", name)
            name = re.sub(r"^model\.language_model\.", "model.", name)
        if config["model_type"] == "llava_onevision":
            name = "language_model." + name if name.startswith("lm_head") else name.removeprefix("model.")
            name = re.sub(r"^language_model\.(?!lm_head)", "language_model.model.", name)
            name = re.sub(r"^vision_tower\.", "vision_tower.vision_model.", name)
        pattern = re.sub(r"\.(layers|blocks)\.\d+\.", r".\1.{i}.", name)
        assert folded.setdefault(pattern, list(parameter.shape)) == list(parameter.shape), name
        count[pattern] = count.get(pattern, 0) + 1
    for pattern, times in count.items():
        text = config.get("text_config", config)
        layers = (config["vision_config"]["depth"] if "visual." in pattern
                  else config["vision_config"]["num_hidden_layers"] if pattern.startswith("vision_tower.") else text["num_hidden_layers"])
        assert times == (layers if "{i}" in pattern else 1), pattern
    return folded, total


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    families = {
        "llama": {size: (llama_config_of(row), row[-1]) for size, row in LLAMA.items()},
        "qwen2": {size: (config_of("qwen2", row), row[-1]) for size, row in QWEN2.items()},
        "qwen3": {size: (config_of("qwen3", row), row[-1]) for size, row in QWEN3.items()},
        "qwen2_5_vl": {size: (vl_config_of(size), row[-1]) for size, row in QWEN2_5_VL.items()},
        "llava_onevision": {size: (llava_config_of(size), row[-1]) for size, row in LLAVA_ONEVISION.items()},
        "qwen3_vl": {size: (vl3_config_of(size), row[-1]) for size, row in QWEN3_VL.items()},
    }
    for family, sizes in families.items():
        result = {}
        for size, (config, parameters) in sizes.items():
            tensors, total = tensors_of(config)
            assert total == parameters, (family, size, total)
            result[size] = dict(config=config, parameters=total, tensors=tensors)
        text = ",\n".join(f"{json.dumps(size)}: {json.dumps(entry)}" for size, entry in result.items())
        (OUT / f"{family}.json").write_text("{\n" + text + "\n}\n")
        print(family, len(result), "sizes,", (OUT / f"{family}.json").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
