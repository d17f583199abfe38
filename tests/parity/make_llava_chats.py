#!/usr/bin/env python3
"""What the Python project (lmms_engine 0.1.4, processor_type llava) makes of chats with images; read by src/models/llava_onevision/chats_test.cpp.

    PYTHONPATH=ORACLE python tests/parity/make_llava_chats.py      peer_samples.py is imported

In tests/parity/data/llava_chats: preprocessor_config.json and processor_config.json as a checkpoint has them (views of 28 x 28 pixels,
patches of 4), and for both chat templates that checkpoints have a TEMPLATE.json: {"template": jinja, "cases": [...]}, cases as in
make_vision_chats.py, with the sizes of the images instead of grids; pixel values are first cut into patches, view by view. The
tokenizer is that of tests/parity/data/tokenizer/chat with <image> and <video> behind its last token.
"""
import json
import os
import shutil
import tempfile

import torch
from peer_samples import samples

from make_vision_chats import CLIP, DATA, chats, pixels, runs, write_json

OUT = os.path.join(DATA, "llava_chats")
SIZE, SIDE, PATCH = 28, 7, 4
PREPROCESSOR = {
    "do_convert_rgb": True, "do_normalize": True, "do_pad": True, "do_rescale": True, "do_resize": True, **CLIP, "resample": 3, "rescale_factor": 1 / 255,
    "size": {"height": SIZE, "width": SIZE}, "image_grid_pinpoints": [[SIZE * h, SIZE * w] for h in range(1, 4) for w in range(1, 4)],
    "image_processor_type": "LlavaOnevisionImageProcessor", "processor_class": "LlavaOnevisionProcessor"}
PROCESSOR = {"num_image_tokens": SIDE * SIDE, "vision_feature_select_strategy": "full", "vision_aspect_ratio": "anyres_max_4", "image_token": "<image>",
             "video_token": "<video>", "processor_class": "LlavaOnevisionProcessor"}
VIDEO = {**{k: v for k, v in PREPROCESSOR.items() if k not in ("image_processor_type", "image_grid_pinpoints", "do_pad")},
         "video_processor_type": "LlavaOnevisionVideoProcessor"}


def template(role, medium, text, end):
    each = "{%% for content in message['content'] | selectattr('type', 'equalto', '%s') %%}"
    return ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '" + role + "'}}" + each % "image" + "{{ '<image>" + medium + "' }}{% endfor %}"
            + each % "video" + "{{ '<video>" + medium + "' }}{% endfor %}" + each % "text" + "{{ " + text + "content['text'] }}{% endfor %}{{'<|im_end|>'"
            + end + "}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


TEMPLATES = {"spaced": template(" ", "", "'\\n' + ", ""), "lines": template("\\n", "\\n", "", " + '\\n'")}


def add_tokens(folder, tokens):
    """To the files of a tokenizer, behind its last one."""
    with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
        tokenizer = json.load(file)
    with open(os.path.join(folder, "tokenizer_config.json"), encoding="utf-8") as file:
        config = json.load(file)
    for content in tokens:
        what = dict(content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
        tokenizer["added_tokens"].append(dict(what, id=tokenizer["added_tokens"][-1]["id"] + 1))
        config["added_tokens_decoder"][str(tokenizer["added_tokens"][-1]["id"])] = what
    write_json(os.path.join(folder, "tokenizer.json"), tokenizer)
    write_json(os.path.join(folder, "tokenizer_config.json"), config)


def patches_of(sample):
    """[n, most, 3, S, S], padded with views of 0 -> those of the first image, of the second, ..., as patches."""
    from transformers.image_processing_utils import select_best_resolution

    out = []
    for views, size in zip(sample["pixel_values"], sample["image_sizes"]):
        h, w = select_best_resolution(size.tolist(), PREPROCESSOR["image_grid_pinpoints"])
        views = views[:1 + (h // SIZE) * (w // SIZE)]
        views = views[:, :, :SIDE * PATCH, :SIDE * PATCH].reshape(-1, 3, SIDE, PATCH, SIDE, PATCH)
        out.append(views.permute(0, 2, 4, 1, 3, 5).reshape(-1, 3 * PATCH * PATCH))
    return torch.cat(out)


def main():
    os.makedirs(OUT, exist_ok=True)
    write_json(os.path.join(OUT, "preprocessor_config.json"), PREPROCESSOR)
    write_json(os.path.join(OUT, "processor_config.json"), PROCESSOR)
    for seed, (name, jinja) in enumerate(TEMPLATES.items()):
        records = list(chats(10 + seed))
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "model")
            shutil.copytree(os.path.join(DATA, "tokenizer", "chat"), model)
            add_tokens(model, ["<image>", "<video>"])
            write_json(os.path.join(model, "preprocessor_config.json"), PREPROCESSOR)
            write_json(os.path.join(model, "processor_config.json"), PROCESSOR)
            write_json(os.path.join(model, "video_preprocessor_config.json"), VIDEO)
            with open(os.path.join(model, "chat_template.jinja"), "w", encoding="utf-8") as file:
                file.write(jinja)
            for image in os.listdir(os.path.join(DATA, "images")):
                os.symlink(os.path.join(DATA, "images", image), os.path.join(folder, image))
            with open(os.path.join(folder, "train.jsonl"), "w", encoding="utf-8") as file:
                file.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
            peer = samples(folder, dict(dataset_type="vision", dataset_format="jsonl", dataset_path="train.jsonl",
                                        processor_config=dict(processor_name="model", processor_type="llava")))
        cases = []
        for record, sample in zip(records, peer):
            case = {"record": record, "input_ids": runs(sample["input_ids"]), "labels": runs(sample["labels"])}
            if "pixel_values" in sample:
                case["images"] = {"sizes": sample["image_sizes"].tolist(), **pixels(patches_of(sample))}
                del case["images"]["some"]
            cases.append(case)
        write_json(os.path.join(OUT, name + ".json"), {"template": jinja, "cases": cases})
        print(name, len(cases), os.path.getsize(os.path.join(OUT, name + ".json")))


if __name__ == "__main__":
    main()
