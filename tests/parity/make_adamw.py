"""Stores updates of torch 2.11.0's AdamW in fp32 (one tensor at a time; its kernels of AVX2 or AVX512, which join a product and a sum).

    python make_adamw.py        writes data/adamw.safetensors, data/adamw_groups.safetensors and data/adamw_long.safetensors

The first two: eight updates with gradient clipping. Two groups as transformers makes them: `matrix` and `wide` decay, `norm` and `bias` do
not. In the second file `wide` and `bias` have 0.3 of the learning rate and `wide` a decay of its own, `module_weight_decay`. The header's
metadata holds `settings`, a JSON object of betas, eps, weight_decay and max_grad_norm. For update k, counted from 1:

    parameter.0.<name>          before the first update
    gradient.<k>.<name>         before clipping; update 3 is all zeros, update 5 is large, `bias` of update 6 is zero
    learning_rate [8] fp64      of the updates
    norm.<k> [] fp32            what clip_grad_norm_ returned
    parameter.<k>.<name>        after the update
    exp_avg.8.<name>, exp_avg_sq.8.<name>   after the last

The third: many updates of 37 elements without clipping, whose gradients and learning rates `long_gradient` and `long_rate` make of
integers, so that they are not stored. Square roots are rounded correctly there, as on a GPU: those of MKL, which torch takes on a CPU, are
off by a last bit in one of five numbers. `cases` in its metadata is a list of settings; of each case:

    <case>.parameter.<k>        after update k, before the first where k is 0
    <case>.exp_avg, <case>.exp_avg_sq   after the last
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


LONG_ELEMENTS = 37
# `before`: updates made already (torch counts them in fp32, which ends at 2 ** 24)
CASES = [
    dict(name="usual", beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, rate=1e-3, before=0, updates=5000),
    dict(name="slow", beta1=0.9, beta2=0.99999, eps=1e-8, weight_decay=0.1, rate=1e-3, before=0, updates=3000),
    dict(name="no_momentum", beta1=0.0, beta2=0.95, eps=1e-8, weight_decay=0.0, rate=1e-2, before=0, updates=500),
    dict(name="little_momentum", beta1=0.3, beta2=0.0, eps=1e-6, weight_decay=0.1, rate=1e-4, before=0, updates=500),
    dict(name="tiny_eps", beta1=0.9, beta2=0.98, eps=1e-30, weight_decay=0.0, rate=1e-3, before=0, updates=500),
    dict(name="late", beta1=0.99999, beta2=0.9999999, eps=1e-8, weight_decay=0.1, rate=1e-3, before=2**24 - 500, updates=500),
]


def long_gradient(k, i):
    """Update k, element i, exact in fp32: from 1 down to 2 ** -43; every sixth is zero but for each fiftieth update."""
    if i % 6 == 5 and k % 50 != 0:
        return 0.0
    return ((k * 7919 + i * 104729 + k * k * 31) % 2001 - 1000) * 2.0 ** -(10 + 3 * (i % 12))


def long_rate(case, k):
    return case["rate"] * (1.0 - k / (2.0 * case["updates"]))


def store_long(path):
    torch.Tensor.sqrt = lambda tensor: torch.sqrt(tensor.double()).to(tensor.dtype)
    out = {}
    for case in CASES:
        generator = torch.Generator().manual_seed(2)
        parameter = torch.nn.Parameter(torch.randn(LONG_ELEMENTS, generator=generator))
        optimizer = torch.optim.AdamW([parameter], lr=1.0, betas=(case["beta1"], case["beta2"]), eps=case["eps"],
                                      weight_decay=case["weight_decay"], foreach=False)
        state = optimizer.state[parameter]
        state["step"] = torch.tensor(float(case["before"]))
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros(LONG_ELEMENTS), torch.zeros(LONG_ELEMENTS)
        for k in range(case["updates"] + 1):
            if k > 0:
                parameter.grad = torch.tensor([long_gradient(k, i) for i in range(LONG_ELEMENTS)])
                optimizer.param_groups[0]["lr"] = long_rate(case, k)
                optimizer.step()
            if k in (0, 1, 2, 3, 10, 100) or k % 250 == 0:
                out[f"{case['name']}.parameter.{k}"] = parameter.detach().clone()
        assert state["step"].item() == case["before"] + case["updates"]
        out |= {f"{case['name']}.{name}": state[name] for name in ("exp_avg", "exp_avg_sq")}
        assert all(tensor.isfinite().all() for tensor in out.values())
    save_file(out, path, {"cases": json.dumps(CASES)})
    path.chmod(0o644)
    print(f"{path.stat().st_size} bytes")


def main():
    assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    store(OUT / "adamw.safetensors", None)
    store(OUT / "adamw_groups.safetensors", MODULE)
    store_long(OUT / "adamw_long.safetensors")


if __name__ == "__main__":
    main()
