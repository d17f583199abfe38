#!/usr/bin/env python3
"""What transformers 5.17.0's apply_chat_template makes of chats with templates of Llama 3's forms; read by src/models/llama/processor_test.cpp.

    python tests/parity/make_llama_chats.py       # writes tests/parity/data/llama_chats/

tokenizer.json is that of llama3_like with the tokens of its turns. cases.json: {"templates": {form: Jinja}, "chats": [{"form", "messages",
"ids", "prompt": ids with the header of an answer, "trained": the text of the answers with what ends them}]}. The templates are written here:
they do what those of the hub do with chats of text without tools, and nothing else: a turn of role `ipython`, the result of a tool, which the
hub's write in another way than texts, is in no case.
"""
import json
import os

from transformers import PreTrainedTokenizerFast

import make_tokenizer_cases as small

OUT = os.path.join(os.path.dirname(small.OUT), "llama_chats")
TOKENS = ["<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"]
TURN = "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>'"
ANSWER = "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
DATE = '{%- set date_string = "26 Jul 2024" %}'
CLOCK = '{%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}' + DATE + "{%- endif %}"


def dated(date):
    return (
        "{{- bos_token }}{%- if not date_string is defined %}" + date + "{%- endif %}"
        "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}"
        '{%- else %}{%- set system_message = "" %}{%- endif %}'
        '{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}{{- "Cutting Knowledge Date: December 2023\\n" }}'
        '{{- "Today Date: " + date_string + "\\n\\n" }}{{- system_message }}{{- "<|eot_id|>" }}'
        "{%- for message in messages %}{{- " + TURN + " }}{%- endfor %}" + ANSWER)


TEMPLATES = {
    "3.0": "{% for message in messages %}{% set content = " + TURN + " %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
           "{% endif %}{{ content }}{% endfor %}" + ANSWER,
    "3.1": dated(DATE),
    "3.2": dated(CLOCK),
}


def chats():
    def chat(*turns):
        return [{"role": role, "content": text} for role, text in turns]

    yield chat(("user", "hi"), ("assistant", "ok"))
    yield chat(("system", "  Be brief.\n"), ("user", "What's 12345+34?"), ("assistant", " 12379\n\n"), ("user", "Sure?\n"), ("assistant", "Yes, it's 12379.\n\nBye"))
    yield chat(("user", "\n\u00a0\u3000\x1c line first \x1f\u2028"), ("assistant", "\r\n\tx \u0085"), ("user", ""), ("assistant", " \n "))
    yield chat(("user", "a"), ("system", "later"), ("assistant", "literal <|eot_id|> and <|start_header_id|>system"), ("user", "7"), ("assistant", "7"))
    for i in (0, 2, 11, 17):
        yield chat(("user", small.SENTENCES[i]), ("assistant", small.CODE[i % 5]))


def main():
    os.makedirs(OUT, exist_ok=True)
    backend = small.llama3_like()
    backend.add_special_tokens(TOKENS)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
    cases = []
    for form, template in TEMPLATES.items():
        # without a clock 3.2's falls back to a date: what the layout writes
        extra = dict(date_string="26 Jul 2024") if form == "3.2" else {}
        for messages in chats():
            ids, prompt = (
                tokenizer.apply_chat_template(messages, chat_template=template, add_generation_prompt=more, tokenize=True, return_dict=False, **extra)
                for more in (False, True))
            trained = [m["content"].strip() + "<|eot_id|>" for m in messages if m["role"] == "assistant"]
            cases.append({"form": form, "messages": messages, "ids": ids, "prompt": prompt, "trained": "|".join(trained)})
    backend.save(os.path.join(OUT, "tokenizer.json"), pretty=False)
    with open(os.path.join(OUT, "cases.json"), "w", encoding="utf-8") as file:
        json.dump({"templates": TEMPLATES, "chats": cases}, file, ensure_ascii=False, separators=(",", ":"))
    plain = "Plain text: 1234."
    assert tokenizer(plain)["input_ids"] == [backend.token_to_id("<|begin_of_text|>")] + backend.encode(plain, add_special_tokens=False).ids


if __name__ == "__main__":
    main()
