"""Writes chats of the lengths that instruction data has: lognormal, median 1,200 tokens, sigma 0.9, at most 12,000.

    python make_chats.py COUNT OUT.jsonl

The words are those of examples/chat_tiny/train.jsonl, joined into longer turns; a token of the Qwen vocabulary is about 4.2
characters of them. Deterministic; needs Python's standard library alone.
"""
import json
import math
import random
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "examples/chat_tiny/train.jsonl"
CHARACTERS = 4.2


def turns():
    for line in SOURCE.read_text(encoding="utf-8").splitlines():
        for message in json.loads(line)["messages"]:
            content = message["content"]
            yield content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def main():
    count, out = int(sys.argv[1]), sys.argv[2]
    rng = random.Random(1)
    texts = list(turns())
    with open(out, "w", encoding="utf-8") as file:
        for _ in range(count):
            wanted = CHARACTERS * min(12000, 1200 * math.exp(0.9 * rng.gauss(0, 1)))
            messages, written = [], 0
            while written < wanted or len(messages) % 2:
                text = " ".join(rng.choice(texts) for _ in range(rng.randint(1, 12)))
                messages.append({"role": ("user", "assistant")[len(messages) % 2], "content": text})
                written += len(text) + 20
            file.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")


main()
