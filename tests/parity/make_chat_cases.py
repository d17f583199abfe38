#!/usr/bin/env python3
"""What the Python project's processor (lmms_engine 0.1.4, processor_type qwen2) makes of chats; read by src/text/chat_template_test.cpp.

    pip install --no-deps lmms_engine==0.1.4      # with its imports; wandb and decord may be empty modules
    python tests/parity/make_chat_cases.py        # after make_tokenizer_cases.py; writes tests/parity/data/tokenizer/chat/

chat/ is a checkpoint folder: the tokenizer of qwen2_like with a tokenizer_config.json. cases.json: messages, input_ids and labels
(unshifted). special.json: transformers' all_special_tokens for several ways to write them down.
"""
import contextlib
import io
import json
import os
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import make_tokenizer_cases as small

OUT = os.path.join(small.OUT, "chat")


def checkpoint():
    """A folder as Qwen2.5's: roles, added tokens and a chat template in tokenizer_config.json."""
    os.makedirs(OUT, exist_ok=True)
    shutil.copy(os.path.join(small.OUT, "qwen2_like", "tokenizer.json"), os.path.join(OUT, "tokenizer.json"))
    with open(os.path.join(OUT, "tokenizer.json"), encoding="utf-8") as file:
        added = json.load(file)["added_tokens"]
    keys = ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
    template = (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"
        "{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    config = {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(t["id"]): {k: t[k] for k in keys} for t in added},
        "additional_special_tokens": small.QWEN_SPECIAL[1:],
        "bos_token": None,
        "chat_template": template,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    with open(os.path.join(OUT, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1, ensure_ascii=False)
        file.write("\n")


def chats():
    def chat(*turns):
        return [{"role": role, "content": [{"type": "text", "text": t} for t in ([texts] if isinstance(texts, str) else texts)]} for role, texts in turns]

    yield chat(("user", "hi"), ("assistant", "ok"))
    yield chat(("system", "Be brief."), ("user", "What's 12+34?"), ("assistant", "46"), ("user", "Sure?\n"), ("assistant", "Yes, it's 46.\n\nBye"))
    yield chat(("user", ["two ", "parts"]), ("assistant", ["of ", "text"]))
    yield chat(("user", "\nline first"), ("assistant", "\n\nline first"), ("user", " space"), ("assistant", "  spaces\t"), ("user", "\r\n"), ("assistant", "\r\nx"))
    yield chat(("user", ""), ("assistant", ""))
    yield chat(("assistant", "I begin."), ("user", "Do."))
    yield chat(("user", "call"), ("assistant", "<tool_call>\n{\"a\": 1}\n</tool_call>"), ("tool", "<tool_response>\n7\n</tool_response>"), ("assistant", "<think>\nhm\n</think>\n\n7"))
    yield chat(("user", "literal <|im_end|> and <|im_start|>system\n"), ("assistant", "literal <|im_end|>\n<|endoftext|><|image_pad|> x"), ("observation", "a role of many tokens"))
    yield chat(("user", "e\u0301tude \u1100\u1161\u11a8 字"), ("assistant", "re\u0301ponse: n\u0303 👍🏽 各国"), ("human", "다른"), ("gpt", "역할"))
    yield chat(("system", ""), ("user", "   "), ("assistant", "   \n"), ("system", "again"), ("assistant", "x"))
    for i, sentence in enumerate(small.SENTENCES):
        yield chat(("user", sentence), ("assistant", small.SENTENCES[-1 - i]), ("user", small.CODE[i % 5]), ("assistant", small.CODE[(i + 1) % 5]))


def chat_cases():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from lmms_engine.datasets.processor import ProcessorConfig
        from lmms_engine.datasets.processor.qwen2_processor import Qwen2DataProcessor

        processor = Qwen2DataProcessor(ProcessorConfig(processor_name=OUT, processor_type="qwen2"))
        processor.build()
    cases = []
    for messages in chats():
        sample = processor.process(images=None, hf_messages=messages)
        cases.append({"messages": messages, "input_ids": sample["input_ids"].tolist(), "labels": sample["labels"].tolist()})
    return cases


def special_cases():
    """transformers' reading of roles and additional tokens from the two files."""
    from transformers import AutoTokenizer

    decoder = {"0": {"content": "!", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}}
    variants = [
        {"config": {"tokenizer_class": "Qwen2Tokenizer"}},
        {"config": {"tokenizer_class": "Qwen2TokenizerFast", "eos_token": "<|im_end|>", "unk_token": None, "pad_token": "<|endoftext|>"}},
        {"config": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "bos_token": "<|im_start|>"}},
        {"config": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "extra_special_tokens": ["<|box_start|>", "<|im_end|>", "<|box_end|>"]}},
        {"config": {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<|endoftext|>", "extra_special_tokens": {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}}},
        {"config": {"tokenizer_class": "PreTrainedTokenizerFast", "vision_bos_token": "<|vision_start|>", "cls_token": "<|im_start|>", "sep_token": "<|im_end|>", "mask_token": "<|box_end|>"}},
        {"config": {"tokenizer_class": "Qwen2Tokenizer", "unk_token": None}, "map": {"additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "eos_token": {"content": "<|im_end|>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}, "pad_token": "<|endoftext|>"}},
        {"config": {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": decoder}, "map": {"eos_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]}},
        {"config": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "additional_special_tokens": ["<new1>", "<new2>"]}},
    ]
    result = []
    for variant in variants:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(os.path.join(small.OUT, "qwen2_like", "tokenizer.json"), folder)
            for name, key in (("tokenizer_config.json", "config"), ("special_tokens_map.json", "map")):
                if key in variant:
                    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                        json.dump(variant[key], file)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            text = "".join(tokenizer.all_special_tokens) + " ! x</s>"
            result.append({**variant, "special": tokenizer.all_special_tokens, "ids": tokenizer.all_special_ids, "pad": tokenizer.pad_token_id, "eos": tokenizer.eos_token_id,
                           "text": text, "text_ids": tokenizer.encode(text, add_special_tokens=False)})
    return result


def main():
    checkpoint()
    small.write("chat", "cases.json", chat_cases(), ensure_ascii=False, separators=(",", ":"))
    small.write("chat", "special.json", special_cases(), ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
