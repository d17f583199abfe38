#!/usr/bin/env python3
"""What transformers 5.17 makes of the processor files of checkpoints; read by src/models/processor_files_testing.h.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.17.0
    python tests/parity/make_processors.py [--print]

tests/parity/data/processors.json: [{"name", "model_type", "files": {NAME: JSON}, "image": RESULT, "video": RESULT}, ...]. RESULT is of
AutoImageProcessor and AutoVideoProcessor on a folder with these files and a config.json of that model_type: {"error": its class} or, for
Qwen, {"limits": [least, most pixels], "patch", "merge", "temporal", "resample", "mean", "std", "scale", "class", "grids": [of SIZES or CLIPS]}, for
LLaVA-OneVision {"tile", "pinpoints", "resample", "mean", "std", "scale", "class"}. AutoProcessor takes the same two (asserted for one folder).
"""
import copy
import json
import os
import shutil
import sys
import tempfile

import torch
from transformers import AutoImageProcessor, AutoProcessor, AutoVideoProcessor, LlavaOnevisionImageProcessor, LlavaOnevisionVideoProcessor
from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor, Qwen3VLVideoProcessor
from transformers.utils import logging

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = [(300, 400), (40, 1000), (33, 29), (1100, 900)]                    # height, width of images
CLIPS = [(4, 120, 160), (5, 240, 320), (12, 100, 60), (2, 400, 300)]      # frames, height, width of videos
QWEN2, QWEN2_5, QWEN3, LLAVA = "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava_onevision"
PROCESSOR, IMAGE, VIDEO = "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"
CLASSES = [Qwen2VLImageProcessor, Qwen2VLVideoProcessor, Qwen3VLVideoProcessor, LlavaOnevisionImageProcessor, LlavaOnevisionVideoProcessor]
# Limits without a size are written into the class: each case begins with the classes as they were imported.
FRESH = {c: copy.deepcopy(c.size) for c in CLASSES}

I2 = {"image_processor_type": "Qwen2VLImageProcessor"}
V2, V3 = {"video_processor_type": "Qwen2VLVideoProcessor"}, {"video_processor_type": "Qwen3VLVideoProcessor"}
IL, VL = {"image_processor_type": "LlavaOnevisionImageProcessor"}, {"video_processor_type": "LlavaOnevisionVideoProcessor"}
SMALL, LARGE = {"shortest_edge": 3136, "longest_edge": 31360}, {"shortest_edge": 3136, "longest_edge": 100352}
SQUARE = {"height": 28, "width": 28}


def cases():
    # Which file counts.
    yield "none", QWEN2_5, {}
    yield "nested alone", QWEN2_5, {PROCESSOR: {"image_processor": {**I2, "size": SMALL}, "video_processor": {**V2, "size": LARGE}}}
    yield "nested before the older files", QWEN2_5, {
        PROCESSOR: {"image_processor": {**I2, "size": SMALL}, "video_processor": {**V2, "size": SMALL}}, IMAGE: {**I2, "size": LARGE}, VIDEO: {**V2, "size": LARGE}}
    yield "nested images, the video from its own file", QWEN2_5, {PROCESSOR: {"image_processor": {**I2, "size": SMALL}}, VIDEO: {**V2, "size": LARGE}}
    yield "nested images, the video from the images' older file", QWEN2_5, {PROCESSOR: {"image_processor": {**I2, "size": SMALL}}, IMAGE: {**I2, "size": LARGE}}
    yield "nested images alone", QWEN2_5, {PROCESSOR: {"image_processor": {**I2, "size": SMALL}}}
    yield "nested video alone", QWEN2_5, {PROCESSOR: {"video_processor": {**V2, "size": SMALL}}}
    yield "nested video, older images", QWEN2_5, {PROCESSOR: {"video_processor": {**V2, "size": SMALL}}, IMAGE: {**I2, "size": LARGE}}
    yield "nested null", QWEN2_5, {PROCESSOR: {"image_processor": None, "video_processor": None}, IMAGE: {**I2, "size": SMALL}}
    yield "nested and empty", QWEN2_5, {PROCESSOR: {"image_processor": {}, "video_processor": {}}, IMAGE: {**I2, "size": SMALL}}
    yield "a processor file that nests nothing", QWEN2_5, {PROCESSOR: {"processor_class": "Qwen2_5_VLProcessor"}, IMAGE: {**I2, "size": SMALL}}
    yield "older images alone", QWEN2_5, {IMAGE: {**I2, "size": SMALL}}
    yield "older video alone", QWEN2_5, {VIDEO: {**V2, "size": SMALL}}
    yield "both older files", QWEN2_5, {IMAGE: {**I2, "size": SMALL}, VIDEO: {**V2, "size": LARGE}}
    # Which class: by the file, else by the model.
    three = {"patch_size": 16, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"shortest_edge": 65536, "longest_edge": 262144}}
    for kind in ("Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "Qwen2VLImageProcessorPil"):
        yield f"qwen3 with {kind} alone", QWEN3, {IMAGE: {"image_processor_type": kind, **three}}
        yield f"qwen2.5 with {kind} alone", QWEN2_5, {IMAGE: {"image_processor_type": kind, "size": SMALL}}
    yield "qwen3 without a class", QWEN3, {IMAGE: three}
    yield "qwen3 by hand", QWEN3, {IMAGE: {"patch_size": 16, "merge_size": 2, "min_pixels": 1024, "max_pixels": 10240}}
    yield "qwen3 as released", QWEN3, {
        IMAGE: {"image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen3VLProcessor", **three, "size": {"shortest_edge": 65536, "longest_edge": 16777216}},
        VIDEO: {**V3, "patch_size": 16, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"shortest_edge": 4096, "longest_edge": 25165824}, "fps": 2,
                "min_frames": 4, "max_frames": 768}}
    yield "qwen3, all its defaults", QWEN3, {PROCESSOR: {"image_processor": I2, "video_processor": V3}}
    yield "qwen3 with qwen2's video class", QWEN3, {PROCESSOR: {"image_processor": {**I2, **three}, "video_processor": {**V2, "patch_size": 16, "size": LARGE}}}
    yield "qwen2.5 with qwen3's video class", QWEN2_5, {PROCESSOR: {"image_processor": I2, "video_processor": {**V3, "patch_size": 14, "size": LARGE}}}
    yield "qwen2.5 without a class", QWEN2_5, {IMAGE: {"size": SMALL}, VIDEO: {"size": LARGE}}
    yield "qwen2.5, an earlier class", QWEN2_5, {IMAGE: {"image_processor_type": "Qwen2_5_VLImageProcessor", "size": SMALL}}
    yield "a feature extractor", QWEN2_5, {IMAGE: {"feature_extractor_type": "Qwen2VLFeatureExtractor", "size": SMALL}}
    yield "another family's class", QWEN2_5, {IMAGE: {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224}}}
    yield "an unknown class", QWEN2_5, {IMAGE: {"image_processor_type": "QwenVLImageProcessor", "size": SMALL}}
    yield "an unknown video class", QWEN2_5, {VIDEO: {"video_processor_type": "QwenVLVideoProcessor", "size": SMALL}}
    # Limits.
    def images(name, values):
        return name, QWEN2_5, {IMAGE: {**I2, **values}}
    yield images("no limits", {})
    yield images("limits beside size", {"size": LARGE, "min_pixels": 784, "max_pixels": 31360})
    yield images("most beside size", {"size": LARGE, "max_pixels": 31360})
    yield images("least beside size", {"size": LARGE, "min_pixels": 50176})
    yield images("most alone", {"max_pixels": 31360})
    yield images("least alone", {"min_pixels": 50176})
    yield images("both alone", {"min_pixels": 784, "max_pixels": 31360})
    yield images("null limits beside size", {"size": SMALL, "min_pixels": None, "max_pixels": None})
    yield images("null size", {"size": None, "max_pixels": 31360})
    yield images("one edge", {"size": {"shortest_edge": 784}})
    yield images("the other edge", {"size": {"longest_edge": 31360}})
    yield images("one edge and most", {"size": {"shortest_edge": 784}, "max_pixels": 31360})
    yield images("size of two limits", {"size": {"min_pixels": 784, "max_pixels": 31360}})
    yield images("size of two limits, and the limits", {"size": {"min_pixels": 784, "max_pixels": 31360}, "min_pixels": 3136, "max_pixels": 62720})
    yield images("size of two limits, and one of them", {"size": {"min_pixels": 784, "max_pixels": 31360}, "max_pixels": 62720})
    yield images("size of a square", {"size": {"height": 224, "width": 224}})
    yield images("size of a square, and the limits", {"size": {"height": 224, "width": 224}, "min_pixels": 784, "max_pixels": 31360})
    yield images("size of a number", {"size": 224})
    yield images("empty size", {"size": {}})
    yield images("empty size and the limits", {"size": {}, "min_pixels": 784, "max_pixels": 31360})
    yield images("a limit of zero", {"min_pixels": 0, "max_pixels": 31360})
    yield images("edges that are null", {"size": {"shortest_edge": None, "longest_edge": 31360}})
    yield "limits of a video", QWEN2_5, {VIDEO: {**V2, "size": LARGE, "min_pixels": 784, "max_pixels": 31360}}
    yield "most of a video alone", QWEN2_5, {VIDEO: {**V2, "max_pixels": 31360}}
    yield "one edge of a video", QWEN2_5, {VIDEO: {**V2, "size": {"longest_edge": 31360}}}
    yield "limits of a qwen3 video", QWEN3, {VIDEO: {**V3, "size": LARGE, "min_pixels": 784, "max_pixels": 31360}}
    yield "limits alone of a qwen3 video", QWEN3, {VIDEO: {**V3, "min_pixels": 784, "max_pixels": 31360}}
    yield "one edge of a qwen3 video", QWEN3, {VIDEO: {**V3, "size": {"longest_edge": 31360}}}
    yield "limits, capped", QWEN2_5, {VIDEO: {**V2, "size": LARGE, "cap_pixels_per_frame": True, "max_video_tokens": 200}}
    yield "limits, capped by default", QWEN2_5, {VIDEO: {**V2, "size": LARGE, "cap_pixels_per_frame": True}}
    yield "limits, not capped", QWEN2_5, {VIDEO: {**V2, "size": LARGE, "cap_pixels_per_frame": False, "max_video_tokens": 200}}
    yield "qwen3, capped", QWEN3, {VIDEO: {**V3, "size": {"shortest_edge": 4096, "longest_edge": 131072}, "cap_pixels_per_frame": True, "max_video_tokens": 12}}
    yield "qwen3, capped by default", QWEN3, {VIDEO: {**V3, "size": {"shortest_edge": 4096, "longest_edge": 131072}, "cap_pixels_per_frame": True}}
    # Everything else that is read.
    other = {"patch_size": 8, "merge_size": 3, "temporal_patch_size": 1, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "resample": 2,
             "rescale_factor": 0.01, "size": SMALL}
    yield "all keys", QWEN2_5, {PROCESSOR: {"image_processor": {**I2, **other}, "video_processor": {**V2, **other, "temporal_patch_size": 4}}}
    yield "null keys", QWEN2_5, {PROCESSOR: {"image_processor": {**I2, **{k: None for k in other}}, "video_processor": {**V2, **{k: None for k in other}}}}
    for key in ("patch_size", "image_mean", "rescale_factor", "resample", "do_resize", "do_convert_rgb"):
        yield images(f"null {key}", {"size": SMALL, key: None})
    yield images("do not resize", {"do_resize": False})
    yield images("do not rescale", {"do_rescale": False})
    yield images("resample of a name", {"resample": "bicubic"})
    yield images("lanczos", {"resample": 1})
    yield images("grey mean", {"image_mean": 0.5, "image_std": 0.25})
    # LLaVA-OneVision.
    grid = [[28, 28], [28, 56], [56, 28]]
    yield "llava, none", LLAVA, {}
    yield "llava, nested", LLAVA, {
        PROCESSOR: {"image_processor": {**IL, "size": SQUARE, "image_grid_pinpoints": grid}, "video_processor": {**VL, "size": SQUARE}, "num_image_tokens": 49,
                    "vision_feature_select_strategy": "full", "vision_aspect_ratio": "anyres_max_9"},
        IMAGE: {**IL, "size": {"height": 56, "width": 56}, "image_grid_pinpoints": [[56, 56]]}}
    yield "llava, older files", LLAVA, {IMAGE: {**IL, "size": SQUARE, "image_grid_pinpoints": grid}, VIDEO: {**VL, "size": SQUARE, "image_mean": [0.5] * 3}}
    yield "llava, older images alone", LLAVA, {IMAGE: {**IL, "size": SQUARE, "image_grid_pinpoints": grid, "image_std": [0.5] * 3}}
    yield "llava, defaults", LLAVA, {IMAGE: IL, VIDEO: VL}
    yield "llava, one edge", LLAVA, {IMAGE: {**IL, "size": {"shortest_edge": 28}, "image_grid_pinpoints": grid}}
    yield "llava, a number", LLAVA, {IMAGE: {**IL, "size": 28, "image_grid_pinpoints": grid}, VIDEO: {**VL, "size": 28}}
    yield "llava, Pil", LLAVA, {IMAGE: {"image_processor_type": "LlavaOnevisionImageProcessorPil", "size": SQUARE, "image_grid_pinpoints": grid}}
    yield "llava, Fast", LLAVA, {IMAGE: {"image_processor_type": "LlavaOnevisionImageProcessorFast", "size": SQUARE, "image_grid_pinpoints": grid}}
    yield "llava, without a class", LLAVA, {IMAGE: {"size": SQUARE, "image_grid_pinpoints": grid}}
    yield "llava, another class", LLAVA, {
        IMAGE: {"image_processor_type": "LlavaNextImageProcessor", "size": SQUARE, "image_grid_pinpoints": grid}, VIDEO: {**VL, "size": SQUARE}}
    yield "llava, null size", LLAVA, {IMAGE: {**IL, "size": None, "image_grid_pinpoints": grid}}
    yield "llava, null pinpoints", LLAVA, {IMAGE: {**IL, "size": SQUARE, "image_grid_pinpoints": None}}
    yield "llava, a crop that is not made", LLAVA, {IMAGE: {**IL, "size": SQUARE, "crop_size": 28, "do_center_crop": False, "image_grid_pinpoints": grid}}
    yield "llava, two edges", LLAVA, {IMAGE: {**IL, "size": {"shortest_edge": 28, "longest_edge": 56}, "image_grid_pinpoints": grid}}
    yield "llava, limits", LLAVA, {IMAGE: {**IL, "size": SQUARE, "image_grid_pinpoints": grid, "max_pixels": 784}}
    yield "llava, crop", LLAVA, {IMAGE: {**IL, "size": SQUARE, "crop_size": {"height": 14, "width": 14}, "image_grid_pinpoints": grid}}


def described(processor):
    return {"class": type(processor).__name__, "resample": int(processor.resample), "mean": processor.image_mean, "std": processor.image_std,
            "scale": processor.rescale_factor}


def qwen(processor, grid_of, shapes):
    grids = [grid_of(torch.zeros(*shape, dtype=torch.uint8)) for shape in shapes]
    size = processor.size
    return {"limits": [size["shortest_edge"], size["longest_edge"]], "patch": processor.patch_size, "merge": processor.merge_size,
            "temporal": processor.temporal_patch_size, "grids": grids, **described(processor)}


def image(folder, llava):
    p = AutoImageProcessor.from_pretrained(folder)
    if not llava:
        return qwen(p, lambda x: p(x, return_tensors="pt")["image_grid_thw"][0].tolist(), [(3, h, w) for h, w in SIZES])
    views = p(torch.zeros(3, 50, 20, dtype=torch.uint8), return_tensors="pt")["pixel_values"]
    return {"tile": views.shape[-1], "views": views.shape[1], "pinpoints": p.image_grid_pinpoints, **described(p)}


def video(folder, llava):
    p = AutoVideoProcessor.from_pretrained(folder)
    if not llava:
        return qwen(p, lambda x: p(x, do_sample_frames=False, return_tensors="pt")["video_grid_thw"][0].tolist(), [(t, 3, h, w) for t, h, w in CLIPS])
    frames = p(torch.zeros(2, 3, 50, 20, dtype=torch.uint8), do_sample_frames=False, return_tensors="pt")["pixel_values_videos"]
    return {"tile": frames.shape[-1], **described(p)}


def result(of, folder, llava):
    for c, size in FRESH.items():
        c.size = copy.deepcopy(size)
    try:
        return of(folder, llava)
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)[:90]}


def check_auto_processor():
    """AutoProcessor of a folder with a tokenizer, nested and older files has the image and the video processor of the two other classes."""
    _, model_type, files = next(c for c in cases() if c[0] == "nested images, the video from its own file")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(os.path.join(HERE, "data", "tokenizer", "chat"), folder, dirs_exist_ok=True)
        write(folder, model_type, files)
        p = AutoProcessor.from_pretrained(folder)
        assert dict(p.image_processor.size) == SMALL and dict(p.video_processor.size) == LARGE, p


def write(folder, model_type, files):
    for file, values in {"config.json": {"model_type": model_type}, **files}.items():
        with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
            json.dump(values, f)


def main():
    logging.set_verbosity_error()
    check_auto_processor()
    show = "--print" in sys.argv
    out = []
    for name, model_type, files in cases():
        with tempfile.TemporaryDirectory() as folder:
            write(folder, model_type, files)
            case = {"name": name, "model_type": model_type, "files": files}
            for kind, of in (("image", image), ("video", video)):
                case[kind] = result(of, folder, model_type == LLAVA)
        assert name not in [c["name"] for c in out], name
        out.append(case)
        if show:
            for kind in ("image", "video"):
                r = case[kind]
                print(f"{name:50} {kind}: ", r.get("error") and (r["error"], r["text"]) or {k: r[k] for k in r if k not in ("mean", "std", "scale")})
    for case in out:
        for kind in ("image", "video"):
            case[kind].pop("text", None)
    path = os.path.join(HERE, "data", "processors.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in out) + "\n]\n")
    print(len(out), "cases,", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
