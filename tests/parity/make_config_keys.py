"""Stores what each key of the families' config classes does to a forward of transformers 5.17.0 (torch 2.11.0, fp32, CPU, eager):
data/config_keys.json,

    {folder below data/: {"text_config.rms_norm_eps": {"value": 1e-3, "does": "changes" | "nothing" | "fails", "field": true}}}

    python make_config_keys.py

A key gets another value in config.json, the model is read with the same weights, and its logits for text, an image and a video
(where it sees) are compared. Keys are the fields of the config classes, and some more (field: false) that transformers asks for in some models.
"""
import dataclasses
import json
import logging
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

import make_llava_onevision as llava
import make_qwen_vl as qwen_vl

logging.disable(logging.WARNING)
warnings.simplefilter("ignore")
DATA = Path(__file__).parent / "data"
FOLDERS = ["llama/tied", "qwen_text/qwen2_tied", "qwen_text/qwen3_untied", "qwen_vl/untied_hub", "qwen_vl/tied_v5", "qwen_vl/qwen3",
           "llava_onevision/hub"]
MORE = ["is_causal", "head_dim", "rope_theta", "attention_bias", "sliding_window", "attention_chunk_size"]
VALUES = dict(
    hidden_act="gelu", projector_hidden_act="silu", attention_dropout=0.5, rms_norm_eps=1e-2, layer_norm_eps=1e-2, is_causal=False,
    rope_theta=123.0, rope_parameters=dict(rope_type="default", rope_theta=123.0), fullatt_block_indexes=[0],
    deepstack_visual_indexes=[0, 1], vision_feature_select_strategy="default", vision_aspect_ratio="anyres_max_1",
    vision_feature_layer=1, image_grid_pinpoints=[[28, 28]], use_sliding_window=True, sliding_window=2, tokens_per_second=7,
    id2label={"0": "a"}, label2id={"a": 0}, problem_type="regression", dtype="float32", architectures=["X"],
    transformers_version="4.0.0", initializer_range=0.5, image_token_id=3, video_token_id=3, image_token_index=3,
    video_token_index=3, window_size=8, num_position_embeddings=4)


def other_value(key, old):
    if key in VALUES:
        return VALUES[key]
    if isinstance(old, bool):
        return not old
    if isinstance(old, int):
        return old + 1
    return 3 if old is None else None


def sections_of(config):
    flat = not isinstance(getattr(config, "text_config", None), transformers.PreTrainedConfig)
    yield "", config
    if not flat:
        yield "text_config.", config.text_config
        yield "vision_config.", config.vision_config


def inputs_of(model):
    """The model's inputs: from its own unchanged config."""
    generator = torch.Generator().manual_seed(1)
    kind = model.config.model_type
    if kind == "llava_onevision":
        pieces = [llava.text(3), llava.image(50, 20), llava.text(4)]
        views, _ = llava.views_of(pieces[1], True, model.config)
        size = model.config.vision_config.image_size
        pixels = [torch.randn(views, 3, size, size, generator=generator)]
        features, inputs = llava.features_of(model, pieces, pixels)
        ids = [5, 6, 7] + [llava.IMAGE] * len(features[0]) + [8, 9, 10, 11]
        inputs.pop("vision_aspect_ratio")
        return dict(inputs, input_ids=torch.tensor([ids]))
    if "vl" not in kind:
        return dict(input_ids=torch.randint(0, min(90, model.config.vocab_size), (1, 9), generator=generator))
    pieces = [qwen_vl.text(3), qwen_vl.image(6, 10), qwen_vl.text(2), qwen_vl.video(3, 4, 6, 1.0), qwen_vl.text(4)]
    ids, types = qwen_vl.layout(pieces, generator, kind == "qwen3_vl")
    vision = model.config.vision_config
    width = 3 * vision.temporal_patch_size * vision.patch_size**2
    pixels = [torch.randn(p[1] * p[2] * p[3], width, generator=generator) for p in pieces if p[0] != "text"]
    inputs = dict(input_ids=ids[None], mm_token_type_ids=types[None], pixel_values=pixels[0], pixel_values_videos=pixels[1],
                  image_grid_thw=qwen_vl.grids(pieces[1:2]), video_grid_thw=qwen_vl.grids(pieces[3:4]))
    return inputs | (dict(second_per_grid_ts=torch.tensor([1.0])) if kind == "qwen2_5_vl" else {})


def read(folder, config):
    with tempfile.TemporaryDirectory() as copy:
        (Path(copy) / "config.json").write_text(json.dumps(config))
        (Path(copy) / "model.safetensors").symlink_to((folder / "model.safetensors").resolve())
        kind = AutoModelForCausalLM if config["model_type"] in ("llama", "qwen2", "qwen3") else AutoModelForImageTextToText
        model, told = kind.from_pretrained(copy, attn_implementation="eager", dtype=torch.float32, output_loading_info=True)
        assert not told["missing_keys"] - {"lm_head.weight"} and not told["mismatched_keys"], told
        return model.train()


def logits_of(model, inputs):
    torch.manual_seed(0)
    with torch.no_grad():
        return model(**inputs, use_cache=False).logits


def probe(name):
    folder = DATA / name
    config = json.loads((folder / "config.json").read_text())
    model = read(folder, config)
    inputs = inputs_of(model)
    usual = logits_of(model, inputs)
    assert torch.equal(usual, logits_of(read(folder, config), inputs))
    results = {}
    whole = model.config
    flat = "text_config" not in config
    for place, part in sections_of(whole):
        target = "" if flat and place == "text_config." else place
        fields = [f.name for f in dataclasses.fields(part) if not f.name.startswith("_")]
        for key in dict.fromkeys(fields + MORE):
            if key in ("text_config", "vision_config") or target + key in results:
                continue
            changed = json.loads(json.dumps(config))
            at = changed[place[:-1]] if target else changed
            value = other_value(key, at.get(key, getattr(part, key, None)))
            at[key] = value
            try:
                got = logits_of(read(folder, changed), inputs)
                does = "nothing" if torch.equal(got, usual) else "changes"
            except Exception:
                does = "fails"
            results[target + key] = dict(value=value, does=does, field=key in fields)
    return results


if __name__ == "__main__":
    assert transformers.__version__ == "5.17.0"
    results = {name: probe(name) for name in FOLDERS}
    lines = []
    for name, keys in results.items():
        inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in keys.items())
        lines.append(f" {json.dumps(name)}: {{\n{inner}\n }}")
    (DATA / "config_keys.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
