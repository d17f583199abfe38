"""Stores eight updates of torch 2.11.0's AdamW (fp32, one tensor at a time) with gradient clipping.

    python make_adamw.py        writes data/adamw.safetensors and data/adamw_groups.safetensors

Two groups as transformers makes them: `matrix` and `wide` decay, `norm` and `bias` do not. In the second file `wide` and `bias` have 0.3
of the learning rate and `wide` a decay of its own, `module_weight_decay`. The header's metadata holds `settings`, a
JSON object of betas, eps, weight_decay and max_grad_norm. For update k, counted from 1:

    parameter.0.<name>          before the first update
    gradient.<k>.<name>         before clipping; update 3 is all zeros, update 5 is large, `bias` of update 6 is zero
    learning_rate [8] fp64      of the updates
    norm.<k> [] fp32            what clip_grad_norm_ returned
    parameter.<k>.<name>        after the update
    exp_avg.8.<name>, exp_avg_sq.8.<name>   after the last
"""
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).parent / "data"
SHAPES = {"matrix": (7, 5), "wide": (3, 65), "norm": (33,), "bias": (1,)}
DECAYED = ("matrix", "wide")
SETTINGS = dict(beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, max_grad_norm=1.0)
UPDATES = 8
MODULE = dict(module=["wide", "bias"], module_rate=0.3, module_weight_decay=0.02)


def gradients_of(update, generator):
    scale = {3: 0.0, 5: 50.0}.get(update, 0.05 * update)
    gradients = {name: scale * torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    if update == 6:
        gradients["bias"].zero_()
    return gradients


def store(path, module):
    generator = torch.Generator().manual_seed(1)
    parameters = {name: torch.nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in SHAPES.items()}
    learning_rate = [1e-2 * (update / 4 if update < 4 else 1 / update) for update in range(1, UPDATES + 1)]

    def group_of(name):
        inside = module and name in module["module"]
        decay = module["module_weight_decay"] if inside else SETTINGS["weight_decay"]
        return dict(params=[parameters[name]], weight_decay=decay if name in DECAYED else 0.0,
                    base=module["module_rate"] if inside else 1.0)

    optimizer = torch.optim.AdamW([group_of(name) for name in SHAPES], lr=1.0, betas=(SETTINGS["beta1"], SETTINGS["beta2"]),
                                  eps=SETTINGS["eps"], foreach=False)
    out = {"learning_rate": torch.tensor(learning_rate, dtype=torch.float64)}
    out |= {f"parameter.0.{name}": parameter.detach().clone() for name, parameter in parameters.items()}
    for update in range(1, UPDATES + 1):
        for name, gradient in gradients_of(update, generator).items():
            parameters[name].grad = gradient
            out[f"gradient.{update}.{name}"] = gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), SETTINGS["max_grad_norm"], foreach=False)
        out[f"norm.{update}"] = norm.clone()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate[update - 1] * group["base"]
        optimizer.step()
        out |= {f"parameter.{update}.{name}": parameter.detach().clone() for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        out[f"exp_avg.{UPDATES}.{name}"] = optimizer.state[parameter]["exp_avg"]
        out[f"exp_avg_sq.{UPDATES}.{name}"] = optimizer.state[parameter]["exp_avg_sq"]
    save_file(out, path, {"settings": json.dumps(SETTINGS | (module or {}))})
    path.chmod(0o644)
    print(f"{path.stat().st_size} bytes; norms {[round(out[f'norm.{k}'].item(), 4) for k in range(1, UPDATES + 1)]}")


def main():
    store(OUT / "adamw.safetensors", None)
    store(OUT / "adamw_groups.safetensors", MODULE)


if __name__ == "__main__":
    main()
