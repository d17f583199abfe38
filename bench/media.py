#!/usr/bin/env python3
"""Images from file to patches: ours beside Pillow and Hugging Face's Qwen2VLImageProcessor, one core, one run.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.17.0 pillow==13.0.0
    ninja -C BUILD media_bench && python bench/media.py BUILD/bin/media_bench [--core 0] [--rounds 3] [--fall 1.4]

Thirty JPEGs of 0.8 to 1.3 megapixels and about 3 bits a pixel (as COCO's and phones' are), quality 75 to 92, 4:2:0. Every program
gets each in turn, from memory; the best round counts, in processor time (other work may share the core). Python: Image.open,
exif_transpose, convert("RGB"), the processor with return_tensors="pt", torch on one thread. scripts/check_images.sh compares the
values.
"""
import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

ROUND_IMAGES = 30


def photograph(width, height, rng, fall_by):
    """Noise whose amplitude falls with frequency to the power `fall_by`, as in photographs, with some hard edges."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    fall = 1 / np.maximum(np.hypot(fx, fy), 1 / max(width, height)) ** fall_by
    planes = []
    for _ in range(3):
        phase = rng.normal(size=fall.shape) + 1j * rng.normal(size=fall.shape)
        plane = np.fft.irfft2(phase * fall, s=(height, width))
        planes.append(plane / plane.std())
    luma = planes[0]
    image = np.stack([luma + 0.25 * planes[1], luma, luma + 0.25 * planes[2]], -1) * 45 + 120
    for _ in range(12):
        x, y = rng.integers(0, width), rng.integers(0, height)
        image[y : y + height // 6, x : x + width // 6] += rng.normal(0, 40)
    return np.clip(image, 0, 255).astype(np.uint8)


def make(folder, fall_by=1.15):
    from PIL import Image
    rng = np.random.default_rng(1)
    files = []
    for n in range(ROUND_IMAGES):
        width = int(rng.integers(900, 1400))
        height = int(rng.uniform(0.8e6, 1.3e6) / width)
        buffer = io.BytesIO()
        Image.fromarray(photograph(width, height, rng, fall_by)).save(buffer, "JPEG", quality=int(rng.integers(75, 93)))
        with open(os.path.join(folder, f"{n:02}.jpg"), "wb") as file:
            file.write(buffer.getvalue())
        files.append((buffer.getvalue(), width * height))
    return files


def best(work, files, rounds):
    """Seconds an image, of the best round."""
    for data, _ in files[:3]:
        work(data)
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for data, _ in files:
            work(data)
        times.append((time.process_time() - start) / len(files))
    return min(times)


def python(files, rounds):
    import torch
    import transformers
    from PIL import Image, ImageOps
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    processor = Qwen2VLImageProcessor()

    def decoded(data):
        return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")

    whole = best(lambda data: processor(images=[decoded(data)], return_tensors="pt"), files, rounds)
    return {"decoding": best(decoded, files, rounds), "file_to_patches": whole}


def ours(program, folder, rounds):
    out = subprocess.run([program, "--benchmark_format=json", f"--benchmark_repetitions={rounds}", "--benchmark_min_time=0.5"], check=True,
                         capture_output=True, text=True, env={**os.environ, "LMMS_BENCH_IMAGES": folder}).stdout
    times = {}
    for run in json.loads(out)["benchmarks"]:
        if run["run_type"] == "iteration":
            seconds = run["cpu_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[run["time_unit"]]
            times[run["name"]] = min(times.get(run["name"], 1e9), seconds)
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fall", type=float, default=1.15, help="how smooth the pictures are: 1.15 gives 3 bits a pixel, 1.4 gives 1.6")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    with tempfile.TemporaryDirectory() as folder:
        files = make(folder, arguments.fall)
        pixels, size = sum(p for _, p in files) / len(files), sum(len(d) for d, _ in files)
        print(f"{len(files)} JPEGs, {pixels / 1e6:.2f} megapixels and {size / len(files) / 1e3:.0f} kB on average, core {arguments.core}")
        mine = ours(arguments.program, folder, arguments.rounds)
        theirs = python(files, arguments.rounds)
    for name, seconds in mine.items():
        beside = f"   Python {theirs[name] * 1e3:6.2f} ms   {theirs[name] / seconds:.2f} times" if name in theirs else ""
        print(f"{name:24} {seconds * 1e3:7.3f} ms   {1 / seconds:9.1f} images/s{beside}")


if __name__ == "__main__":
    sys.exit(main())
