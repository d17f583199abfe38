"""Stores what transformers 5.17.0 (torch 2.11.0) makes of the rotary keys of a config.json: data/rope.json, a list of

    name         of the case
    config       a whole config.json
    inverse      [D / 2] the inverse frequencies of the decoder, fp32
    scaling      the factor of cos and sin
    or fails     true: transformers refuses it, or its forward fails

    python make_rope.py

The config is read from a file, as from_pretrained does, and the model runs once.
"""
import json
import logging
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, LlamaForCausalLM, Qwen2_5_VLForConditionalGeneration, Qwen2ForCausalLM, Qwen3ForCausalLM
from transformers import LlavaOnevisionForConditionalGeneration, Qwen3VLForConditionalGeneration

logging.disable(logging.WARNING)
OUT = Path(__file__).parent / "data" / "rope.json"
CLASSES = dict(
    llama=LlamaForCausalLM, qwen2=Qwen2ForCausalLM, qwen3=Qwen3ForCausalLM, qwen2_5_vl=Qwen2_5_VLForConditionalGeneration,
    qwen3_vl=Qwen3VLForConditionalGeneration, llava_onevision=LlavaOnevisionForConditionalGeneration)
SIZES = dict(vocab_size=96, hidden_size=64, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2)
TEXT = dict(SIZES, max_position_embeddings=256)
VISION = dict(depth=1, hidden_size=32, num_heads=4, intermediate_size=48, out_hidden_size=64)
TOKENS = dict(image_token_id=90, video_token_id=91, vision_start_token_id=92, vision_end_token_id=93)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
LINEAR = dict(rope_type="linear", factor=2.0)
MROPE = dict(mrope_section=[2, 3, 3])


def qwen2(**keys):
    return dict(model_type="qwen2", **{**TEXT, **keys})


def qwen3(**keys):
    return dict(model_type="qwen3", head_dim=16, **{**TEXT, **keys})


def llama(**keys):
    return dict(model_type="llama", **{**TEXT, **keys})


def without(key):
    return {k: v for k, v in LLAMA3.items() if k != key}


def flat_vl(**keys):
    return dict(model_type="qwen2_5_vl", **{**TEXT, **keys}, vision_config=dict(VISION, fullatt_block_indexes=[0]), **TOKENS)


def vl(top=None, **keys):
    return dict(model_type="qwen2_5_vl", text_config={**TEXT, **keys}, **(top or {}),
                vision_config=dict(VISION, fullatt_block_indexes=[0]), **TOKENS)


def vl3(top=None, **keys):
    return dict(model_type="qwen3_vl", text_config={**TEXT, "head_dim": 16, **keys}, **(top or {}),
                vision_config=dict(VISION, deepstack_visual_indexes=[0], num_position_embeddings=16), **TOKENS)


def llava(top=None, **keys):
    vision = dict(model_type="siglip_vision_model", num_hidden_layers=1, hidden_size=32, intermediate_size=48,
                  num_attention_heads=4, image_size=28, patch_size=14, vision_use_head=False)
    return dict(model_type="llava_onevision", text_config=dict(model_type="qwen2", **{**TEXT, **keys}), vision_config=vision,
                image_grid_pinpoints=[[28, 28]], image_token_index=90, video_token_index=91, **(top or {}))


CASES = {
    "nothing": qwen2(),
    "theta at the top": qwen2(rope_theta=5e5),
    "theta inside": qwen2(rope_parameters=dict(rope_type="default", rope_theta=5e5)),
    "theta at both places": qwen2(rope_theta=2e4, rope_parameters=dict(rope_type="default", rope_theta=5e5)),
    "theta beside parameters": qwen2(rope_theta=2e4, rope_parameters=dict(rope_type="default")),
    "scaling beside parameters": qwen2(rope_scaling=LINEAR, rope_parameters=dict(rope_type="default", rope_theta=5e5)),
    "scaling with its theta": qwen2(rope_scaling=dict(LINEAR, rope_theta=7e4),
                                    rope_parameters=dict(rope_type="default", rope_theta=5e5)),
    "scaling, parameters, theta": qwen2(rope_theta=2e4, rope_scaling=YARN,
                                        rope_parameters=dict(LINEAR, rope_theta=5e5)),
    "null scaling beside parameters": qwen2(rope_scaling=None, rope_parameters=dict(LINEAR, rope_theta=5e5)),
    "empty scaling beside parameters": qwen2(rope_scaling={}, rope_parameters=dict(LINEAR, rope_theta=5e5)),
    "default scaling beside parameters": qwen2(rope_scaling=dict(rope_type="default"),
                                               rope_parameters=dict(LINEAR, rope_theta=5e5)),
    "null parameters": qwen2(rope_parameters=None, rope_theta=5e5),
    "old type": qwen2(rope_theta=5e5, rope_scaling=dict(type="linear", factor=3)),
    "old type beside rope_type": qwen2(rope_theta=5e5, rope_scaling=dict(type="linear", rope_type="default", factor=3)),
    "yarn": qwen2(rope_theta=1e6, rope_scaling=YARN),
    "yarn without original": qwen2(rope_theta=1e6, rope_scaling=dict(rope_type="yarn", factor=4.0)),
    "yarn, original at the top": qwen2(rope_theta=1e6, original_max_position_embeddings=32,
                                       rope_scaling=dict(rope_type="yarn", factor=4.0)),
    "yarn, original at both places": qwen2(rope_theta=1e6, original_max_position_embeddings=32, rope_scaling=YARN),
    "yarn, original at the top, parameters": qwen2(original_max_position_embeddings=32,
                                                   rope_parameters=dict(YARN, rope_theta=1e6)),
    "yarn without factor": qwen2(rope_theta=1e6, rope_scaling=dict(rope_type="yarn", original_max_position_embeddings=64)),
    "yarn, null factor": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, factor=None)),
    "yarn, factor 1": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, factor=1)),
    "yarn, factor 1.5": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, factor=1.5)),
    "yarn, attention factor": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, attention_factor=1.25)),
    "yarn, mscale alone": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, mscale=0.7)),
    "yarn, mscale_all_dim alone": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, mscale_all_dim=0.7)),
    "yarn, both mscales": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, mscale=0.7, mscale_all_dim=1.4)),
    "yarn, both mscales, equal": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, mscale=1.0, mscale_all_dim=1.0)),
    "yarn, one mscale 0": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, mscale=0.0, mscale_all_dim=1.0)),
    "yarn, mscales and attention factor": qwen2(
        rope_theta=1e6, rope_scaling=dict(YARN, mscale=0.7, mscale_all_dim=1.4, attention_factor=1.1)),
    "yarn, mscales, factor 1": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, factor=1.0, mscale=0.7, mscale_all_dim=1.4)),
    "yarn, betas": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, beta_fast=8, beta_slow=2)),
    "yarn, betas 0": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, beta_fast=0, beta_slow=0)),
    "yarn, untruncated": qwen2(rope_theta=1e6, rope_scaling=dict(YARN, truncate=False)),
    "linear without factor": qwen2(rope_scaling=dict(rope_type="linear")),
    "partial factor 1": qwen2(rope_theta=1e6, partial_rotary_factor=1.0, rope_scaling=YARN),
    "partial factor, linear": qwen2(rope_scaling=dict(LINEAR, partial_rotary_factor=0.5)),
    "partial factor at the top, yarn": qwen2(partial_rotary_factor=0.5, rope_scaling=YARN),
    "by layer type": qwen2(rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=1e6),
                                                sliding_attention=dict(rope_type="default", rope_theta=1e4))),
    "qwen3, scaling beside parameters": qwen3(rope_scaling=YARN, rope_parameters=dict(rope_type="default", rope_theta=5e5)),
    "vl flat": flat_vl(rope_theta=5e5, rope_scaling=dict(type="mrope", **MROPE)),
    "vl flat, no theta": flat_vl(rope_scaling=dict(type="mrope", **MROPE)),
    "vl flat, mrope and default": flat_vl(rope_theta=5e5, rope_scaling=dict(type="mrope", rope_type="default", **MROPE)),
    "vl flat, yarn": flat_vl(rope_theta=5e5, rope_scaling=dict(YARN, **MROPE)),
    "vl flat, scaling beside parameters": flat_vl(
        rope_scaling=dict(LINEAR, **MROPE), rope_parameters=dict(rope_type="default", rope_theta=5e5, **MROPE)),
    "vl flat, original at the top": flat_vl(rope_theta=5e5, original_max_position_embeddings=32,
                                            rope_scaling=dict(YARN, **MROPE)),
    "vl, theta at the very top": vl(dict(rope_theta=3e4), rope_parameters=dict(rope_type="default", rope_theta=5e5, **MROPE)),
    "vl, scaling at the very top": vl(dict(rope_scaling=dict(LINEAR, **MROPE)),
                                      rope_parameters=dict(rope_type="default", rope_theta=5e5, **MROPE)),
    "vl, scaling beside parameters": vl(rope_scaling=dict(YARN, **MROPE),
                                        rope_parameters=dict(rope_type="default", rope_theta=5e5, **MROPE)),
    "vl, theta beside scaling": vl(rope_theta=3e4, rope_scaling=dict(YARN, **MROPE)),
    "vl, partial factor": vl(partial_rotary_factor=0.5, rope_parameters=dict(LINEAR, rope_theta=5e5, **MROPE)),
    "qwen3_vl": vl3(rope_parameters=dict(rope_type="default", mrope_interleaved=True, **MROPE)),
    "qwen3_vl, scaling": vl3(rope_theta=3e4, rope_scaling=dict(YARN, **MROPE)),
    "qwen3_vl, scaling beside parameters": vl3(rope_scaling=dict(YARN, **MROPE),
                                               rope_parameters=dict(rope_type="default", rope_theta=3e4, **MROPE)),
    "qwen3_vl, scaling at the very top": vl3(dict(rope_scaling=LINEAR),
                                             rope_parameters=dict(rope_type="default", rope_theta=3e4, **MROPE)),
    "llama, nothing": llama(),
    "llama3": llama(rope_theta=5e5, rope_scaling=LLAMA3),
    "llama3, parameters": llama(rope_parameters=dict(LLAMA3, rope_theta=5e2)),
    "llama3 of 3.2": llama(rope_theta=5e5, head_dim=64, rope_scaling=dict(LLAMA3, factor=32.0)),
    "llama3, another ramp": llama(rope_theta=1e3, rope_scaling=dict(LLAMA3, factor=2, low_freq_factor=2, high_freq_factor=9)),
    "llama3 without original": llama(rope_theta=5e2, rope_scaling=without("original_max_position_embeddings")),
    "llama3, original at the top": llama(rope_theta=5e2, original_max_position_embeddings=128, rope_scaling=LLAMA3),
    "llama3 without factor": llama(rope_theta=5e5, rope_scaling=without("factor")),
    "llama3 without low_freq_factor": llama(rope_theta=5e5, rope_scaling=without("low_freq_factor")),
    "llama3 without high_freq_factor": llama(rope_theta=5e5, rope_scaling=without("high_freq_factor")),
    "llama, yarn": llama(rope_theta=5e5, rope_scaling=YARN),
    "llava, scaling beside parameters": llava(rope_scaling=YARN, rope_parameters=dict(rope_type="default", rope_theta=3e4)),
    "llava, scaling at the very top": llava(dict(rope_scaling=LINEAR), rope_theta=3e4),
}


def rotary_of(model):
    return next(m for n, m in model.named_modules() if n.endswith("rotary_emb") and "visual" not in n)


def result_of(config):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        try:
            read = AutoConfig.from_pretrained(folder)
            model = CLASSES[config["model_type"]](read)
            model(input_ids=torch.tensor([[1, 2, 3]]), use_cache=False)
        except Exception as e:
            print("   ", type(e).__name__, str(e)[:100])
            return dict(fails=True)
    rotary = rotary_of(model)
    return dict(inverse=rotary.inv_freq.tolist(), scaling=rotary.attention_scaling)


if __name__ == "__main__":
    assert transformers.__version__ == "5.17.0"
    results = []
    for name, config in CASES.items():
        print(name)
        results.append(dict(name=name, config=config, **result_of(config)))
    OUT.write_text("[\n" + ",\n".join(json.dumps(one) for one in results) + "\n]\n")
