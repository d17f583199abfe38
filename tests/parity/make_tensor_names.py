"""Stores under which names transformers 5.17.0 (torch 2.11.0) reads the tensors of each family: data/tensor_names.json,

    {model_type: {"config": {...}, "names": {<name in its state dict>: [<name in a file>, ...]}}}

    python make_tensor_names.py

One tensor stands for each kind of prefix and first module. Its names are found by trial: every series of up to four prefixes
that files of any release have had goes through from_pretrained's own renaming. A few whole lists of what save_pretrained
writes are kept too: {"saved": {<what>: [names]}}: of a fresh model, of a base model, of one that was read.
"""
import itertools
import json
import tempfile
from pathlib import Path

import transformers
from safetensors import safe_open
from transformers import (
    AutoConfig, LlamaForCausalLM, LlamaModel, LlavaOnevisionForConditionalGeneration, LlavaOnevisionModel, Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLModel, Qwen2ForCausalLM, Qwen2Model, Qwen3ForCausalLM, Qwen3Model, Qwen3VLForConditionalGeneration, Qwen3VLModel)
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

OUT = Path(__file__).parent / "data" / "tensor_names.json"
TEXT = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
            num_key_value_heads=2, tie_word_embeddings=False)
MROPE = dict(rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[1, 1, 2]))
VISION = dict(depth=1, hidden_size=32, num_heads=4, intermediate_size=48, out_hidden_size=32)
TOKENS = dict(image_token_id=90, video_token_id=91)
FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaModel, TEXT),
    "qwen2": (Qwen2ForCausalLM, Qwen2Model, TEXT),
    "qwen3": (Qwen3ForCausalLM, Qwen3Model, dict(TEXT, head_dim=8)),
    "qwen2_5_vl": (Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLModel, dict(
        text_config=dict(TEXT, **MROPE), vision_config=dict(VISION, fullatt_block_indexes=[0]), **TOKENS)),
    "qwen3_vl": (Qwen3VLForConditionalGeneration, Qwen3VLModel, dict(
        text_config=dict(TEXT, head_dim=8, **MROPE),
        vision_config=dict(VISION, deepstack_visual_indexes=[0], num_position_embeddings=16), **TOKENS)),
    "llava_onevision": (LlavaOnevisionForConditionalGeneration, LlavaOnevisionModel, dict(
        text_config=dict(TEXT, model_type="qwen2"), image_token_index=90, video_token_index=91,
        image_grid_pinpoints=[[28, 28]],
        vision_config=dict(model_type="siglip_vision_model", num_hidden_layers=1, hidden_size=32, intermediate_size=48,
                           num_attention_heads=4, image_size=28, patch_size=14, vision_use_head=False))),
}
MODULES = ["model", "language_model", "vision_tower", "vision_model", "visual"]


def names_read(model):
    state = model.state_dict()
    transforms = get_model_conversion_mapping(model)
    renamings = [t for t in transforms if isinstance(t, WeightRenaming)]
    converters = [t for t in transforms if isinstance(t, WeightConverter)]

    def read_as(name):  # convert_and_load_state_dict_in_model
        to, _ = rename_source_key(name, renamings, converters, model.base_model_prefix, state)
        if to not in state and name in state:
            to, _ = rename_source_key(name, [], [], base_model_prefix=model.base_model_prefix, meta_state_dict=state)
        return to

    result, seen = {}, set()
    for name in state:
        parts = name.split(".")
        start = next(i for i, part in enumerate(parts) if part not in MODULES)
        kind = (*parts[:start], parts[start])
        if kind in seen:
            continue
        seen.add(kind)
        candidates = (".".join([*prefixes, *parts[start:]]) for n in range(5)
                      for prefixes in itertools.product(MODULES, repeat=n))
        result[name] = [c for c in candidates if read_as(c) == name]
        assert name in result[name], name
    return result


def saved_names(model, folder):
    model.save_pretrained(folder)
    with safe_open(folder / "model.safetensors", "pt") as file:
        return sorted(file.keys())


if __name__ == "__main__":
    assert transformers.__version__ == "5.17.0"
    results = {}
    for model_type, (whole, base, settings) in FAMILIES.items():
        config = AutoConfig.for_model(model_type, **settings)
        saved = {}
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            saved["fresh"] = saved_names(whole(config), folder / "a")
            saved["fresh base"] = saved_names(base(config), folder / "b")
            saved["read"] = saved_names(whole.from_pretrained(folder / "a"), folder / "c")
            saved["base of whole"] = saved_names(base.from_pretrained(folder / "a"), folder / "d")
            saved["whole of base"] = saved_names(whole.from_pretrained(folder / "b"), folder / "e")
        results[model_type] = dict(config=dict(settings, model_type=model_type), names=names_read(whole(config)), saved=saved)
    OUT.write_text(json.dumps(results, indent=1) + "\n")
