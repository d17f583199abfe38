"""Writes tests/parity/data/centre_crop.safetensors: images and their square crops as Pillow makes them by
guided-diffusion's recipe (halve by BOX, bicubic to the shorter side, cut), as DiT and SiT train.

Usage: python make_centre_crop.py data/centre_crop.safetensors     (numpy, Pillow, safetensors)
"""
import sys

import numpy as np
from PIL import Image
from safetensors.numpy import save_file


def crop(image, size):
    while min(image.size) >= 2 * size:
        image = image.resize(tuple(side // 2 for side in image.size), resample=Image.BOX)
    scale = size / min(image.size)
    image = image.resize(tuple(round(side * scale) for side in image.size), resample=Image.BICUBIC)
    pixels = np.array(image)
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return pixels[top:top + size, left:left + size]


def picture(width, height, seed):
    """Waves, an edge and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / (3 + c) + seed) * np.cos(y / (5 - c)) for c in range(3)]
    pixels = np.stack(planes, -1) + 40 * (x + y > (width + height) / 2)[..., None]
    return np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)


tensors = {}
for seed, (width, height, size) in enumerate([(111, 75, 32), (28, 40, 32), (101, 133, 16), (32, 32, 32), (64, 129, 32)]):
    pixels = picture(width, height, seed)
    image = Image.fromarray(pixels)
    tensors[f"image.{seed}"] = pixels
    tensors[f"crop.{seed}"] = np.ascontiguousarray(crop(image, size))
    tensors[f"grey.{seed}"] = np.array(Image.fromarray(tensors[f"crop.{seed}"]).convert("L"))
save_file(tensors, sys.argv[1])
