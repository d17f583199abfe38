"""Stores what transformers 5.17.0 (torch 2.11.0, fp32, CPU, eager attention) makes of tiny Qwen2 and Qwen3 models.

    python make_qwen_text.py [CASE ...]        writes data/qwen_text/CASE/

A case folder is a Hugging Face checkpoint (config.json as the case wants it, weights) with expected.safetensors beside it,
which packs two or three samples of uneven lengths one after another, T tokens in all:

    input_ids, position_ids [T] int32     positions begin at 0 in every sample
    labels [T] int32                      already shifted: the target of position t; -100 where nothing is trained
    segment_lengths [S] int32             lengths of the samples
    logits [T, V] fp32                    every sample was run alone
    loss [] fp64                          sum of -log p(target) over trained positions / their number, from fp32 logits
    gradient.<parameter> fp32             of that loss, under the checkpoint's names (a tied head has none of its own)

Biases and norm weights, which transformers initialises to 0 and 1, are drawn at random so that they matter, and
initializer_range is large, so that attention is far from uniform.
"""
import copy
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

OUT = Path(__file__).parent / "data" / "qwen_text"
COMMON = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.2, rms_norm_eps=1e-6,
    tie_word_embeddings=False, use_sliding_window=False, sliding_window=None, max_window_layers=2,
)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)


def qwen2(**changes):
    return dict(model_type="qwen2", architectures=["Qwen2ForCausalLM"], **{**COMMON, **changes})


def qwen3(**changes):
    return dict(model_type="qwen3", architectures=["Qwen3ForCausalLM"], **{**COMMON, "head_dim": 16, **changes})


# config; rope: what makes up rope_parameters; style: how the file says it ("hub": rope_theta and rope_scaling at the top level,
# "type": the same with the older key `type`, "v5": rope_parameters); dtype of the file; samples' lengths; max shard in bytes; seed,
# by default the place among those without one.
CASES = {
    "qwen2_tied": dict(
        config=qwen2(num_hidden_layers=3, tie_word_embeddings=True), rope=dict(rope_theta=1e6), style="hub"),
    "qwen2_tied_with_head": dict(  # an older export: a copy of the tied head and a buffer stand in the file
        config=qwen2(tie_word_embeddings=True), rope=dict(rope_theta=1e6), style="hub", surplus=True),
    "qwen2_tied_other_head": dict(  # tied by its config; the file holds another head, which counts
        config=qwen2(tie_word_embeddings=True), rope=dict(rope_theta=1e6), style="v5", other_head=True, seed=100),
    "qwen2_base": dict(  # saved by Qwen2Model: names without `model.`
        config=qwen2(tie_word_embeddings=True), rope=dict(rope_theta=1e6), style="v5", base=True, seed=101),
    "qwen2_yarn_mscale": dict(  # rope_scaling beside rope_parameters: the former counts
        config=qwen2(), rope=dict(rope_theta=1e4, mscale=0.7, mscale_all_dim=1.4, **YARN), style="v5", beside=True, lengths=[26, 3],
        seed=102),
    "qwen2_untied_sharded": dict(
        config=qwen2(num_hidden_layers=3), rope=dict(rope_theta=1e6), style="v5", shard="40KB"),
    "qwen2_sliding_yarn": dict(
        config=qwen2(num_hidden_layers=3, use_sliding_window=True, sliding_window=4, max_window_layers=1),
        rope=dict(rope_theta=1e6, **YARN), style="type", lengths=[23, 1, 9]),
    "qwen2_mha": dict(
        config=qwen2(num_key_value_heads=4), rope=dict(rope_theta=1e6), style="hub", null_kv_heads=True),
    "qwen2_yarn_untruncated": dict(
        config=qwen2(), rope=dict(rope_theta=1e4, truncate=False, beta_fast=16, beta_slow=2, **YARN), style="v5",
        lengths=[30, 2]),
    "qwen2_odd": dict(  # odd sizes, one layer, class defaults left out of the file
        config=qwen2(vocab_size=101, hidden_size=30, intermediate_size=37, num_hidden_layers=1, num_attention_heads=3,
                     num_key_value_heads=3, rms_norm_eps=1e-5),
        rope=dict(rope_theta=5e5), style="hub", sparse=True, lengths=[5, 1, 11]),
    "qwen2_default_theta": dict(  # no rope key at all: theta is the class default
        config=qwen2(), rope=dict(rope_theta=1e4), style="none", sparse=True),
    "qwen3_untied": dict(config=qwen3(), rope=dict(rope_theta=1e6), style="v5"),
    "qwen3_wide_heads": dict(config=qwen3(head_dim=32, tie_word_embeddings=True), rope=dict(rope_theta=1e6), style="hub"),
    "qwen3_bias_bf16": dict(
        config=qwen3(attention_bias=True), rope=dict(rope_theta=1e6), style="hub", dtype="bfloat16"),
    "qwen3_tied_fp16": dict(
        config=qwen3(tie_word_embeddings=True), rope=dict(rope_theta=1e6), style="v5", dtype="float16"),
    "qwen3_mqa": dict(config=qwen3(num_key_value_heads=1), rope=dict(rope_theta=1e6), style="hub"),
    "qwen3_sliding": dict(
        config=qwen3(num_hidden_layers=3, use_sliding_window=True, sliding_window=3,
                     layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
        rope=dict(rope_theta=1e6), style="v5", lengths=[14, 1, 6]),
    "qwen3_yarn_attention_factor": dict(
        config=qwen3(), rope=dict(rope_theta=1e6, attention_factor=1.25, **YARN), style="hub", lengths=[26, 3]),
    "qwen3_odd": dict(
        config=qwen3(vocab_size=97, hidden_size=40, intermediate_size=51, num_attention_heads=6, num_key_value_heads=3,
                     head_dim=10),
        rope=dict(rope_theta=1e6), style="hub", lengths=[1, 17]),
}


def reinitialise(model, generator):
    for _, parameter in sorted(model.named_parameters()):
        if parameter.dim() != 1:
            continue
        is_norm = bool((parameter == 1).all())
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            parameter.copy_(1 + 0.1 * noise if is_norm else 0.5 * noise)


def file_config(case, config):
    """The dictionary of config.json in the case's style."""
    result = copy.deepcopy(case["config"])
    rope = dict(case["rope"])
    theta = rope.pop("rope_theta")
    style = case["style"]
    if style == "v5":
        if case.get("beside"):
            result["rope_scaling"] = dict(case["rope"])
            case = dict(case, rope=dict(rope_theta=5e5))
        result["rope_parameters"] = dict(case["rope"], rope_type=case["rope"].get("rope_type", "default"))
        if hasattr(config, "layer_types"):
            result.setdefault("layer_types", config.layer_types)
        result["dtype"] = case.get("dtype", "float32")
    else:
        if style == "type":
            rope["type"] = rope.pop("rope_type")
        if style != "none":
            result["rope_theta"] = theta
            result["rope_scaling"] = rope or None
        result["torch_dtype"] = case.get("dtype", "float32")
    if case.get("null_kv_heads"):
        result["num_key_value_heads"] = None
    if case.get("sparse"):
        defaults = type(config)().to_dict()
        defaults["sliding_window"] = None
        result = {k: v for k, v in result.items() if k == "model_type" or k not in defaults or defaults[k] != v}
    else:
        result.update(hidden_act="silu", attention_dropout=0.0, use_cache=True)
    return result


def sample_batch(lengths, vocab_size, generator):
    """Random ids; labels are the next ids, with the first third of a sample and every fourth position untrained."""
    ids = [torch.randint(0, vocab_size, (n,), generator=generator) for n in lengths]
    labels = []
    for sample in ids:
        n = len(sample)
        target = torch.cat([sample[1:], torch.tensor([-100])])
        position = torch.arange(n)
        target[(position < n // 3) | (position % 4 == 3)] = -100
        labels.append(target)
    return ids, labels


def make(name, case):
    seed = case.get("seed") or sorted(n for n in CASES if "seed" not in CASES[n]).index(name) + 1
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = {k: v for k, v in case["config"].items() if k != "model_type"}
    config = AutoConfig.for_model(
        case["config"]["model_type"], rope_parameters=dict({"rope_type": "default"}, **case["rope"]), **settings)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    reinitialise(model, generator)

    model.to(getattr(torch, case.get("dtype", "float32")))
    (model.model if case.get("base") else model).save_pretrained(folder, max_shard_size=case.get("shard", "5GB"))
    (folder / "generation_config.json").unlink(missing_ok=True)
    if case.get("surplus"):
        weights = load_file(folder / "model.safetensors")
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
        weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.rand(4, generator=generator)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    if case.get("other_head"):
        weights = load_file(folder / "model.safetensors")
        weights["lm_head.weight"] = 0.2 * torch.randn(weights["model.embed_tokens.weight"].shape, generator=generator)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    text = json.dumps(file_config(case, config), indent=2) + "\n"
    (folder / "config.json").write_text(text)

    # From here on the folder alone counts: what transformers makes of it is the reference.
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).train()
    for key in ("rope_theta", "rope_type", "factor"):
        if key in case["rope"]:
            assert model.config.rope_parameters[key] == case["rope"][key], (name, key)
    assert getattr(model.config, "layer_types", None) == getattr(config, "layer_types", None), name
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == (
        config.tie_word_embeddings and not case.get("other_head")), name
    lengths = case.get("lengths", [7, 1, 12])
    ids, labels = sample_batch(lengths, config.vocab_size, generator)
    trained = sum(int((target != -100).sum()) for target in labels)
    loss, logits = 0.0, []
    for sample, target in zip(ids, labels):
        out = model(input_ids=sample[None], use_cache=False).logits[0]  # [n, V]
        logits.append(out.detach())
        part = torch.nn.functional.cross_entropy(out.double(), target, ignore_index=-100, reduction="sum") / trained
        part.backward()
        loss += part.item()
    expected = dict(
        input_ids=torch.cat(ids).int(),
        labels=torch.cat(labels).int(),
        position_ids=torch.cat([torch.arange(n) for n in lengths]).int(),
        segment_lengths=torch.tensor(lengths).int(),
        logits=torch.cat(logits),
        loss=torch.tensor(loss, dtype=torch.float64),
    )
    for parameter_name, parameter in model.named_parameters():
        expected[f"gradient.{parameter_name}"] = parameter.grad
    save_file(expected, folder / "expected.safetensors")
    for path in folder.iterdir():
        path.chmod(0o644)
        assert path.stat().st_size < 300_000, (path, path.stat().st_size)
    print(f"{name}: loss {loss:.6f}, {trained} trained of {sum(lengths)} tokens")


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        make(name, CASES[name])
