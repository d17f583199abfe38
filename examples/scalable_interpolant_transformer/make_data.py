#!/usr/bin/env python3
"""Makes digits.parquet of this folder from the chats of ../quickstart: the same pictures, each with the digit that it shows.

Needs pyarrow 22 or newer:

    python3 make_data.py
"""

import base64
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def digit_of(messages):
    """What the answers say; one that says even or odd alone does not tell."""
    for message in messages:
        if message["role"] != "assistant":
            continue
        word = message["content"].rstrip(".").split()[-1]
        if word.isdigit():
            return int(word)
        if word in WORDS:
            return WORDS.index(word)
    return None


def rows_of(file):
    rows = []
    for line in file.read_text().splitlines():
        messages = json.loads(line)["messages"]
        digit = digit_of(messages)
        if digit is not None:
            url = messages[0]["content"][0]["image_url"]["url"]
            rows.append((base64.b64decode(url.partition(",")[2]), digit))
    return rows


def main():
    for name in ["train", "eval"]:
        rows = rows_of(HERE.parent / "quickstart" / f"{name}.jsonl")
        table = pa.table({"image": pa.array([image for image, _ in rows], pa.binary()), "label": pa.array([digit for _, digit in rows], pa.int64())})
        pq.write_table(table, HERE / f"{name}.parquet", compression="zstd", compression_level=19)
        print(name, len(rows), (HERE / f"{name}.parquet").stat().st_size)


if __name__ == "__main__":
    main()
