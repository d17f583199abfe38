"""Makes data/train.jsonl and tokenizer/ of this folder out of data/rhymes.txt and data/proverbs.txt; the same bytes every time.

Needs tokenizers 0.23.3:

    python3 make_data.py
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
VOCABULARY = 2144  # with the special tokens: nearly every word of the texts is a token of its own
END, MASK = "<|endoftext|>", "[MASK]"
# Qwen2's pre-tokeniser.
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def read_texts():
    """A verse, a sentence or a proverb each."""
    verses = (HERE / "data" / "rhymes.txt").read_text().strip().split("\n\n")
    return [" ".join(verse.split()) for verse in verses] + (HERE / "data" / "proverbs.txt").read_text().splitlines()


def special(token):
    # the space before a mask belongs to the word that it stands for
    return AddedToken(token, normalized=False, special=True, lstrip=token == MASK)


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
        vocab_size=VOCABULARY - 2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([special(END), special(MASK)])
    assert tokenizer.get_vocab_size() == VOCABULARY, tokenizer.get_vocab_size()
    return tokenizer


def tokenizer_config(tokenizer):
    return {
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token)): {
                "content": token, "lstrip": token == MASK, "normalized": False, "rstrip": False, "single_word": False, "special": True,
            }
            for token in (END, MASK)
        },
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": END,
        "errors": "replace",
        "mask_token": MASK,
        "model_max_length": 512,
        "pad_token": END,
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def main():
    texts = read_texts()
    (HERE / "data" / "train.jsonl").write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    tokenizer = train_tokenizer(texts)
    folder = HERE / "tokenizer"
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(tokenizer), indent=2) + "\n")


if __name__ == "__main__":
    main()
