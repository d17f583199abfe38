"""Stores what transformers 5.17.0 (torch 2.11.0, fp32, CPU, eager attention) makes of tiny Qwen2.5-VL and Qwen3-VL models.

    python make_qwen_vl.py        writes data/qwen_vl/

    MODEL/                     a Hugging Face checkpoint: config.json in the hub's or in version 5's form, weights
    MODEL.CASE.safetensors     samples packed one after another, T tokens, P patches, M pad tokens in all:
        input_ids [T], position_ids [3, T], labels [T] (shifted; -100: not trained), segment_lengths [S], all int32
        grids [G, 3], is_video [G] int32; seconds_per_grid [G] fp32
        pixel_values [P, C * tp * ps * ps]
        features [M, H], deepstack.K   what the tower makes of them, in order of tokens
        logits [T, V] fp32             every sample was run alone
        loss [] fp64, gradient.<parameter> fp32 as in make_qwen_text.py; parameters under hub names
    rope_index*.json           layouts of text, images and videos with the positions of get_rope_index

Biases and norm weights are drawn at random, so that they matter.
"""
import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText

from make_qwen_text import reinitialise

OUT = Path(__file__).parent / "data" / "qwen_vl"
IMAGE, VIDEO, START, END = 91, 92, 93, 94
TEXT = dict(
    vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=256, initializer_range=0.2, rms_norm_eps=1e-6, use_sliding_window=False, max_window_layers=2)
VISION = dict(
    depth=3, hidden_size=24, intermediate_size=36, num_heads=2, patch_size=4, spatial_merge_size=2, temporal_patch_size=2,
    window_size=16, out_hidden_size=32, fullatt_block_indexes=[1], tokens_per_second=2, initializer_range=0.2)
TEXT3 = dict({k: v for k, v in TEXT.items() if "window" not in k}, head_dim=16)
VISION3 = dict(
    depth=3, hidden_size=24, intermediate_size=36, num_heads=2, patch_size=4, spatial_merge_size=2, temporal_patch_size=2,
    out_hidden_size=32, num_position_embeddings=25, deepstack_visual_indexes=[0, 2], initializer_range=0.2)
MODELS = {
    "qwen3": dict(family="qwen3_vl", text=TEXT3, vision=dict(VISION3, hidden_size=16, intermediate_size=30, deepstack_visual_indexes=[1]),
                  tied=False, style="hub", sections=[4, 2, 2]),
    "qwen3_tied": dict(family="qwen3_vl", text=TEXT3, tied=True, style="hub", sections=[3, 3, 2],
                       vision=dict(VISION3, depth=2, hidden_size=8, intermediate_size=21, num_heads=1, deepstack_visual_indexes=[0, 1],
                                   num_position_embeddings=17)),
    "untied_hub": dict(vision=VISION, tied=False, style="hub", sections=[2, 1, 1]),
    # odd sizes; names of tensors as the modules of transformers 5 are called; all keys in text_config
    "tied_v5": dict(vision=dict(VISION, depth=2, hidden_size=16, intermediate_size=21, num_heads=4, window_size=24,
                                fullatt_block_indexes=[0], tokens_per_second=4), tied=True, style="v5", sections=[1, 1, 2]),
}


def text(n):
    return ("text", n)


def image(h, w):
    return ("image", 1, h, w)


def video(t, h, w, seconds):
    return ("video", t, h, w, seconds)


# samples of pieces
CASES = {
    "text": [[text(11)], [text(4)]],
    "image": [[text(3), image(6, 10), text(6)]],
    "images": [[text(2), image(4, 4), text(3), image(2, 14), text(1), image(10, 6), text(5)]],
    "video": [[text(3), video(3, 4, 6, 1.0), text(7)]],
    "packed": [[text(3), image(6, 6), text(2), video(2, 4, 6, 2.0), text(4)], [text(6)],
               [video(3, 2, 2, 0.5), text(5)], [text(1), image(2, 8), text(1), image(2, 2), text(4)]],
}
ONLY = {"tied_v5": ["packed"], "qwen3_tied": ["packed"]}


def hub_name(model, name):
    """The name of a parameter on the hub, from its module's."""
    if model.config.model_type == "qwen3_vl":
        return name
    name = re.sub(r"^model\.visual\.", "visual.", name)
    return re.sub(r"^model\.language_model\.", "model.", name)


def layout(pieces, generator, apart, merge=2):
    """ids, types (0 text, 1 image, 2 video) of one sample; vision starts and ends stand around the pads. `apart`: every frame
    of a video has pads of its own behind two tokens of text."""
    ids, types = [], []
    for kind, *what in pieces:
        if kind == "text":
            ids += torch.randint(0, 90, (what[0],), generator=generator).tolist()
            types += [0] * what[0]
        elif kind == "video" and apart:
            pads = what[1] * what[2] // merge**2
            for _ in range(what[0]):
                ids += torch.randint(0, 90, (2,), generator=generator).tolist() + [START] + [VIDEO] * pads + [END]
                types += [0, 0, 0] + [2] * pads + [0]
        else:
            pads = what[0] * what[1] * what[2] // merge**2
            ids += [START] + [IMAGE if kind == "image" else VIDEO] * pads + [END]
            types += [0] + [1 if kind == "image" else 2] * pads + [0]
    return torch.tensor(ids), torch.tensor(types)


def media(pieces, kind):
    return [p for p in pieces if p[0] == kind]


def grids(pieces):
    return torch.tensor([p[1:4] for p in pieces]) if pieces else None


def positions(model, ids, types, pieces):
    videos = media(pieces, "video")
    if model.config.model_type == "qwen3_vl":
        return model.model.get_rope_index(
            ids[None], types[None], grids(media(pieces, "image")), grids(videos))[0][:, 0]
    return model.model.get_rope_index(
        ids[None], types[None], grids(media(pieces, "image")), grids(videos),
        second_per_grid_ts=[v[4] for v in videos] if videos else None)[0][:, 0]  # [3, T]


def make_model(name, what):
    family = what.get("family", "qwen2_5_vl")
    seed = dict(tied_v5=100, untied_hub=101, qwen3=102, qwen3_tied=103)[name]
    torch.manual_seed(seed)
    rope = dict(rope_theta=1e6 if family == "qwen2_5_vl" else 5e6, rope_type="default", mrope_section=what["sections"])
    config = AutoConfig.for_model(
        family, text_config=dict(what.get("text", TEXT), rope_parameters=rope), vision_config=what["vision"], tie_word_embeddings=what["tied"],
        image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START, vision_end_token_id=END)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager", dtype=torch.float32)
    reinitialise(model, torch.Generator().manual_seed(seed))
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    saved = load_file(folder / "model.safetensors")
    written = sorted({re.sub(r"\..*", "", n) + "." + n.split(".")[1] for n in saved})
    print(name, "save_pretrained writes", written)
    renamed = {(n if what["style"] == "v5" else hub_name(model, n)): p.detach().clone()
               for n, p in model.named_parameters()}
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    if family == "qwen3_vl":
        written = json.loads((folder / "config.json").read_text())
        rope = written["text_config"].pop("rope_parameters")
        written["text_config"] |= dict(rope_theta=5e6, rope_scaling=dict(
            rope_type="default", mrope_interleaved=True, mrope_section=what["sections"]))
        written["vision_config"].pop("rope_parameters", None)
        written["vision_config"]["model_type"] = "qwen3_vl"  # as old files say
        (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
    elif what["style"] == "hub":
        flat = dict(TEXT, model_type="qwen2_5_vl", architectures=["Qwen2_5_VLForConditionalGeneration"], hidden_act="silu",
                    attention_dropout=0.0, rope_theta=1e6, rope_scaling=dict(type="mrope", mrope_section=what["sections"]),
                    tie_word_embeddings=what["tied"], image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START,
                    vision_end_token_id=END, torch_dtype="float32",
                    vision_config=dict(what["vision"], model_type="qwen2_5_vl", hidden_act="silu", in_chans=3,
                                       spatial_patch_size=what["vision"]["patch_size"]))
        (folder / "config.json").write_text(json.dumps(flat, indent=2) + "\n")
    # From here on the folder alone counts.
    loaded = AutoModelForImageTextToText.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    for (n, a), (_, b) in zip(model.named_parameters(), loaded.named_parameters()):
        assert torch.equal(a, b), n
    assert loaded.config.text_config.rope_parameters["mrope_section"] == what["sections"]
    return loaded.train()


def make_case(name, model, case):
    generator = torch.Generator().manual_seed(sorted(CASES).index(case) + 1)
    apart = model.config.model_type == "qwen3_vl"
    model.zero_grad(set_to_none=True)
    vision = model.config.vision_config
    width = 3 * vision.temporal_patch_size * vision.patch_size**2
    samples, targets = [], []
    for pieces in CASES[case]:
        ids, types = layout(pieces, generator, apart)
        target = torch.cat([ids[1:], torch.tensor([-100])])
        target[(torch.arange(len(ids)) % 4 == 3) | (target >= 90)] = -100
        pixels = [torch.randn(p[1] * p[2] * p[3], width, generator=generator) for p in pieces if p[0] != "text"]
        samples.append((ids, types, pixels, pieces))
        targets.append(target)
    trained = sum(int((t != -100).sum()) for t in targets)
    loss, logits, features, where, deep = 0.0, [], [], [], []
    for (ids, types, pixels, pieces), target in zip(samples, targets):
        all_media = [p for p in pieces if p[0] != "text"]
        of = {kind: [x for p, x in zip(all_media, pixels) if p[0] == kind] for kind in ("image", "video")}
        position_ids = positions(model, ids, types, pieces)
        where.append(position_ids)
        inputs = dict(input_ids=ids[None], position_ids=position_ids[:, None], use_cache=False)
        if of["image"]:
            inputs |= dict(pixel_values=torch.cat(of["image"]), image_grid_thw=grids(media(pieces, "image")))
        if of["video"]:
            inputs |= dict(pixel_values_videos=torch.cat(of["video"]), video_grid_thw=grids(media(pieces, "video")))
        if all_media:
            with torch.no_grad():
                seen = model.model.visual(torch.cat(pixels), grid_thw=grids(all_media))
                features.append(seen.pooler_output)
                deep.append(getattr(seen, "deepstack_features", None) or [])
        out = model(**inputs).logits[0]  # [n, V]
        logits.append(out.detach())
        part = torch.nn.functional.cross_entropy(out.double(), target, ignore_index=-100, reduction="sum") / trained
        part.backward()
        loss += part.item()
    all_media = [p for _, _, _, pieces in samples for p in pieces if p[0] != "text"]
    expected = dict(
        input_ids=torch.cat([s[0] for s in samples]).int(),
        position_ids=torch.cat(where, dim=1).int().contiguous(),
        labels=torch.cat(targets).int(),
        segment_lengths=torch.tensor([len(s[0]) for s in samples]).int(),
        grids=torch.tensor([p[1:4] for p in all_media]).int().view(-1, 3),
        is_video=torch.tensor([int(p[0] == "video") for p in all_media]).int(),
        seconds_per_grid=torch.tensor([p[4] if p[0] == "video" else 1.0 for p in all_media]),
        pixel_values=torch.cat([x for s in samples for x in s[2]] or [torch.zeros(0, width)]),
        features=torch.cat(features or [torch.zeros(0, model.config.text_config.hidden_size)]),
        logits=torch.cat(logits),
        loss=torch.tensor(loss, dtype=torch.float64),
    )
    for k in range(len(deep[0]) if deep else 0):
        expected[f"deepstack.{k}"] = torch.cat([d[k] for d in deep])
    for parameter_name, parameter in model.named_parameters():
        if parameter.grad is not None:
            expected[f"gradient.{hub_name(model, parameter_name)}"] = parameter.grad.contiguous()
    path = OUT / f"{name}.{case}.safetensors"
    save_file(expected, path)
    path.chmod(0o644)
    assert path.stat().st_size < 300_000, (path, path.stat().st_size)
    print(f"{name} {case}: loss {loss:.6f}, {trained} trained of {len(expected['input_ids'])} tokens, {path.stat().st_size} bytes")


def make_rope_index(model, file):
    apart = model.config.model_type == "qwen3_vl"
    generator = torch.Generator().manual_seed(7)

    def draw(low, high):
        return int(torch.randint(low, high + 1, (1,), generator=generator))

    result = []
    for i in range(72):
        pieces = [text(draw(1, 5))] if i % 3 else []
        for _ in range(draw(0, 4)):
            if draw(0, 1):
                pieces.append(image(2 * draw(1, 5), 2 * draw(1, 5)))
            else:
                pieces.append(video(draw(1, 5), 2 * draw(1, 3), 2 * draw(1, 3), [0.5, 1.0, 2.0, 3.7][draw(0, 3)]))
            pieces.append(text(draw(1, 6)))
        pieces = pieces or [text(draw(1, 9))]
        ids, types = layout(pieces, generator, apart)
        result.append(dict(media=[p for p in pieces if p[0] != "text"], ids=ids.tolist(),
                           positions=positions(model, ids, types, pieces).tolist()))
    lines = ",\n".join(json.dumps(r, separators=(",", ":")) for r in result)
    path = OUT / file
    path.write_text("[\n" + lines + "\n]\n")
    print(file, len(result), "layouts,", path.stat().st_size, "bytes")


def main():
    for name, what in MODELS.items():
        model = make_model(name, what)
        for case in ONLY.get(name, CASES):
            make_case(name, model, case)
        if name in ("untied_hub", "qwen3"):
            make_rope_index(model, "rope_index.json" if name == "untied_hub" else "rope_index_qwen3.json")
        for path in (OUT / name).iterdir():
            path.chmod(0o644)
            assert path.stat().st_size < 300_000, (path, path.stat().st_size)


if __name__ == "__main__":
    main()
