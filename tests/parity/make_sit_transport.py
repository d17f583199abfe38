"""Stores what the authors' transport (willisma/SiT, torch 2.11.0, torchdiffeq 0.2.5, fp64, CPU) makes of losses and samplers.

    python make_sit_transport.py FOLDER        FOLDER: a checkout of the authors' repository; writes data/sit_transport/

    S samples of P tokens with C * 4 numbers each, in the order (channel, row, column) of a 2 x 2 patch:
    losses.safetensors    x0, x1, prediction [S * P, C * 4], t [S]; of every PATH.PREDICTION.WEIGHTING loss [] and gradient [S * P, C * 4]
    samples.safetensors   noise [S * P, C * 4], and of every case what it ends in; classes [S] int32
    cases.json            the cases, as `cases()` lists them

The network of the samplers is the function `network`. Steps of the stochastic sampler draw what lmms draws (Philox, below).
"""
import itertools
import json
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).parent / "data" / "sit_transport"
S, C, P, PATCH = 3, 4, 4, 4
PATHS, PREDICTIONS, WEIGHTINGS = ["Linear", "GVP", "VP"], ["velocity", "score", "noise"], [None, "velocity", "likelihood"]
SEED, SAMPLING = 11, 5  # rng::Purpose::sampling
CLASSES = [0, 2, 1]
NONE = 3


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def normal(ordinal, n):
    """data::DrawKey(SEED, ordinal).normal(SAMPLING, n)"""
    words = philox([ordinal, 0, n // 4, 0], [SEED, SAMPLING])
    first = n % 4 // 2 * 2
    a, b = ((words[first + i] + 1) * 2.0**-32 for i in range(2))
    return math.sqrt(-2 * math.log(a)) * (math.cos, math.sin)[n % 2](2 * math.pi * b)


def tokens(x):
    """[S, C, P * PATCH] -> [S * P, C * PATCH]"""
    return x.reshape(-1, C, P, PATCH).permute(0, 2, 1, 3).reshape(-1, C * PATCH)


def planes(x):
    return x.reshape(-1, P, C, PATCH).permute(0, 2, 1, 3).reshape(-1, C, P * PATCH)


def network(x, t, y):
    """Any smooth function will do."""
    t, y = (v.reshape(-1, 1, 1).to(x) for v in (t, y))
    return (0.4 * x + 0.3 * torch.sin(2 * x)) * torch.cos(t) - 0.2 * t - 0.1 * y


def guided(scale, channels):
    def run(x, t, y):
        told, none = network(x, t, y), network(x, t, torch.full_like(y, NONE))
        out = none + scale * (told - none)
        return torch.cat([out[:, :channels], told[:, channels:]], 1)
    return run


def transport_of(transport, path, prediction, weighting=None):
    made = transport.create_transport(path, prediction, weighting, None, None)
    if made.sample_eps is None:  # left out by mistake where train_eps is
        made.sample_eps = 1e-3
    return made


def losses(transport):
    g = torch.Generator().manual_seed(3)
    x0, x1, prediction = (torch.randn(S, C, P * PATCH, generator=g) for _ in range(3))
    t = torch.tensor([0.15, 0.6, 0.93])
    out = {"t": t, "x0": tokens(x0), "x1": tokens(x1), "prediction": tokens(prediction)}
    for path, kind, weighting in itertools.product(PATHS, PREDICTIONS, WEIGHTINGS):
        made = transport_of(transport, path, kind, weighting)
        made.sample = lambda _: (t, x0, x1)
        leaf = prediction.clone().requires_grad_()
        loss = made.training_losses(lambda x, t: leaf, x1)["loss"].mean()
        loss.backward()
        name = f"{path}.{kind}.{weighting}"
        out[f"{name}.loss"], out[f"{name}.gradient"] = loss.detach(), tokens(leaf.grad)
    return out


def cases():
    out = []
    for path, kind in itertools.product(PATHS, PREDICTIONS):
        for sampler in ["euler", "heun", "dopri5"]:
            out.append(dict(path=path, prediction=kind, sampler=sampler, steps=6))
        out.append(dict(path=path, prediction=kind, sampler="sde", steps=7, diffusion="sigma", last_step="Mean"))
    for diffusion in ["SBDM", "linear", "constant", "decreasing", "increasing-decreasing"]:
        # the authors leave t0 at 0 there, where SBDM is infinite
        kind = "noise" if diffusion == "SBDM" else "velocity"
        out.append(dict(path="Linear", prediction=kind, sampler="sde", steps=7, diffusion=diffusion, last_step="Mean"))
    for last in ["Tweedie", "Euler"]:
        out.append(dict(path="GVP", prediction="velocity", sampler="sde", steps=7, diffusion="sigma", last_step=last))
    out.append(dict(path="Linear", prediction="velocity", sampler="euler", steps=6, guidance=2.5, channels=C))
    out.append(dict(path="Linear", prediction="velocity", sampler="euler", steps=6, guidance=4.0, channels=3))
    return out


def sample(transport, integrators, case, noise):
    sampler = transport.Sampler(transport_of(transport, case["path"], case["prediction"]))
    net = guided(case["guidance"], case["channels"]) if "guidance" in case else network
    y = torch.tensor(CLASSES)
    if case["sampler"] == "sde":
        step = itertools.count()
        integrators.th.randn = lambda size: planes(torch.tensor(
            [[normal(s, i * C * P * PATCH + v) for v in range(C * P * PATCH)] for i in [next(step)] for s in range(S)]))
        try:
            form = {"increasing-decreasing": "inccreasing-decreasing"}.get(case["diffusion"], case["diffusion"])
            # a tensor: "constant" is the norm itself, of which the authors take the root
            run = sampler.sample_sde(diffusion_form=form, diffusion_norm=torch.tensor(1.0), last_step=case["last_step"], num_steps=case["steps"])
            return run(planes(noise), net, y=y)[-1]
        finally:
            integrators.th.randn = RANDN
    method = {"heun": "heun2"}.get(case["sampler"], case["sampler"])
    fine = dict(rtol=1e-9, atol=1e-11) if method == "dopri5" else {}
    return sampler.sample_ode(sampling_method=method, num_steps=case["steps"] + 1, **fine)(planes(noise), net, y=y)[-1]


RANDN = torch.randn


def main():
    sys.path.insert(0, sys.argv[1])
    torch.set_default_dtype(torch.float64)
    import transport
    from transport import integrators
    OUT.mkdir(exist_ok=True)
    store = lambda name, tensors: save_file({k: v.float().contiguous() if v.is_floating_point() else v for k, v in tensors.items()}, OUT / name)
    store("losses.safetensors", losses(transport))
    noise = torch.tensor([[normal(100 + s, v) for v in range(C * P * PATCH)] for s in range(S)]).reshape(S * P, C * PATCH)
    made = {"noise": noise, "classes": torch.tensor(CLASSES, dtype=torch.int32)}
    for i, case in enumerate(cases()):
        made[str(i)] = tokens(sample(transport, integrators, case, noise))
    store("samples.safetensors", made)
    (OUT / "cases.json").write_text(json.dumps(cases(), indent=0) + "\n")


main()
