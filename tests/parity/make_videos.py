#!/usr/bin/env python3
"""Tiny videos of every kind that we read, and what torchcodec, qwen_vl_utils and Hugging Face's video processors make of them; read by
src/media/video*_test.cpp.

    pip install torch==2.11.0 torchvision==0.26.0 torchcodec==0.11.0 transformers==5.17.0 qwen-vl-utils==0.0.14 av==18.1.0 pillow==13.0.0
    apt-get install libavdevice59 libavfilter8          # FFmpeg 5.1, which torchcodec loads
    python tests/parity/make_videos.py                  # writes tests/parity/data/videos/
    python tests/parity/make_videos.py --check FOLDER   # the same with more cases; then LMMS_VIDEO_CORPUS=FOLDER media_test

Each frame carries its number as eight black or white squares along its upper edge, so that a test can tell which frame it was given.
cases.json: `clips` holds what torchcodec says of a file, the CRC-32 of each of its frames, and the numbers of the frames that stand one
below the other in NAME.png; `choice` rows of [frames, fps, strategy, fps or frame_num, max_frames, start, end, count, CRC-32 of the
indices as int32, sample_fps] (null where qwen_vl_utils raises); `extent` rows of [height, width, frames, factor, min, max, height, width];
`clip_extent` those of Qwen3-VL's video processor; `patches` what the two ways of ClipOptions make of frames of a clip.
"""
import io
import json
import math
import os
import random
import struct
import sys
import zlib
from fractions import Fraction

import av
import numpy as np
import torch
from PIL import Image
from qwen_vl_utils import vision_process
from torchcodec.decoders import VideoDecoder
from transformers.models.llava_onevision.video_processing_llava_onevision import LlavaOnevisionVideoProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.models.qwen3_vl import video_processing_qwen3_vl as qwen3
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "videos")


def picture(width, height, number):
    """A moving ramp, two edges and the number in squares."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [127 + 80 * np.sin(0.13 * x + 0.21 * number + c) * np.cos(0.11 * y + 0.05 * c * number) for c in range(3)]
    image = np.stack(planes, -1)
    left = (3 * number) % max(width - 8, 1)
    image[height // 2 : height // 2 + 8, left : left + 8] = (230, 40, 90)
    side = width // 8
    for bit in range(8):
        image[:side, bit * side : (bit + 1) * side] = 235 if number >> bit & 1 else 20
    return np.clip(image, 0, 255).astype(np.uint8)


def clip(name, codec, width, height, count, rate=25, pixels="yuv420p", options=None, times=None, stream_options=None, sound=False, bframes=None,
         container_options=None, numbers=None, space=None, full=False):
    """Encodes `count` frames; `times`: in thousandths of a second, for a variable rate."""
    buffer = io.BytesIO()
    kind = {"mp4": "mp4", "mov": "mov", "webm": "webm", "mkv": "matroska", "avi": "avi", "gif": "gif"}[name.rsplit(".", 1)[1]]
    with av.open(buffer, "w", format=kind, options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if bframes is not None:
            stream.codec_context.max_b_frames = bframes
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        if space:
            stream.codec_context.colorspace = space
        if full:
            stream.codec_context.color_range = 2
        tone = out.add_stream("aac", rate=16000) if sound else None
        for n in range(count):
            frame = av.VideoFrame.from_ndarray(picture(width, height, n), format="rgb24")
            if pixels != "rgb24":
                frame = frame.reformat(format=pixels, dst_colorspace=space or 5, dst_color_range=2 if full else 1)
            if pixels == "rgb8":
                frame = frame.reformat(format="rgb8")
            frame.pts = times[n] if times else n
            frame.time_base = Fraction(1, 1000) if times else Fraction(1, rate)
            out.mux(stream.encode(frame))
            if tone:
                samples = np.sin(np.arange(16000 // rate) * 0.1)[None].astype(np.float32)
                sound_frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                sound_frame.sample_rate, sound_frame.pts = 16000, n * (16000 // rate)
                out.mux(tone.encode(sound_frame))
        out.mux(stream.encode())
        if tone:
            out.mux(tone.encode())
    return buffer.getvalue()


def turned(data, quarter):
    """The display matrix of an MP4's track, changed in place."""
    one = 0x10000
    matrix = {90: (0, one, 0, -one, 0, 0), 180: (-one, 0, 0, 0, -one, 0), 270: (0, -one, 0, one, 0, 0)}[quarter]
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16  # version 0: after times, id, duration, layer, volume
    return data[:at] + struct.pack(">9i", *matrix, 0, 0, 1 << 30) + data[at + 36 :]


def clips():
    x264 = {"preset": "slow", "crf": "28", "x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-pyramid=normal"}
    uneven = [0, 40, 80, 200, 240, 600, 640, 660, 700, 1000, 1040, 1500, 1540, 1560, 1600, 2000]
    files = {
        "h264.mp4": clip("h264.mp4", "libx264", 64, 48, 40, options=x264),
        "open_gop.mp4": clip("open_gop.mp4", "libx264", 64, 36, 36, 30, options={**x264, "x264-params": x264["x264-params"] + ":open-gop=1"}),
        "sound.mp4": clip("sound.mp4", "libx264", 48, 32, 20, options=x264, sound=True),
        "fragments.mp4": clip("fragments.mp4", "libx264", 48, 32, 20, options=x264, container_options={"movflags": "frag_keyframe+empty_moov"}),
        "odd_444.mp4": clip("odd_444.mp4", "libx264", 51, 37, 9, pixels="yuv444p", options=x264),
        "bt709.mp4": clip("bt709.mp4", "libx264", 64, 32, 6, options=x264, space=1),
        "one_frame.mp4": clip("one_frame.mp4", "libx264", 48, 32, 1, options=x264),
        "hevc.mp4": clip("hevc.mp4", "libx265", 64, 48, 24, options={"crf": "30", "x265-params": "keyint=8:min-keyint=8:bframes=3:log-level=none"}),
        "av1.mp4": clip("av1.mp4", "libsvtav1", 64, 64, 12, options={"crf": "40", "svtav1-params": "keyint=6"}),
        "variable.mkv": clip("variable.mkv", "libx264", 48, 32, 16, options=x264, times=uneven),
        "vp9.webm": clip("vp9.webm", "libvpx-vp9", 51, 37, 24, options={"crf": "35", "b": "0", "g": "10"}),
        "vp8.webm": clip("vp8.webm", "libvpx", 48, 34, 30, options={"b": "60000", "g": "15", "auto-alt-ref": "1", "lag-in-frames": "8"}),
        "mpeg4.avi": clip("mpeg4.avi", "mpeg4", 48, 32, 20, options={"b": "80000", "g": "8"}, bframes=2),
        "mjpeg.avi": clip("mjpeg.avi", "mjpeg", 48, 32, 10, pixels="yuvj420p", options={"qscale": "8"}),
        "animated.gif": clip("animated.gif", "gif", 37, 29, 12, 10, pixels="rgb8"),
    }
    files["turned_90.mp4"] = turned(files["one_frame.mp4"], 90)
    files["turned_180.mp4"] = turned(files["sound.mp4"], 180)
    files["turned_270.mp4"] = turned(files["odd_444.mp4"], 270)
    return files


def sound_alone():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        tone = out.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        out.mux(tone.encode(frame))
        out.mux(tone.encode())
    return buffer.getvalue()


def seen(data):
    """Rate, seconds and frames as torchcodec gives them; where it fails (AVI with B-frames), as PyAV does."""
    try:
        decoder = VideoDecoder(data, num_ffmpeg_threads=1)
        frames = decoder.get_frames_in_range(0, len(decoder)).data.permute(0, 2, 3, 1).contiguous().numpy()
        return "torchcodec", decoder.metadata.average_fps, decoder.metadata.duration_seconds, frames
    except RuntimeError as error:
        print(f"  torchcodec: {str(error).splitlines()[0]}")
    with av.open(io.BytesIO(data)) as file:
        frames = np.stack([f.to_ndarray(format="rgb24") for f in file.decode(video=0)])
        rate = float(file.streams.video[0].average_rate)
    return "PyAV", rate, len(frames) / rate, frames


def crc(array, kind):
    return zlib.crc32(np.ascontiguousarray(array, dtype=kind).tobytes())


def choice(rng):
    """One film, one wish: what the Python project's vision dataset would take."""
    total = rng.choice([rng.randint(2, 40), rng.randint(2, 3000), rng.randint(2, 200000)])
    rate = rng.choice([24, 25, 30, 60, 30000 / 1001, 24000 / 1001, 15, 10, round(rng.uniform(1, 120), 3)])
    strategy = rng.choice(["fps", "frame_num"])
    wish = rng.choice([1, 2, 3, 4, 8]) if strategy == "fps" else rng.randint(1, min(total, 300))
    most = rng.choice([768, 64, rng.randint(2, 800)])
    start, end = None, None
    if rng.random() < 0.4:
        start = round(rng.uniform(0, total / rate), 2) if rng.random() < 0.8 else None
        end = round(rng.uniform(start or 0, 1.2 * total / rate), 2) if rng.random() < 0.8 else None
    asked = {"min_frames": 1, "max_frames": most}
    if strategy == "fps":
        asked["fps"] = wish
    else:
        asked["nframes"] = wish + wish % 2
    try:
        window = {k: v for k, v in (("video_start", start), ("video_end", end)) if v is not None}
        first, last, count = vision_process.calculate_video_frame_range(window, total, rate)
        n = vision_process.smart_nframes(asked, total_frames=count, video_fps=rate)
    except ValueError:
        return [total, rate, strategy, wish, most, start, end, None, None, None]
    indices = torch.linspace(first, last, n).round().long().tolist()
    sample_fps = n / max(count, 1e-6) * rate
    if strategy == "frame_num" and wish % 2:
        indices = indices[:-1]
    return [total, rate, strategy, wish, most, start, end, len(indices), crc(indices, "<i4"), sample_fps]


def fetched(frames, limits, patch):
    """fetch_video on frames that are decoded already."""
    video = torch.from_numpy(frames).permute(0, 3, 1, 2)
    vision_process.VIDEO_READER_BACKENDS["torchcodec"] = lambda ele: (video, {}, 1.0)
    vision_process.get_video_reader_backend = lambda: "torchcodec"
    return vision_process.fetch_video({"video": "x", **limits}, image_patch_size=patch)


def extent(rng):
    factor = rng.choice([28, 32])
    height, width, n = rng.randint(factor, 2200), rng.randint(factor, 2200), rng.choice([2, 8, 64, 300, 768])
    low = rng.choice([3136, 100352])
    high = rng.choice([602112, 50176, 200704, 5000000])
    cap = max(min(768 * factor * factor, vision_process.MODEL_SEQ_LEN * factor * factor * 0.9 / n * 2), int(low * 1.05))
    result = vision_process.smart_resize(height, width, factor=factor, min_pixels=low, max_pixels=min(high, cap)) if min(high, cap) >= low else None
    return [height, width, n, factor, low, high, *(result or (0, 0))] if result and min(result) else None


def clip_extent(rng):
    height, width, n = rng.randint(8, 1500), rng.randint(8, 1500), rng.randint(2, 100)
    low, high = rng.choice([(131072, 786432), (4096, 25165824)])
    try:
        return [height, width, n, low, high, *qwen3.smart_resize(n, height, width, temporal_factor=2, factor=32, min_pixels=low, max_pixels=high)]
    except ValueError:
        return [height, width, n, low, high, None, None]


def patches(frames, model, way, limits, loader):
    options = {"size": {"shortest_edge": limits[0], "longest_edge": limits[1]}, "do_sample_frames": False, "cap_pixels_per_frame": False}
    processor = Qwen2VLVideoProcessor(**options) if model == "qwen2" else qwen3.Qwen3VLVideoProcessor(**options)
    video = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()
    if way == "loader":
        video = fetched(frames, {"min_pixels": loader[0], "max_pixels": loader[1]}, processor.patch_size)
    out = processor(videos=[video], return_tensors="pt")
    values = out["pixel_values_videos"].numpy()
    return {"model": model, "way": way, "limits": limits, "loader": loader, "grid": out["video_grid_thw"][0].tolist(), "shape": list(values.shape),
            "crc": crc(values, "<f4"), "first": values.ravel()[:4].tolist()}


def all_patches(frames_of):
    cases = []
    ways = [("hf", (3136, 12544), None), ("hf", (784, 1500), None), ("loader", (784, 100000), (784, 3000)), ("loader", (784, 2000), (784, 6000)),
            ("loader", (20000, 40000), (3136, 12544))]
    for name, numbers in (("odd_444.mp4", [0, 4, 8]), ("h264.mp4", [3, 9, 20, 39]), ("animated.gif", [0, 11]), ("h264.mp4", [5, 6, 7, 8, 9])):
        for model in ("qwen2", "qwen3"):
            for way, limits, loader in ways:
                scale = len(numbers) if model == "qwen3" else 1
                limits_here = [scale * limit for limit in limits]
                cases.append({"file": name, "numbers": numbers, **patches(frames_of[name][numbers], model, way, limits_here, loader)})
    cases.append({"file": "odd_444.mp4", "numbers": [5], **patches(frames_of["odd_444.mp4"][[5]], "qwen2", "hf", [3136, 12544], None)})
    return cases


def planes(frames):
    processor = LlavaOnevisionVideoProcessor(size={"height": 40, "width": 40})
    values = processor(videos=[torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()], return_tensors="pt")["pixel_values_videos"][0].numpy()
    return {"shape": list(values.shape), "crc": crc(values, "<f4")}


def timestamps(rng):
    n, rate = rng.randint(1, 9), rng.choice([24, 30000 / 1001, 7.8431372549019605])
    indices = sorted(rng.randint(0, 500) for _ in range(n))
    return [rate, indices, Qwen3VLProcessor._calculate_timestamps(None, list(indices), rate, 2)]


def main():
    many = len(sys.argv) == 3 and sys.argv[1] == "--check"
    out = sys.argv[2] if many else OUT
    os.makedirs(out, exist_ok=True)
    cases, frames_of = {"clips": {}}, {}
    for name, data in clips().items():
        with open(os.path.join(out, name), "wb") as file:
            file.write(data)
        by, fps, seconds, frames = seen(data)
        frames_of[name] = frames
        shown = sorted({0, len(frames) // 2, len(frames) - 1})
        Image.fromarray(np.concatenate([frames[i] for i in shown])).save(os.path.join(out, name + ".png"), optimize=True)
        cases["clips"][name] = {"by": by, "width": int(frames.shape[2]), "height": int(frames.shape[1]), "frames": len(frames), "fps": fps,
                                "seconds": seconds, "shown": shown, "crc": [zlib.crc32(f.tobytes()) for f in frames]}
        print(name, by, len(data), frames.shape, fps, seconds)
    with open(os.path.join(out, "sound_alone.m4a"), "wb") as file:
        file.write(sound_alone())
    rng = random.Random(7)
    times = 20 if many else 1
    cases["choice"] = [choice(rng) for _ in range(400 * times)]
    cases["extent"] = [row for row in (extent(rng) for _ in range(150 * times)) if row]
    cases["clip_extent"] = [clip_extent(rng) for _ in range(100 * times)]
    cases["timestamps"] = [timestamps(rng) for _ in range(20)]
    cases["patches"] = all_patches(frames_of)
    cases["planes"] = {"file": "odd_444.mp4", "numbers": [1, 7], "side": 40, **planes(frames_of["odd_444.mp4"][[1, 7]])}
    with open(os.path.join(out, "cases.json"), "w") as file:
        json.dump(cases, file, separators=(",", ":"))


if __name__ == "__main__":
    sys.exit(main())
