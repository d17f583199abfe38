#!/usr/bin/env python3
"""Makes train.jsonl and eval.jsonl of this folder and the processors of tiny models, FAMILY/tiny_processor; the same bytes every time.
Needs nothing beyond Python.

The chats are about counting. The tokenizers have the words of quickstart/tokenizer; special tokens, pieces, chat template and sizes of
pictures are of the family's own kind, so that its processor reads them as it reads a real checkpoint's. Tiny models of the families that
are not named below take quickstart/tokenizer as it is.
"""

import json
import random
from pathlib import Path

EXAMPLES = Path(__file__).parents[1]
HELD_OUT = 60  # questions
NUMBERS = 90  # that counting begins at
LLAMA_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
LLAVA_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
# Llama 3's pre-tokeniser: up to three digits are a piece.
LLAMA_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA_TEMPLATE = (
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
# Images, then videos, then texts, each text behind a line break: the layout of LLaVA-OneVision's checkpoints.
LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    "{% if message['content'] is string %}{{ '\\n' + message['content'] }}{% else %}"
    "{% for content in message['content'] %}{% if content['type'] in ['image', 'image_url'] %}{{ '<image>' }}{% endif %}{% endfor %}"
    "{% for content in message['content'] %}{% if content['type'] in ['video', 'video_url'] %}{{ '<video>' }}{% endif %}{% endfor %}"
    "{% for content in message['content'] %}{% if content['type'] == 'text' %}{{ '\\n' + content['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

# As the checkpoints of the families have them; sizes fit pictures of 8 x 8 pixels.
SCALE = {"rescale_factor": 1 / 255, "resample": 3, "do_convert_rgb": True, "do_resize": True, "do_rescale": True, "do_normalize": True}
QWEN3_VL_PATCHES = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, **SCALE}
QWEN3_VL_FILES = {
    "preprocessor_config.json": {"image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen3VLProcessor",
                                 "size": {"shortest_edge": 4096, "longest_edge": 1048576}, **QWEN3_VL_PATCHES},
    "video_preprocessor_config.json": {"video_processor_type": "Qwen3VLVideoProcessor", "processor_class": "Qwen3VLProcessor",
                                       "size": {"shortest_edge": 4096, "longest_edge": 1048576}, **QWEN3_VL_PATCHES},
}
LLAVA_FILES = {
    "preprocessor_config.json": {"image_processor_type": "LlavaOnevisionImageProcessor", "processor_class": "LlavaOnevisionProcessor",
                                 "size": {"height": 28, "width": 28}, "image_grid_pinpoints": [[28, 28], [28, 56], [56, 28], [56, 56]],
                                 "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
                                 "do_pad": True, **SCALE},
    "processor_config.json": {"processor_class": "LlavaOnevisionProcessor", "image_token": "<image>", "video_token": "<video>",
                              "num_image_tokens": 4, "vision_aspect_ratio": "anyres_max_9", "vision_feature_select_strategy": "full"},
}


def added_token(number, text):
    return {"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def derive(special):
    """quickstart/tokenizer with other special tokens behind its words."""
    tokenizer = json.loads((EXAMPLES / "quickstart/tokenizer/tokenizer.json").read_text())
    words = len(tokenizer["model"]["vocab"])
    tokenizer["added_tokens"] = [added_token(words + i, text) for i, text in enumerate(special)]
    return tokenizer


def tokenizer_config(tokenizer, template, **more):
    tokens = {str(t["id"]): {key: value for key, value in t.items() if key != "id"} for t in tokenizer["added_tokens"]}
    return {"added_tokens_decoder": tokens, "chat_template": template, "clean_up_tokenization_spaces": False, "model_max_length": 2048,
            "unk_token": None, **more}


def write(folder, name, value, indent=None):
    (EXAMPLES / folder).mkdir(exist_ok=True)
    (EXAMPLES / folder / name).write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def count_chats():
    """Every chat about counting, as question and answer."""
    pairs = []
    for first in range(NUMBERS):
        up = [str(n) for n in range(first, first + 5)]
        pairs.append((f"Count up from {first}.", " ".join(up)))
        pairs.append((f"Count down from {first + 4}.", " ".join(reversed(up))))
        pairs.append((f"Which number comes after {first}?", str(first + 1)))
        pairs.append((f"Which number comes before {first + 1}?", str(first)))
    random.Random(1).shuffle(pairs)
    return pairs


def write_chats(name, chats):
    rows = []
    for pairs in chats:
        turns = [[{"role": "user", "content": asked}, {"role": "assistant", "content": answer}] for asked, answer in pairs]
        rows.append(json.dumps({"messages": sum(turns, [])}) + "\n")
    (EXAMPLES / "tiny" / name).write_text("".join(rows))


def main():
    pairs = count_chats()
    held_out, known, chats = pairs[:HELD_OUT], pairs[HELD_OUT:], []
    for turns in (1, 2, 3):  # each is asked alone, and in talks of two and three
        random.Random(turns).shuffle(known)
        chats += [known[i : i + turns] for i in range(0, len(known), turns)]
    write_chats("train.jsonl", chats)
    write_chats("eval.jsonl", [[pair] for pair in held_out])
    print(f"{len(chats)} chats of {len(known)} questions to train on, {HELD_OUT} questions held out")

    llama = derive(LLAMA_SPECIAL)
    llama["normalizer"] = None
    llama["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = LLAMA_PIECES
    write("llama/tiny_processor", "tokenizer.json", llama)
    config = tokenizer_config(llama, LLAMA_TEMPLATE, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>", pad_token="<|end_of_text|>",
                              tokenizer_class="PreTrainedTokenizerFast")
    write("llama/tiny_processor", "tokenizer_config.json", config, indent=2)

    llava = derive(LLAVA_SPECIAL)
    write("llava_onevision/tiny_processor", "tokenizer.json", llava)
    config = tokenizer_config(llava, LLAVA_TEMPLATE, add_prefix_space=False, bos_token=None, eos_token="<|im_end|>", pad_token="<|endoftext|>",
                              tokenizer_class="Qwen2Tokenizer")
    write("llava_onevision/tiny_processor", "tokenizer_config.json", config, indent=2)
    for name, value in LLAVA_FILES.items():
        write("llava_onevision/tiny_processor", name, value, indent=2)

    qwen = derive(QWEN_SPECIAL)
    write("qwen3_vl/tiny_processor", "tokenizer.json", qwen)
    config = json.loads((EXAMPLES / "quickstart/tokenizer/tokenizer_config.json").read_text())
    write("qwen3_vl/tiny_processor", "tokenizer_config.json", config, indent=2)
    for name, value in QWEN3_VL_FILES.items():
        write("qwen3_vl/tiny_processor", name, value, indent=2)

    for name, tokenizer in {"llama": llama, "llava_onevision": llava, "qwen3_vl": qwen}.items():
        print(name, {t["content"]: t["id"] for t in tokenizer["added_tokens"]})


if __name__ == "__main__":
    main()
