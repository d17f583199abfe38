#!/usr/bin/env python3
"""Images and videos from file to patches: ours beside what Python does, one core, one run.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.17.0 pillow==13.0.0 av==18.1.0 qwen-vl-utils==0.0.14 torchcodec==0.11.0
    ninja -C BUILD media_bench && python bench/media.py BUILD/bin/media_bench [--only images|videos] [--core 0] [--rounds 3] [--fall 1.4]

Images: thirty JPEGs of 0.8 to 1.3 megapixels and about 3 bits a pixel (as COCO's and phones' are), quality 75 to 92, 4:2:0. Python:
Image.open, exif_transpose, convert("RGB"), Qwen2VLImageProcessor with return_tensors="pt". scripts/check_images.sh compares the values.
Videos: films of ten seconds in H.264 (x264, medium, crf 23), 360p and 720p, a key frame each second or each 250 frames, looked at once a
second. Python: fetch_video of qwen_vl_utils on torchcodec and then Qwen2VLVideoProcessor, as the Python project loads them;
PyAV or torchcodec and the processor alone. Needs torchcodec's libraries (FFmpeg); without torchcodec its lines are left out.
Every program gets each file in turn; the best round counts, in processor time (other work may share the core), on one thread.
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


def film(path, width, height, gop, seed, seconds=10, rate=30):
    """A camera that moves over a photograph, with the noise of a sensor."""
    import av
    rng = np.random.default_rng(seed)
    scene = photograph(width + 400, height + 200, rng, 1.3).astype(np.int16)
    noise = rng.normal(0, 2.0, (height, width, 3)).astype(np.int16)
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "medium", "crf": "23", "g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for n in range(seconds * rate):
            x, y = int(200 + 180 * np.sin(n / 60)), int(100 + 80 * np.sin(n / 45))
            view = np.clip(scene[y : y + height, x : x + width] + np.roll(noise, 37 * n, 1), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(view, format="rgb24")
            frame.pts = n
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def make_films(folder):
    for height, width, gop in ((360, 640, 30), (720, 1280, 30), (720, 1280, 250)):
        path = os.path.join(folder, f"{height}_{gop:03}.mp4")
        film(path, width, height, gop, height + gop)
        yield path


def best(work, files, rounds):
    """Seconds a file, of the best round."""
    for data, _ in files[:3]:
        work(data)
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for data, _ in files:
            work(data)
        times.append((time.process_time() - start) / len(files))
    return min(times)


def python_images(files, rounds):
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


def python_videos(paths, rounds):
    import av
    import torch
    import transformers
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    processor = Qwen2VLVideoProcessor(do_sample_frames=False, cap_pixels_per_frame=False)
    limits = {"min_frames": 1, "max_frames": 768, "fps": 1, "min_pixels": 3136, "max_pixels": 602112}
    from qwen_vl_utils import vision_process

    def with_pyav(path):
        with av.open(path) as file:
            stream = file.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "NONE", 1
            n = vision_process.smart_nframes(limits, stream.frames, float(stream.average_rate))
            wanted = set(torch.linspace(0, stream.frames - 1, n).round().long().tolist())
            frames = [f.to_ndarray(format="rgb24") for i, f in enumerate(file.decode(stream)) if i in wanted]
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)

    def processed(video):
        return processor(videos=[video], return_tensors="pt")

    ways = {"video_decoding": {"PyAV": with_pyav}, "video_by_processor": {"PyAV": lambda path: processed(with_pyav(path))}, "video_by_loader": {}}
    try:
        import torchcodec  # noqa: F401: qwen_vl_utils finds it by itself
        with_torchcodec = lambda path: vision_process._read_video_torchcodec({"video": path, **limits})[0]
        ways["video_decoding"]["torchcodec"] = with_torchcodec
        ways["video_by_processor"]["torchcodec"] = lambda path: processed(with_torchcodec(path))
        ways["video_by_loader"]["qwen_vl_utils"] = lambda path: processed(vision_process.fetch_video({"video": path, **limits}))
    except (ImportError, RuntimeError, OSError) as error:
        print(f"no torchcodec: {str(error).splitlines()[0]}")
    files = [(path, 0) for path in paths]
    return {name: {by: best(work, files, rounds) for by, work in kinds.items()} for name, kinds in ways.items()}


def ours(program, folders, rounds, only):
    kind = {"images": "--benchmark_filter=-video", "videos": "--benchmark_filter=video"}[only]
    out = subprocess.run([program, "--benchmark_format=json", f"--benchmark_repetitions={rounds}", "--benchmark_min_time=1" if only == "videos" else
                          "--benchmark_min_time=0.5", kind], check=True, capture_output=True, text=True, env={**os.environ, **folders}).stdout
    times = {}
    for run in json.loads(out)["benchmarks"]:
        if run["run_type"] == "iteration":
            seconds = run["cpu_time"] * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[run["time_unit"]]
            times[run["name"]] = min(times.get(run["name"], 1e9), seconds)
    return times


def around(mine, theirs):
    """Ours before and after theirs, the better one of each: what else the machine does changes meanwhile."""
    before, others, after = mine(), theirs(), mine()
    return {name: min(seconds, after[name]) for name, seconds in before.items()}, others


def show(mine, theirs, unit):
    for name, seconds in mine.items():
        line = f"{name:24} {seconds * 1e3:8.3f} ms   {1 / seconds:9.1f} {unit}/s"
        for by, other in theirs.get(name, {}).items():
            line += f"   {by} {other * 1e3:7.2f} ms, {other / seconds:.2f} times"
        print(line)


def images(arguments):
    with tempfile.TemporaryDirectory() as folder:
        files = make(folder, arguments.fall)
        pixels, size = sum(p for _, p in files) / len(files), sum(len(d) for d, _ in files)
        print(f"{len(files)} JPEGs, {pixels / 1e6:.2f} megapixels and {size / len(files) / 1e3:.0f} kB on average, core {arguments.core}")
        measure = lambda: ours(arguments.program, {"LMMS_BENCH_IMAGES": folder}, arguments.rounds, "images")
        mine, theirs = around(measure, lambda: python_images(files, arguments.rounds))
    show(mine, {name: {"Python": seconds} for name, seconds in theirs.items()}, "images")


def videos(arguments):
    with tempfile.TemporaryDirectory() as folder:
        for path in make_films(folder):
            name = os.path.basename(path)[:-4]
            with tempfile.TemporaryDirectory() as alone:
                os.link(path, os.path.join(alone, "film.mp4"))
                print(f"{name}: {os.path.getsize(path) / 1e6:.1f} MB")
                measure = lambda: ours(arguments.program, {"LMMS_BENCH_VIDEOS": alone}, arguments.rounds, "videos")
                show(*around(measure, lambda: python_videos([os.path.join(alone, "film.mp4")], arguments.rounds)), "films")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--only", choices=("images", "videos"))
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fall", type=float, default=1.15, help="how smooth the pictures are: 1.15 gives 3 bits a pixel, 1.4 gives 1.6")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TORCHCODEC_NUM_THREADS"):
        os.environ[name] = "1"
    if arguments.only != "videos":
        images(arguments)
    if arguments.only != "images":
        videos(arguments)


if __name__ == "__main__":
    sys.exit(main())
