"""Stores what diffusers' AutoencoderKL (0.42.0, torch 2.11.0, fp32, CPU) makes of images.

    python make_autoencoder_kl.py        writes data/autoencoder_kl/

    MODEL/config.json, MODEL/diffusion_pytorch_model.safetensors      of tiny models; `old` has the attention's names up to 0.16, in a .bin of torch.save
    MODEL.safetensors        pixels [N, 3, H, W], mean, deviation [N, C, h, w], latents [N, C, h, w], decoded [N, 3, H, W]
    full.json                Stable Diffusion's autoencoder: {"config", "tensors": {name: shape}, "parameters"}
    full.safetensors         the same numbers as of a tiny model, of one image; its weights and inputs are `drawn` below, which the test draws likewise
"""
import json
import shutil
from pathlib import Path

import numpy
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

OUT = Path(__file__).parent / "data" / "autoencoder_kl"
MODELS = {
    # widths that change in the middle, an odd number of images
    "tiny": dict(block_out_channels=(8, 16), layers_per_block=2, latent_channels=4, norm_num_groups=4, scaling_factor=0.18215),
    # 16 channels, a shift, no products around the latents
    "shifted": dict(block_out_channels=(8, 8, 16), layers_per_block=1, latent_channels=16, norm_num_groups=2, scaling_factor=0.3611,
                    shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False),
    "old": dict(block_out_channels=(8,), layers_per_block=1, latent_channels=2, norm_num_groups=4),
}
FULL = dict(block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, norm_num_groups=32, scaling_factor=0.18215)
OLD_NAMES = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}


def make(config):
    n = len(config["block_out_channels"])
    return AutoencoderKL(down_block_types=("DownEncoderBlock2D",) * n, up_block_types=("UpDecoderBlock2D",) * n, **config).eval()


def drawn(name, shape):
    """Numbers in [-1, 1) that depend on name and place alone: a hash (splitmix64) of FNV-1a of the name plus the place."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    z = numpy.arange(numpy.prod(shape, dtype=numpy.int64), dtype=numpy.uint64) + numpy.uint64(1)
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + z * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    return torch.from_numpy((z >> numpy.uint64(40)).astype(numpy.float32) / 2.0**23 - 1).reshape(shape)


def law(name, p):
    """Weights of variance 1 / inputs; biases and the norms' weights small, about 0 and 1."""
    value = drawn(name, p.shape)
    if p.dim() > 1:
        return value * (3.0 / p[0].numel()) ** 0.5
    return value * 0.1 + (1 if name.endswith("weight") else 0)


def fill(model):
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(law(name, p))
    return model


@torch.no_grad()
def results(model, pixels, latents):
    posterior = model.encode(pixels).latent_dist
    return {"pixels": pixels, "mean": posterior.mean.contiguous(), "deviation": posterior.std.contiguous(), "latents": latents,
            "decoded": model.decode(latents).sample.contiguous()}


def main():
    torch.set_num_threads(2)
    shutil.rmtree(OUT, ignore_errors=True)
    for name, config in MODELS.items():
        model = fill(make(config))
        model.save_pretrained(OUT / name)
        if name == "old":
            state = {}
            for key, value in model.state_dict().items():
                for new, old in OLD_NAMES.items():
                    key = key.replace("attentions.0." + new, "attentions.0." + old)
                state[key] = value
            torch.save(state, OUT / name / "diffusion_pytorch_model.bin")
            (OUT / name / "diffusion_pytorch_model.safetensors").unlink()
            # diffusers reads them so, too
            again = AutoencoderKL.from_pretrained(OUT / name, use_safetensors=False)
            for (key, a), (_, b) in zip(model.named_parameters(), again.named_parameters()):
                assert torch.equal(a, b), key
        stride = 2 ** (len(config["block_out_channels"]) - 1)
        shape = (3, 3, 8, 12)
        pixels = drawn("pixels", shape)
        latents = drawn("latents", (3, config["latent_channels"], 8 // stride, 12 // stride)) * 2
        save_file(results(model, pixels, latents), OUT / f"{name}.safetensors", {"format": "pt"})

    model = fill(make(FULL))
    stored = results(model, drawn("pixels", (1, 3, 64, 64)), drawn("latents", (1, 4, 8, 8)) * 2)
    del stored["pixels"], stored["latents"]
    save_file(stored, OUT / "full.safetensors", {"format": "pt"})
    model.save_config(OUT / "full")
    config = json.loads((OUT / "full" / "config.json").read_text())
    shutil.rmtree(OUT / "full")
    tensors = {key: list(value.shape) for key, value in model.state_dict().items()}
    parameters = sum(p.numel() for p in model.parameters())
    assert parameters == 83_653_863, parameters  # of the released sd-vae-ft-ema
    text = json.dumps(dict(config=config, parameters=parameters, tensors=tensors), indent=1) + "\n"
    (OUT / "full.json").write_text(text)


if __name__ == "__main__":
    main()
