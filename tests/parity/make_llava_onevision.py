"""Stores what transformers 5.17.0 (torch 2.11.0, fp32, CPU, eager attention) makes of tiny LLaVA-OneVision models.

    python make_llava_onevision.py        writes data/llava_onevision/

    MODEL/                     a Hugging Face checkpoint: config.json, weights under the hub's names or those of version 5's modules
    MODEL.CASE.safetensors     samples packed one after another, T tokens, P patches, M image and video tokens in all:
        input_ids, position_ids, labels [T] (shifted; -100: not trained), segment_lengths [S], all int32
        grids [G, 3] int32: views (of an image's tiles, or frames), patches a column, patches a row
        layouts [G, 3] int32: 0 one view, 1 tiles, 2 frames of a video; height and width of the image, 0 where they don't matter
        patches [P, 3 * ps * ps]       the views' patches, row by row: what the tower's convolution sees at every place
        features [M, H]                what takes the place of embeddings, in order of tokens
        logits [T, V] fp32             every sample was run alone
        loss [] fp64, gradient.<parameter> fp32 as in make_qwen_text.py; parameters under hub names
    generation.MODEL.safetensors  of prompt K: K.input_ids, K.grids, K.layouts, K.patches as above, K.ids [16] int32 the tokens that
                               transformers generates greedily, each prompt run alone
    initialisation.json        as make_initialisation.py has it, of a small LLaVA-OneVision

Biases and norm weights are drawn at random, so that they matter.
"""
import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.image_processing_utils import select_best_resolution

from make_qwen_text import reinitialise

OUT = Path(__file__).parent / "data" / "llava_onevision"
IMAGE, VIDEO = 91, 92
TEXT = dict(
    model_type="qwen2", vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=2048, initializer_range=0.2, rms_norm_eps=1e-6, use_sliding_window=False,
    max_window_layers=2)
VISION = dict(
    model_type="siglip_vision_model", hidden_size=16, intermediate_size=27, num_hidden_layers=3, num_attention_heads=4, image_size=28,
    patch_size=4, vision_use_head=False)
PINPOINTS = [[28, 28], [28, 56], [56, 28], [56, 56]]
MODELS = {
    "hub": dict(tied=False, style="hub", vision=VISION, ratio="anyres_max_9", layer=-1),
    # a tower whose views have 6 pixels beyond whole patches; the last layer is not run; features are shrunk; names of version 5
    "v5": dict(tied=True, style="v5", vision=dict(VISION, image_size=30, num_attention_heads=2), ratio="anyres_max_1", layer=-2),
}


def text(n):
    return ("text", n)


def image(h, w):
    return ("image", h, w)


def video(t):
    return ("video", t)


# samples of pieces
CASES = {
    "text": [[text(11)], [text(4)]],
    "image": [[text(3), image(50, 20), text(6)]],
    "wide": [[image(21, 90), text(5)]],
    "images": [[text(2), image(50, 20), text(3), image(28, 28), text(1), image(9, 40), text(5)]],
    "video": [[text(3), video(2), text(7)]],
    "packed": [[text(3), image(27, 10), text(4)], [text(6)], [video(1), text(5)], [text(1), image(8, 8), text(1), image(20, 30), text(4)]],
    "mixed": [[text(2), image(13, 28), text(2), video(2), text(3)], [text(3)]],
}


def hub_name(name):
    """The name of a parameter on the hub, from its module's."""
    if name.startswith("lm_head"):
        return "language_model." + name
    name = name.removeprefix("model.")
    name = re.sub(r"^language_model\.", "language_model.model.", name)
    return re.sub(r"^vision_tower\.", "vision_tower.vision_model.", name)


def patches_of(views, config):
    """[V, 3, S, S] -> [V * side^2, 3 * ps * ps]"""
    ps = config.vision_config.patch_size
    side = config.vision_config.image_size // ps
    views = views[:, :, :side * ps, :side * ps].reshape(-1, 3, side, ps, side, ps)
    return views.permute(0, 2, 4, 1, 3, 5).reshape(-1, 3 * ps * ps)


def views_of(piece, alone, config):
    """How many views a medium has, and its layout."""
    if piece[0] == "video":
        return piece[1], (2, 0, 0)
    if not alone:
        return 1, (0, 0, 0)
    h, w = select_best_resolution(list(piece[1:]), config.image_grid_pinpoints)
    size = config.vision_config.image_size
    return 1 + (h // size) * (w // size), (1, piece[1], piece[2])


def make_model(name, what):
    torch.manual_seed(dict(hub=200, v5=201)[name])
    size = what["vision"]["image_size"]
    config = AutoConfig.for_model(
        "llava_onevision", text_config=dict(TEXT, tie_word_embeddings=what["tied"], rope_parameters=dict(rope_theta=1e6, rope_type="default")),
        vision_config=dict(what["vision"]), tie_word_embeddings=what["tied"], image_token_index=IMAGE, video_token_index=VIDEO,
        image_grid_pinpoints=[[h // 28 * size, w // 28 * size] for h, w in PINPOINTS], vision_aspect_ratio=what["ratio"],
        vision_feature_layer=what["layer"])
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager", dtype=torch.float32)
    reinitialise(model, torch.Generator().manual_seed(200))
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    renamed = {(n if what["style"] == "v5" else hub_name(n)): p.detach().clone() for n, p in model.named_parameters()}
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})
    if what["style"] == "hub":
        written = json.loads((folder / "config.json").read_text())
        rope = written["text_config"].pop("rope_parameters")
        written["text_config"] |= dict(rope_theta=rope["rope_theta"], rope_scaling=None)
        written["torch_dtype"] = "float32"
        (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
    # From here on the folder alone counts.
    loaded = AutoModelForImageTextToText.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    for (n, a), (_, b) in zip(model.named_parameters(), loaded.named_parameters()):
        assert torch.equal(a, b), n
    assert loaded.config.text_config.rope_parameters["rope_theta"] == 1e6
    return loaded.train()


def features_of(model, pieces, pixels):
    """Of one sample, in order of tokens; the model's inputs."""
    config = model.config
    images = [p for p in pieces if p[0] == "image"]
    inputs, of_images, of_videos = {}, [], []
    if images:
        values = [x for p, x in zip([p for p in pieces if p[0] != "text"], pixels) if p[0] == "image"]
        most = max(len(x) for x in values)
        padded = torch.stack([torch.cat([x, torch.zeros(most - len(x), *x.shape[1:])]) for x in values])
        inputs |= dict(pixel_values=padded, image_sizes=torch.tensor([p[1:] for p in images]), batch_num_images=torch.tensor([len(images)]),
                       vision_aspect_ratio=config.vision_aspect_ratio)
        of_images = list(model.model.get_image_features(**inputs).pooler_output)
    videos = [x for p, x in zip([p for p in pieces if p[0] != "text"], pixels) if p[0] == "video"]
    if videos:
        inputs |= dict(pixel_values_videos=torch.stack(videos))
        seen = model.model.get_video_features(torch.stack(videos)).pooler_output
        of_videos = [torch.cat([v, model.model.image_newline[None]]) for v in seen]
    out = []
    for p in pieces:
        if p[0] != "text":
            out.append((of_images if p[0] == "image" else of_videos).pop(0))
    return out, inputs


def make_case(name, model, case):
    generator = torch.Generator().manual_seed(sorted(CASES).index(case) + 1)
    config = model.config
    size, side = config.vision_config.image_size, config.vision_config.image_size // config.vision_config.patch_size
    model.zero_grad(set_to_none=True)
    samples = []
    for pieces in CASES[case]:
        alone = sum(p[0] == "image" for p in pieces) == 1
        pixels, grids, layouts = [], [], []
        for p in pieces:
            if p[0] != "text":
                views, layout = views_of(p, alone, config)
                pixels.append(torch.randn(views, 3, size, size, generator=generator))
                grids.append((views, side, side))
                layouts.append(layout)
        with torch.no_grad():
            features, inputs = features_of(model, pieces, pixels)
        ids, left = [], [len(f) for f in features]
        for p in pieces:
            if p[0] == "text":
                ids += torch.randint(0, 90, (p[1],), generator=generator).tolist()
            else:
                ids += [IMAGE if p[0] == "image" else VIDEO] * left.pop(0)
        ids = torch.tensor(ids)
        target = torch.cat([ids[1:], torch.tensor([-100])])
        target[(torch.arange(len(ids)) % 4 == 3) | (target >= 90)] = -100
        samples.append((ids, target, pixels, features, inputs, grids, layouts))
    trained = sum(int((s[1] != -100).sum()) for s in samples)
    loss, logits = 0.0, []
    for ids, target, pixels, features, inputs, *_ in samples:
        out = model(input_ids=ids[None], use_cache=False, **inputs).logits[0]  # [n, V]
        logits.append(out.detach())
        part = torch.nn.functional.cross_entropy(out.double(), target, ignore_index=-100, reduction="sum") / trained
        part.backward()
        loss += part.item()
    width = 3 * config.vision_config.patch_size**2
    expected = dict(
        input_ids=torch.cat([s[0] for s in samples]).int(),
        position_ids=torch.cat([torch.arange(len(s[0])) for s in samples]).int(),
        labels=torch.cat([s[1] for s in samples]).int(),
        segment_lengths=torch.tensor([len(s[0]) for s in samples]).int(),
        grids=torch.tensor([g for s in samples for g in s[5]]).int().view(-1, 3),
        layouts=torch.tensor([g for s in samples for g in s[6]]).int().view(-1, 3),
        patches=torch.cat([patches_of(x, config) for s in samples for x in s[2]] or [torch.zeros(0, width)]).contiguous(),
        features=torch.cat([f for s in samples for f in s[3]] or [torch.zeros(0, config.text_config.hidden_size)]),
        logits=torch.cat(logits),
        loss=torch.tensor(loss, dtype=torch.float64),
    )
    for parameter_name, parameter in model.named_parameters():
        if parameter.grad is not None:
            expected[f"gradient.{hub_name(parameter_name)}"] = parameter.grad.contiguous()
    path = OUT / f"{name}.{case}.safetensors"
    save_file(expected, path)
    path.chmod(0o644)
    print(f"{name} {case}: loss {loss:.6f}, {trained} trained of {len(expected['input_ids'])} tokens, "
          f"{[len(f) for s in samples for f in s[3]]} features, {path.stat().st_size} bytes")
    assert path.stat().st_size < 300_000, (path, path.stat().st_size)


PROMPTS = [[text(9)], [text(3), image(50, 20), text(6)], [image(8, 8), text(1), image(20, 30), text(2)], [text(2), video(2), text(3)]]


def make_generation(name, model):
    generator = torch.Generator().manual_seed(11)
    config = model.config
    model.eval()
    model.generation_config.eos_token_id = None
    size, side = config.vision_config.image_size, config.vision_config.image_size // config.vision_config.patch_size
    stored = {}
    for k, pieces in enumerate(PROMPTS):
        alone = sum(p[0] == "image" for p in pieces) == 1
        views = [views_of(p, alone, config) for p in pieces if p[0] != "text"]
        pixels = [torch.randn(n, 3, size, size, generator=generator) for n, _ in views]
        with torch.no_grad():
            features, inputs = features_of(model, pieces, pixels)
        ids, left = [], [len(f) for f in features]
        for p in pieces:
            if p[0] == "text":
                ids += torch.randint(0, 90, (p[1],), generator=generator).tolist()
            else:
                ids += [IMAGE if p[0] == "image" else VIDEO] * left.pop(0)
        inputs.pop("vision_aspect_ratio", None)  # the config's
        ids = torch.tensor(ids)
        out = model.generate(input_ids=ids[None], attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
                             max_new_tokens=16, pad_token_id=0, **inputs)
        stored |= {f"{k}.input_ids": ids.int(), f"{k}.ids": out[0, len(ids):].int().contiguous(),
                   f"{k}.grids": torch.tensor([(n, side, side) for n, _ in views]).int().view(-1, 3),
                   f"{k}.layouts": torch.tensor([layout for _, layout in views]).int().view(-1, 3),
                   f"{k}.patches": torch.cat([patches_of(x, config) for x in pixels] or [torch.zeros(0, 3 * config.vision_config.patch_size**2)])
                   .contiguous()}
        print(name, k, stored[f"{k}.ids"].tolist())
    path = OUT / f"generation.{name}.safetensors"
    save_file(stored, path)
    path.chmod(0o644)
    assert path.stat().st_size < 300_000


def make_initialisation():
    config = dict(
        model_type="llava_onevision", architectures=["LlavaOnevisionForConditionalGeneration"],
        text_config=dict(model_type="qwen2", vocab_size=1024, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.03),
        vision_config=dict(VISION, hidden_size=96, intermediate_size=200, num_hidden_layers=2, image_size=56),
        image_token_index=100, video_token_index=101, image_grid_pinpoints=[[56, 56]])
    seeds, values, elements = 8, {}, {}
    for seed in range(seeds):
        torch.manual_seed(seed)
        settings = {key: value for key, value in json.loads(json.dumps(config)).items() if key not in ("model_type", "architectures")}
        model = AutoModelForImageTextToText.from_config(AutoConfig.for_model("llava_onevision", **settings), dtype=torch.float32)
        for name, parameter in model.named_parameters():
            pattern = re.sub(r"\.layers\.\d+\.", ".layers.{i}.", hub_name(name))
            elements[pattern] = parameter.numel()
            values.setdefault(pattern, []).append(parameter.detach().double().flatten())
    result = dict(config=config, seeds=seeds, tensors={})
    for pattern, parts in values.items():
        every = torch.cat(parts)
        result["tensors"][pattern] = dict(elements=elements[pattern], mean=every.mean().item(), std=every.std().item(), max=every.abs().max().item())
        print(pattern, {k: round(v, 7) for k, v in result["tensors"][pattern].items()})
    (OUT / "initialisation.json").write_text(json.dumps(result) + "\n")


def main():
    for name, what in MODELS.items():
        model = make_model(name, what)
        for case in CASES:
            make_case(name, model, case)
        make_generation(name, model)
        for path in (OUT / name).iterdir():
            path.chmod(0o644)
            assert path.stat().st_size < 300_000, (path, path.stat().st_size)
    make_initialisation()


if __name__ == "__main__":
    main()
