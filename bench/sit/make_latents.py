"""Writes a cache of random latents, as `lmms cache-latents` would of 256 x 256 images by an autoencoder of 4 channels.

    python make_latents.py SAMPLES FOLDER        needs numpy
"""
import json
import os
import sys

import numpy as np

CHANNELS, SIDE, VERSIONS, CLASSES, IN_A_SHARD = 4, 32, 2, 1000, 1024


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, (dtype, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for _, values in tensors.values():
            f.write(values.tobytes())


def main():
    samples, folder = int(sys.argv[1]), sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    random = np.random.default_rng(7)
    shards = []
    for start in range(0, samples, IN_A_SHARD):
        count = min(IN_A_SHARD, samples - start)
        shape = (count, VERSIONS, CHANNELS, SIDE, SIDE)
        name = f"latents-{len(shards):05}.safetensors"
        write_safetensors(os.path.join(folder, name), {
            "deviation": ("F16", np.full(shape, 0.1, np.float16)),
            "labels": ("I64", random.integers(0, CLASSES, count)),
            "mean": ("F16", (5.5 * random.standard_normal(shape, np.float32)).astype(np.float16)),
        })
        shards.append({"file": name, "count": count, "bytes": os.path.getsize(os.path.join(folder, name)), "xxh3": "0"})
    settings = {"autoencoder": "none", "data": "random", "channels": CHANNELS, "height": SIDE, "width": SIDE,
                "versions": VERSIONS, "image_size": 8 * SIDE, "dtype": "F16", "scale": 0.18215, "shift": 0.0,
                "rows_per_shard": IN_A_SHARD}
    index = {"kind": "lmms latents", "version": 1, "settings": settings, "autoencoder_path": "", "classes": CLASSES,
             "count": samples, "skipped": 0, "shards": shards}
    with open(os.path.join(folder, "index.json"), "w") as f:
        json.dump(index, f)


main()
