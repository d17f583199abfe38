"""Makes 24 JPEGs of about a megapixel and 600 chats about them, and a small tokenizer that knows images; always the same.

    python make_data.py QUICKSTART_TOKENIZER OUT        wants numpy and Pillow
"""
import json
import shutil
import sys
from pathlib import Path

import numpy
from PIL import Image

SIZES = [(1024, 1024), (1280, 800), (900, 1200)]


def picture(draw, width, height):
    """Smooth colours with a little noise: a JPEG of about 400 kB, as detailed as a photograph."""
    colours = draw.integers(0, 255, (height // 16, width // 16, 3), dtype=numpy.uint8)
    smooth = numpy.asarray(Image.fromarray(colours).resize((width, height), Image.BICUBIC)).astype(int)
    return Image.fromarray(numpy.clip(smooth + draw.integers(-12, 12, (height, width, 3)), 0, 255).astype(numpy.uint8))


def main():
    tokenizer, out = Path(sys.argv[1]), Path(sys.argv[2])
    (out / "images").mkdir(parents=True, exist_ok=True)
    draw = numpy.random.default_rng(0)
    for i in range(24):
        picture(draw, *SIZES[i % 3]).save(out / "images" / f"{i}.jpg", quality=88)
    with open(out / "chats.jsonl", "w") as file:
        for i in range(600):
            content = [{"type": "image_url", "image_url": {"url": f"{i % 24}.jpg"}},
                       {"type": "text", "text": "Describe the picture in a few words, please."}]
            file.write(json.dumps({"messages": [{"role": "user", "content": content},
                                                {"role": "assistant", "content": "It shows colours and noise " * (10 + i % 40)}]}) + "\n")
    shutil.copytree(tokenizer, out / "tokenizer", dirs_exist_ok=True)
    vocabulary = json.loads((tokenizer / "tokenizer.json").read_text())
    for i, content in enumerate(["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]):
        vocabulary["added_tokens"].append(dict(id=4096 + i, content=content, single_word=False, lstrip=False, rstrip=False,
                                               normalized=False, special=True))
    (out / "tokenizer" / "tokenizer.json").write_text(json.dumps(vocabulary))
    (out / "tokenizer" / "preprocessor_config.json").write_text(json.dumps(dict(
        patch_size=14, merge_size=2, temporal_patch_size=2, min_pixels=3136, max_pixels=1280 * 28 * 28)))


main()
