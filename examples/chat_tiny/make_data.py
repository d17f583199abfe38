#!/usr/bin/env python3
"""Makes train.jsonl, eval.jsonl, LICENSE and tokenizer/ of this folder; the same bytes every time.

The conversations are those of the BYU Chit-Chat Challenge, from the PyPI package chitchat-dataset 0.9.0 (MIT).
Needs tokenizers 0.23.3:

    pip download --no-deps chitchat-dataset==0.9.0
    python3 make_data.py chitchat_dataset-0.9.0-py3-none-any.whl
"""

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
TRAIN_BYTES = 2_300_000
EVAL_CONVERSATIONS = 64
MESSAGES = range(6, 21)  # a shorter conversation is dropped, of a longer one the first 20 messages are taken
MESSAGE_CHARACTERS = 400  # most of one message
LEAST_RATING = 4  # mean of the participants' marks, 1 to 10
VOCABULARY = 4096  # with the special tokens
SPECIAL_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# One message like these drops its whole conversation: addresses, long numbers, keyboard noise, slurs and obscenity.
NOISE = re.compile(
    r"https?:|www\.|\S+@\S|(?<!\S)@\w|\d{7,}|\d{3}[-. ]\d{3}[-. ]\d{4}|(.)\1{9}|[b-df-hj-np-tv-xz]{8}"
    r"|\b(?:\w*fuck\w*|\w*shit\w*|bitch\w*|cunt\w*|dick\w*|cock|cocks|pussy|whore\w*|slut\w*|porn\w*|nigg\w*|fag\w*"
    r"|retard\w*|rape\w*|nazi\w*|hitler|penis\w*|vagina\w*|boob\w*|tits?|sex\w*|horny|naked|suicid\w*|kill (?:you|my)\w*)\b",
    re.IGNORECASE,
)
# Qwen2's pre-tokeniser.
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant<|im_end|>\\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def conversation(record):
    """The record as alternating messages, user first, assistant last; None if it is not fit to learn from."""
    marks = [int(mark) for mark in (record.get("ratings") or {}).values()]
    if not marks or sum(marks) / len(marks) < LEAST_RATING:
        return None
    turns = []  # [sender, text], what one sender writes in a row joined
    for run in record["messages"]:
        for utterance in run:
            text = " ".join(utterance["text"].split())
            if not text:
                continue
            if turns and turns[-1][0] == utterance["sender"]:
                turns[-1][1] += " " + text
            else:
                turns.append([utterance["sender"], text])
    turns = turns[: MESSAGES.stop - 1]
    turns = turns[: len(turns) // 2 * 2]
    if len(turns) not in MESSAGES or len({sender for sender, _ in turns}) != 2:
        return None
    if any(len(text) > MESSAGE_CHARACTERS or not re.search("[A-Za-z]", text) or NOISE.search(text) for _, text in turns):
        return None
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, (_, text) in enumerate(turns)]


def read_conversations(wheel):
    """Every fit conversation as one line of JSON, in the order of a hash of its id."""
    records = json.loads(wheel.read("chitchat_dataset/dataset.json"))
    lines, seen = [], set()
    for key in sorted(records, key=lambda key: hashlib.sha256(key.encode()).digest()):
        messages = conversation(records[key])
        text = json.dumps(messages)
        if messages is None or text in seen:
            continue
        seen.add(text)
        lines.append(json.dumps({"id": key, "messages": messages}, ensure_ascii=False) + "\n")
    return lines


def train_tokenizer(lines):
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
    texts = (message["content"] for line in lines for message in json.loads(line)["messages"])
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS])
    if tokenizer.get_vocab_size() != VOCABULARY:
        sys.exit(f"the text gave {tokenizer.get_vocab_size()} tokens instead of {VOCABULARY}")
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


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    wheel = zipfile.ZipFile(sys.argv[1])
    lines = read_conversations(wheel)
    evaluation, rest, train, size = lines[:EVAL_CONVERSATIONS], lines[EVAL_CONVERSATIONS:], [], 0
    for line in rest:
        if size + len(line) > TRAIN_BYTES:
            break
        train.append(line)
        size += len(line)
    (HERE / "eval.jsonl").write_text("".join(evaluation))
    (HERE / "train.jsonl").write_text("".join(train))
    (HERE / "LICENSE").write_bytes(wheel.read("chitchat_dataset-0.9.0.dist-info/LICENSE"))
    tokenizer = train_tokenizer(train)
    (HERE / "tokenizer").mkdir(exist_ok=True)
    tokenizer.save(str(HERE / "tokenizer" / "tokenizer.json"))
    config = json.dumps(tokenizer_config(tokenizer), indent=2)
    (HERE / "tokenizer" / "tokenizer_config.json").write_text(config + "\n")
    messages = [message for line in train for message in json.loads(line)["messages"]]
    tokens = sum(len(tokenizer.encode(message["content"]).ids) + 5 for message in messages)
    print(f"{len(lines)} fit conversations; train {len(train)}, {len(messages)} messages, about {tokens} tokens; eval {len(evaluation)}")


if __name__ == "__main__":
    main()
