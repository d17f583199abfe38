#!/usr/bin/env python3
"""What the Python project (lmms_engine 0.1.4) makes of chats with images and videos; read by src/models/qwen_vl/chats_test.cpp.

    pip install torchcodec==0.11.0 torchvision==0.26.0 qwen-vl-utils==0.0.14      # beside lmms_engine and transformers 5.17.0
    PYTHONPATH=ORACLE python tests/parity/make_vision_chats.py                    # ORACLE: the folder of peer_samples.py

For each processor type a folder tests/parity/data/vision_chats/TYPE: preprocessor_config.json and video_preprocessor_config.json
as a checkpoint has them, and cases.json: records with input_ids and labels (unshifted, as runs [value, times]), grids, and of the
pixel values a FNV-1a of their bytes and some of them; and a FNV-1a of the positions that transformers' get_rope_index gives. The tokenizer is that of tests/parity/data/tokenizer/chat.
"""
import json
import os
import random
import shutil
import tempfile

os.environ["FORCE_QWENVL_VIDEO_READER"] = "torchcodec"
from peer_samples import samples

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data")
OUT = os.path.join(DATA, "vision_chats")
# Sides of at least 28: the Python project first widens smaller ones.
IMAGES = ["gif_noise.gif", "jpeg_33x47_2.jpg", "jpeg_40x31_3.jpg", "jpeg_gray.jpg", "jpeg_progressive.jpg", "jpeg_restart.jpg", "png_rgb.png",
          "png_rgba.png", "source_128x96.jpg", "source_61x47.jpg", "source_90x33.jpg", "source_noise.png", "webp_lossless.webp", "webp_lossy.webp"]
# Without mpeg4.avi, of which torchcodec gives frames 0, 5, 15 and 18 where 0, 6, 13 and 19 are asked for.
VIDEOS = ["h264.mp4", "vp9.webm", "hevc.mp4", "variable.mkv", "animated.gif", "odd_444.mp4", "mjpeg.avi", "bt709.mp4"]
FPS = 4  # of dataset_config
TOKENS_PER_SECOND = 2
TEXTS = ["What is it?", "Describe the picture.", "\nline first", "Compare them:\n", "Wie viele?", "图里有什么？", "a < b and <3 seconds", ""]
ANSWERS = ["A colour.", "Two of them.\n\nNo: three.", "\nIt is noise", "42", "一只猫"]

CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
COMMON = {"do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True, "merge_size": 2, "resample": 3, "rescale_factor": 1 / 255,
          "temporal_patch_size": 2}
TYPES = {
    "qwen2_5_vl": {
        "dataset_type": "vision",
        "image": {**COMMON, **CLIP, "patch_size": 14, "size": {"shortest_edge": 3136, "longest_edge": 28 * 28 * 20}, "image_processor_type": "Qwen2VLImageProcessor",
                  "processor_class": "Qwen2_5_VLProcessor"},
        "video": {**COMMON, **CLIP, "patch_size": 14, "size": {"shortest_edge": 3136, "longest_edge": 28 * 28 * 12}, "video_processor_type": "Qwen2VLVideoProcessor",
                  "processor_class": "Qwen2_5_VLProcessor"},
    },
    "qwen3_vl": {
        "dataset_type": "qwen3_vl",
        "image": {**COMMON, **HALF, "patch_size": 16, "size": {"shortest_edge": 2048, "longest_edge": 32 * 32 * 16}, "image_processor_type": "Qwen2VLImageProcessorFast",
                  "processor_class": "Qwen3VLProcessor"},
        "video": {**COMMON, **HALF, "patch_size": 16, "size": {"shortest_edge": 4096, "longest_edge": 32 * 32 * 24}, "video_processor_type": "Qwen3VLVideoProcessor",
                  "processor_class": "Qwen3VLProcessor"},
    },
}


def image(name):
    return {"type": "image_url", "image_url": {"url": name}}


def video(name):
    return {"type": "video_url", "video_url": {"url": name}}


def text(value):
    return {"type": "text", "text": value}


def chats(seed):
    """Single and several images, before, between and behind texts, in several turns, with and without a system turn."""
    draw = random.Random(seed)
    for i in range(30):
        turns = []
        if i % 4 == 1:
            turns.append({"role": "system", "content": [text(draw.choice(["Be brief.", "You see well.\n"]))]})
        for turn in range(1 + i % 3):
            parts = [image(draw.choice(IMAGES)) for _ in range(draw.choice([0, 1, 1, 2, 3]) if turn else 1 + i % 3)]
            parts.insert(draw.choice([0, len(parts), draw.randrange(len(parts) + 1)]), text(draw.choice(TEXTS)))
            turns.append({"role": "user", "content": parts})
            turns.append({"role": "assistant", "content": [text(draw.choice(ANSWERS))]})
        yield {"id": str(i), "messages": turns}
    for i in range(len(VIDEOS)):
        parts = [video(VIDEOS[i])]
        if i % 3 == 1:
            parts.append(image(draw.choice(IMAGES)))
        parts.insert(draw.choice([0, len(parts)]), text(draw.choice(TEXTS)))
        yield {"id": f"v{i}", "messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": [text(draw.choice(ANSWERS))]}]}


def runs(values):
    out = []
    for value in values.tolist():
        if out and out[-1][0] == value:
            out[-1][1] += 1
        else:
            out.append([value, 1])
    return out


def fnv(words):
    """FNV-1a of 32-bit words, a word at a time."""
    hash_ = 0xCBF29CE484222325
    for word in words:
        hash_ = ((hash_ ^ word) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{hash_:016x}"


def pixels(values):
    flat = values.float().contiguous().flatten()
    return {"values": flat.numel(), "fnv": fnv(flat.numpy().view("<u4").tolist()), "some": [float(v) for v in flat[::997]]}


def position_reference(kind, image_id, video_id):
    """(input_ids, image grids, video grids, seconds) -> [3, n] by a tiny model of transformers."""
    import transformers

    text = dict(vocab_size=8, hidden_size=32, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1)
    vision = dict(depth=1, hidden_size=32, intermediate_size=8, num_heads=2, out_hidden_size=32)
    if kind == "qwen2_5_vl":
        text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
        config = transformers.Qwen2_5_VLConfig(text_config=text, vision_config={**vision, "tokens_per_second": TOKENS_PER_SECOND, "fullatt_block_indexes": [0]})
        model = transformers.Qwen2_5_VLForConditionalGeneration(config)
    else:
        text.update(head_dim=16, rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [3, 3, 2]})
        config = transformers.Qwen3VLConfig(text_config=text, vision_config={**vision, "deepstack_visual_indexes": [0]})
        model = transformers.Qwen3VLForConditionalGeneration(config)

    def positions(ids, images, videos, seconds):
        kinds = (ids == image_id).int() + 2 * (ids == video_id).int()
        more = {"second_per_grid_ts": seconds} if kind == "qwen2_5_vl" else {}
        return model.model.get_rope_index(ids[None], mm_token_type_ids=kinds[None], image_grid_thw=images, video_grid_thw=videos, **more)[0][:, 0]

    return positions


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False)
        file.write("\n")


def main():
    for seed, (kind, of) in enumerate(TYPES.items()):
        out = os.path.join(OUT, kind)
        os.makedirs(out, exist_ok=True)
        write_json(os.path.join(out, "preprocessor_config.json"), of["image"])
        write_json(os.path.join(out, "video_preprocessor_config.json"), of["video"])
        records = list(chats(seed))
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "model")
            shutil.copytree(os.path.join(DATA, "tokenizer", "chat"), model)
            for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
                shutil.copy(os.path.join(out, name), model)
            for name in IMAGES:
                os.symlink(os.path.join(DATA, "images", name), os.path.join(folder, name))
            with open(os.path.join(folder, "train.jsonl"), "w", encoding="utf-8") as file:
                for record in records:
                    line = json.dumps(record, ensure_ascii=False)
                    for name in VIDEOS:  # the Python project opens videos by file://PATH
                        line = line.replace(f'"{name}"', json.dumps(os.path.join(DATA, "videos", name)))
                    file.write(line + "\n")
            peer = samples(folder, dict(dataset_type=of["dataset_type"], dataset_format="jsonl", dataset_path="train.jsonl", video_backend="qwen_vl_utils", fps=FPS,
                                        processor_config=dict(processor_name="model", processor_type=kind)))
        with open(os.path.join(DATA, "tokenizer", "chat", "tokenizer.json"), encoding="utf-8") as file:
            ids = {t["content"]: t["id"] for t in json.load(file)["added_tokens"]}
        positions = position_reference(kind, ids["<|image_pad|>"], ids["<|video_pad|>"])
        cases = []
        for record, sample in zip(records, peer):
            case = {"record": record, "input_ids": runs(sample["input_ids"]), "labels": runs(sample["labels"])}
            for key, values, grid in (("images", "pixel_values", "image_grid_thw"), ("videos", "pixel_values_videos", "video_grid_thw")):
                if values in sample:
                    case[key] = {"grids": sample[grid].tolist(), **pixels(sample[values])}
            if "second_per_grid_ts" in sample:
                case["seconds_per_grid"] = sample["second_per_grid_ts"].tolist()
            found = positions(sample["input_ids"], sample.get("image_grid_thw"), sample.get("video_grid_thw"), sample.get("second_per_grid_ts"))
            case["positions"] = fnv(found.flatten().tolist())
            cases.append(case)
        write_json(os.path.join(out, "cases.json"), cases)
        print(kind, len(cases), os.path.getsize(os.path.join(out, "cases.json")))


if __name__ == "__main__":
    main()
