"""Stores what the authors' SiT (models.py of willisma/SiT, with timm; torch 2.11.0, fp32, CPU) makes of tiny models.

    python make_sit.py FOLDER        FOLDER: a checkout of the authors' repository; writes data/sit/ and data/public_shapes/sit.json

    MODEL/                   config.json (keys of lmms_engine's SiTConfig) and model.safetensors; `prefixed` has lmms_engine's names, `pixels` a .pt
    MODEL.safetensors        T patches of S samples, W = channels * patch^2 numbers each, in the order (channel, row, column):
        x, direction, out [T, W]      input, and what the loss multiplies the output with
        t [S], classes [S] int32      num_classes: the class was dropped
        gradient.<parameter>          of sum(out * direction), fixed ones left out
    initialisation.json      as make_initialisation.py has it

    public_shapes/sit.json   {size: {"config", "parameters": with the fixed embeddings of places, "tensors": {name: shape}}}, "{i}" for every block

All weights are drawn at random, those that start at 0 too, so that they matter.
"""
import argparse
import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).parent / "data" / "sit"
SHAPES = Path(__file__).parent / "data" / "public_shapes" / "sit.json"
TINY = dict(input_size=8, patch_size=2, in_channels=4, hidden_size=32, depth=2, num_heads=2, mlp_ratio=4.0, class_dropout_prob=0.1,
            num_classes=10, learn_sigma=True)
MODELS = {
    "patch2": TINY,
    "prefixed": dict(TINY, patch_size=4, hidden_size=16),
    # no class for samples that are told none; an inner width that fast products refuse; pixels
    "pixels": dict(TINY, input_size=6, in_channels=3, hidden_size=12, mlp_ratio=2.3, class_dropout_prob=0.0, learn_sigma=False, depth=1),
}
SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}
PUBLISHED = {"S/2": 32.9, "B/2": 130.3, "L/2": 457.8, "XL/2": 674.8}  # millions that are trained, as the authors state them
SEEDS = 8


def authors(folder):
    spec = importlib.util.spec_from_file_location("models", Path(folder) / "models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tokens(images, patch):
    """[S, C, H, W] -> [T, C * patch * patch]"""
    s, c, h, w = images.shape
    cut = images.reshape(s, c, h // patch, patch, w // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, c * patch * patch).contiguous()


def store(models, name, config):
    generator = torch.Generator().manual_seed(17)
    model = models.SiT(**config)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if key != "pos_embed":
                p.copy_(torch.randn(p.shape, generator=generator) * (0.1 if p.dim() == 1 else 0.5 / p[0].numel() ** 0.5))
    folder = OUT / name
    folder.mkdir(parents=True)
    prefix = "model." if name == "prefixed" else ""
    state = {prefix + k: v.detach().contiguous() for k, v in model.state_dict().items()}
    if name == "pixels":  # as the authors' train.py saves: the average is what counts
        args = argparse.Namespace(model="SiT-S/2", num_classes=config["num_classes"], vae="ema")
        last = {k: torch.zeros_like(v) for k, v in state.items()}
        torch.save({"model": last, "ema": state, "opt": {"state": {}, "param_groups": []}, "args": args}, folder / "0050000.pt")
    else:
        save_file(state, folder / "model.safetensors", {"format": "pt"})
    written = dict(model_type="sit", **config)
    (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")

    size, channels, classes = config["input_size"], config["in_channels"], config["num_classes"]
    model.eval()  # drops no class by itself
    dropped = classes if config["class_dropout_prob"] > 0 else 0
    y = torch.tensor([3, dropped, 3, 9])
    shape = (len(y), channels, size, size)
    x, direction = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    t = torch.rand(len(y), generator=generator)
    out = model(x, t, y)
    (out * direction).sum().backward()
    tensors = {"x": x, "direction": direction, "out": out.detach()}
    tensors = {k: tokens(v, config["patch_size"]) for k, v in tensors.items()}
    tensors |= {"t": t, "classes": y.int()}
    tensors |= {"gradient." + k: p.grad for k, p in model.named_parameters() if p.requires_grad}
    save_file(tensors, OUT / f"{name}.safetensors", {"format": "pt"})


def pattern(name):
    return re.sub(r"^blocks\.\d+\.", "blocks.{i}.", name)


def shapes(models):
    out = {}
    for size, (hidden, depth, heads) in SIZES.items():
        for patch in (2, 4, 8):
            name = f"{size}/{patch}"
            with torch.device("meta"):
                model = models.SiT_models["SiT-" + name]()
            tensors = {}
            for key, value in model.state_dict().items():
                assert tensors.setdefault(pattern(key), list(value.shape)) == list(value.shape), key
            trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
            assert name not in PUBLISHED or round(trained / 1e6, 1) == PUBLISHED[name], (name, trained)
            out[name] = dict(config=dict(model_type="sit", hidden_size=hidden, depth=depth, num_heads=heads, patch_size=patch),
                             parameters=sum(p.numel() for p in model.parameters()), tensors=tensors)
    SHAPES.write_text(json.dumps(out, indent=1) + "\n")


def initialisation(models):
    config = dict(TINY, hidden_size=64, input_size=16, num_classes=400)
    values, elements = {}, {}
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        for name, p in models.SiT(**config).named_parameters():
            elements[pattern(name)] = p.numel()
            values.setdefault(pattern(name), []).append(p.detach().double().flatten())
    tensors = {}
    for name, v in values.items():
        v = torch.cat(v)
        tensors[name] = dict(elements=elements[name], mean=v.mean().item(), std=v.std(unbiased=False).item(), max=v.abs().max().item())
    (OUT / "initialisation.json").write_text(json.dumps(dict(config=dict(model_type="sit", **config), seeds=SEEDS, tensors=tensors), indent=1) + "\n")


def main():
    torch.set_num_threads(1)
    models = authors(sys.argv[1])
    shutil.rmtree(OUT, ignore_errors=True)
    for name, config in MODELS.items():
        store(models, name, config)
    initialisation(models)
    shapes(models)


if __name__ == "__main__":
    main()
