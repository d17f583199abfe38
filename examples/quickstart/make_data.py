#!/usr/bin/env python3
"""Makes train.jsonl, eval.jsonl, digit.png and tokenizer/ of this folder; the same bytes every time.

The pictures are those of scikit-learn's load_digits, which are the test set of the UCI collection "Optical Recognition of
Handwritten Digits" (see LICENSE). Needs scikit-learn 1.9.1, Pillow 13.0.0 and tokenizers 0.23.3:

    python3 make_data.py
"""

import base64
import io
import json
import random
import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
HELD_OUT = 360  # pictures, drawn evenly from the ten digits
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
VOCABULARY = 384  # with the special tokens
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
# The first question is the one that the terminal shows.
AS_DIGIT = ["Which digit is this?", "What digit do you see?", "Read the digit.", "Which number is written here?"]
AS_WORD = ["Which digit is this? Answer with a word.", "Write the digit as a word.", "Spell out the number in the picture."]
AS_SENTENCE = ["What is in the picture?", "Describe the picture."]
PARITY = ["Is this digit even or odd?", "Even or odd?"]
# Qwen2's pre-tokeniser.
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant<|im_end|>\\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}{{ '<|vision_start|><|image_pad|><|vision_end|>\\n' }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def picture(values):
    """Values 0 to 16 as a grey PNG of 8 x 8 pixels, in a data: URL."""
    grey = Image.frombytes("L", (8, 8), bytes(min(255, int(v) * 16) for v in values.reshape(-1)))
    file = io.BytesIO()
    grey.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def questions(draw, digit):
    """A question of each kind about the digit with the one right answer to it, in an order of chance."""
    pairs = [
        (draw.choice(AS_DIGIT), str(digit)),
        (draw.choice(AS_WORD), WORDS[digit]),
        (draw.choice(AS_SENTENCE), f"A handwritten {WORDS[digit]}."),
        (draw.choice(PARITY), "odd" if digit % 2 else "even"),
    ]
    draw.shuffle(pairs)
    return pairs


def chat(url, pairs):
    """The picture stands before the first question."""
    messages = []
    for asked, answer in pairs:
        content = [{"type": "text", "text": asked}]
        if not messages:
            content.insert(0, {"type": "image_url", "image_url": {"url": url}})
        messages += [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages}) + "\n"


def train_tokenizer(texts):
    """Byte-level BPE with Qwen2's normaliser and pre-tokeniser; special tokens stand behind the vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
    ])
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS])
    return tokenizer


def tokenizer_config(tokenizer):
    return {
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token)): {
                "content": token, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True,
            }
            for token in SPECIAL_TOKENS
        },
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 2048,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


# 56 x 56 pixels: four by four patches, which make four tokens.
PREPROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2_5_VLProcessor",
    "patch_size": 14,
    "merge_size": 2,
    "temporal_patch_size": 2,
    "min_pixels": 56 * 56,
    "max_pixels": 28 * 28 * 1280,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "rescale_factor": 0.00392156862745098,
    "resample": 3,
    "do_convert_rgb": True,
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
}


def main():
    digits = load_digits()
    urls = [picture(values) for values in digits.images]
    draw = random.Random(1)
    order = list(range(len(urls)))
    draw.shuffle(order)
    held_out, left = [], {digit: HELD_OUT // 10 for digit in range(10)}
    for i in order:
        if left[digits.target[i]] > 0:
            left[digits.target[i]] -= 1
            held_out.append(i)
    kept = set(held_out)
    train = [chat(urls[i], questions(draw, int(digits.target[i]))[:2]) for i in order if i not in kept]
    lines = []
    for n, i in enumerate(held_out):
        digit = int(digits.target[i])
        asked = questions(draw, digit)[0] if n > 0 else (AS_DIGIT[0], str(digit))
        lines.append(chat(urls[i], [asked]))
    (HERE / "train.jsonl").write_text("".join(train))
    (HERE / "eval.jsonl").write_text("".join(lines))
    (HERE / "digit.png").write_bytes(base64.b64decode(urls[held_out[0]].partition(",")[2]))
    texts = ["You are a helpful assistant", "system\n", "user\n", "assistant\n"] * 2
    for line in train:
        for message in json.loads(line)["messages"]:
            texts.append(message["content"] if message["role"] == "assistant" else message["content"][-1]["text"])
    tokenizer = train_tokenizer(texts)
    (HERE / "tokenizer").mkdir(exist_ok=True)
    tokenizer.save(str(HERE / "tokenizer" / "tokenizer.json"))
    for name, value in {"tokenizer_config.json": tokenizer_config(tokenizer), "preprocessor_config.json": PREPROCESSOR}.items():
        (HERE / "tokenizer" / name).write_text(json.dumps(value, indent=2) + "\n")
    print(f"{len(train)} to train on, {len(lines)} held out, {tokenizer.get_vocab_size()} tokens")
    print({token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}, tokenizer.encode("Which digit is this? Answer with a word.").tokens)
    if tokenizer.get_vocab_size() > VOCABULARY:
        sys.exit("more tokens than VOCABULARY")


if __name__ == "__main__":
    main()
