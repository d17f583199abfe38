#!/usr/bin/env python3
"""What transformers' apply_chat_template makes of chats under templates of many kinds; read by src/text/jinja/jinja_parity_test.cpp and
src/text/checkpoint_template_test.cpp.

    python tests/parity/make_chat_templates.py        # transformers 5.17; writes tests/parity/data/chat_templates/results.json

The templates beside results.json are written here, in the manner of those of public checkpoints: their statements, filters, macros and
white space, with few of their words; python_ways has what templates seldom use. results.json: {"chats": [{"messages", "tools"?, further
variables}], "today", "tokens", "hashes": {template: [of each chat]}, "texts": {template: the first chat that it takes}, "marked": {template:
[of each chat the spans of {% generation %} in bytes, or null]}, "ids": {template: [[hash of the ids, hash of the assistant's mask] or null]}}.
A hash is FNV-1a of 64 bits over the text without and, behind a zero byte, with the header of an answer; where the template or Python
refuses the chat, that text is the byte 1. Ids are hashed as little-endian words of 32 bits, the mask as bytes.
"""
import datetime
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import jinja2
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "data", "chat_templates")
TODAY = (2024, 7, 26)  # what CheckpointTemplate tells
TOKENS = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}


class Today(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(*TODAY)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city, today & tomorrow.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "Its name, as in \"Lima\""},
                                     "days": {"type": ["integer", "string"], "description": "How many"},
                                     "unit": {"type": "string", "enum": ["C", "F"], "default": "C"}}, "required": ["city"]}}}
ADD = {"type": "function", "function": {"name": "add", "description": "Ädd <numbers>\n加", "parameters": {
    "type": "object", "properties": {"numbers": {"type": "array", "items": {"type": "number"}}, "exact": {"type": "boolean"},
                                     "more": {"type": "object", "properties": {"least": {"type": "number", "default": -0.5}}, "additionalProperties": {"type": "string"}}},
    "required": []}, "return": {"type": "number"}}}
EMPTY = {"type": "function", "function": {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}}
NULLABLE = {"type": "function", "function": {"name": "maybe", "description": "M", "parameters": {"type": "object", "properties": {"x": {"type": ["integer", "null"]}}, "required": ["x"]}}}
FLAT = {"name": "search", "description": "Flat", "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}}


def call(name, arguments, id="abcdefgh1", **more):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def system(text="Be brief."):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def tool(text, id="abcdefgh1", **more):
    return {"role": "tool", "content": text, "tool_call_id": id, **more}


def answer(text, *calls, **more):
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {}), **more}


def parts(*items):
    return [{"type": "text", "text": item} if isinstance(item, str) else item for item in items]


IMAGE, VIDEO = {"type": "image"}, {"type": "video"}


def chats():
    def chat(*messages, tools=None, **more):
        return {"messages": list(messages), **({"tools": tools} if tools is not None else {}), **more}

    lima = {"city": "Lima"}
    nested = {"numbers": [1, 2.0, -3.5e-7, 1e16, 1e-5, 123456789012], "more": {"least": None, "z": {"deep": [True, False, [], {}, "ü\n\"<&>\\\u007f\u2028😀"]}}, "exact": True}
    # texts
    yield chat(user("Hi"), answer("Hello."))
    yield chat(user("Hi"))
    yield chat(system(), user("Hi"), answer("Hello."))
    yield chat(system(), user("One?"), answer("1"), user("Two?"), answer("2"), user("Three?"), answer("3"))
    yield chat(user("One?"), answer("1"), user("Two?"), answer("2"), user("Three?"))
    yield chat(user(""), answer(""))
    yield chat(system(""), user(""), answer(""), user(" "), answer("\n"))
    yield chat(user("  leading and trailing \n\n"), answer("\n\n  x \t"), user("\tq\r\n"), answer("\u00a0\u3000wide\u2003"))
    yield chat(user("Grüße, 世界! 😀 é e\u0301 ß ǅ"), answer("Ünïcode ✓ \U0001F469\u200d\U0001F4BB \u202eabc"), user("АБВ абв Ωσς"), answer("ΣΑΣ ﬁ"))
    yield chat(user("{{ messages }} {% if x %} {# no #}"), answer("}} %} {{ '<|im_end|>' }}"))
    yield chat(user("<|im_end|> and </s> and [INST] in a text"), answer("<|im_start|>system\nodd<|im_end|>"))
    yield chat(system("Line one.\nLine two.\n\n- a\n- b"), user("```python\ndef f():\n    return {'a': 1}\n```"), answer("```\n    indented\n\ttab\n```\n"))
    yield chat(system("  spaces  "), user("a" * 300), answer("b " * 200))
    yield chat(user("It's \"quoted\" \\ back"), answer("'single' `tick`"))
    # orders of turns
    yield chat(answer("I begin."), user("And I follow."), answer("Good."))
    yield chat(user("a"), user("b"), answer("c"))
    yield chat(user("a"), answer("b"), answer("c"))
    yield chat(system(), system("Again."), user("a"), answer("b"))
    yield chat(user("a"), system("Late."), answer("b"), user("c"), answer("d"))
    yield chat(system())
    yield chat(user("a"), answer("b"), system("Last."))
    yield chat({"role": "developer", "content": "Be exact."}, user("a"), answer("b"))
    yield chat(user("a"), {"role": "critic", "content": "Odd role."}, answer("b"))
    yield chat({"role": "skip", "content": "x"}, user("a"), answer("b"), {"role": "stop", "content": "y"}, user("c"))
    # thinking
    yield chat(user("2+2?"), answer("<think>\nTwo and two.\n</think>\n\n4"))
    yield chat(system("/think on"), user("2+2?"), answer("4", reasoning_content="Two and two."), user("3+3?"), answer("6", reasoning_content="\nThree\n\nand three.\n\n"))
    yield chat(user("2+2?"), answer("4", reasoning_content="Two and two."), user("3+3?"), answer("6"))
    yield chat(system("/no_think please"), user("2+2?"), answer("<think></think>4"), user("again"), answer("</think>4"))
    yield chat(user("Hm?"), answer("Done.", thinking="I thought."), user("More?"), answer("Sure.", thinking="Again."))
    yield chat(user("Off"), answer("4"), enable_thinking=False)
    yield chat(system("Old. /system_override"), user("q"), answer("a"), enable_thinking=True)
    # tools
    yield chat(user("Weather?"), answer("No tools needed."), tools=[WEATHER])
    yield chat(system(), user("Weather in Lima?"), answer(None, call("get_weather", lima)), tool("22 C"), answer("It is 22 C."), tools=[WEATHER])
    yield chat(user("Weather in Lima?"), answer("", call("get_weather", lima)), tool("22 C"), answer("It is 22 C."), user("Thanks"), answer("Welcome."), tools=[WEATHER, ADD])
    yield chat(user("Two at once"), answer("I ask.", call("get_weather", lima), call("add", nested, id="abcdefgh2")), tool("22 C"), tool("3\n", id="abcdefgh2"), answer("22 C and 3."), tools=[WEATHER, ADD, EMPTY])
    yield chat(user("As text"), answer("", call("get_weather", '{"days":2,"city": "Lima"}')), tool("{\"t\": 22}"), answer("22"), tools=[WEATHER])
    yield chat(user("No arguments"), answer(None, call("now", {})), tool("12:00"), answer("Noon."), tools=[EMPTY])
    yield chat(user("Wrong id"), answer(None, call("now", {}, id="short")), tool("12:00", id="short"), answer("Noon."), tools=[EMPTY])
    yield chat(user("Think, call"), answer("", call("get_weather", lima), reasoning_content="I must ask."), tool("22 C"), answer("22 C.", reasoning_content="Now I know."), tools=[WEATHER])
    yield chat(user("Old"), answer("", call("get_weather", lima), reasoning_content="Old thoughts."), tool("22 C"), answer("22 C.", reasoning_content="Old again."), user("New"),
               answer("", call("add", nested)), tool("<tool_response>\nx\n</tool_response>"), answer("Done."), tools=[WEATHER, ADD])
    yield chat(system("S"), user("Calls end it"), answer("Let me look.", call("add", {"numbers": []})), tools=[ADD])
    yield chat(user("Results end it"), answer("", call("add", {"numbers": [1]})), tool("1", name="add"), tools=[ADD])
    yield chat(user("Flat"), answer("ok"), tools=[FLAT])
    yield chat(user("Null"), answer("ok"), tools=[NULLABLE])
    yield chat(user("None"), answer("ok"), tools=[])
    yield chat(user("Calls of nothing"), answer("ok", tool_calls=[]), tools=[EMPTY])
    # contents in parts
    yield chat(system("S"), {"role": "user", "content": parts("What is ", "this?")}, {"role": "assistant", "content": parts("A test.")})
    yield chat({"role": "user", "content": parts("What is", " that?")}, {"role": "assistant", "content": parts("A part.")})
    yield chat({"role": "system", "content": parts("S")}, {"role": "user", "content": parts(IMAGE, "What is this?")}, {"role": "assistant", "content": parts("An image.")})
    yield chat({"role": "user", "content": parts("First ", IMAGE, " then ", IMAGE, VIDEO)}, {"role": "assistant", "content": parts("Seen.")},
               {"role": "user", "content": parts("Sure?")}, {"role": "assistant", "content": parts("Yes.")}, add_vision_id=True)
    yield chat({"role": "user", "content": parts(VIDEO, "  What happens?  ")}, {"role": "assistant", "content": "Text."})
    yield chat({"role": "user", "content": parts({"type": "image_url", "image_url": {"url": "a.png"}}, "x")}, answer("y"))
    yield chat(user("Documents"), answer("Read."), documents=[{"title": "T", "text": "One."}, {"title": "U", "text": "Two."}], controls={"citations": True})
    yield chat(user("Of tools"), answer("z"), tools=[WEATHER], tools_in_user_message=False, builtin_tools=["search", "code_interpreter"], date_string="1 Jan 2025")


def outcome(tokenizer, chat, header):
    variables = {key: value for key, value in chat.items() if key not in ("messages", "tools")}
    try:
        return tokenizer.apply_chat_template(chat["messages"], tools=chat.get("tools"), add_generation_prompt=header, tokenize=False, **variables)
    except (jinja2.exceptions.TemplateError, TypeError, AttributeError, ValueError, KeyError, IndexError, RecursionError):
        return "\x01"


def spans(tokenizer, chat):
    """The spans of {% generation %}, in bytes."""
    compiled = chat_template_utils._compile_jinja_template(tokenizer.chat_template)
    variables = {key: value for key, value in chat.items() if key not in ("messages", "tools")}
    try:
        text, found = chat_template_utils._render_with_assistant_indices(
            compiled, chat["messages"], chat.get("tools"), variables.pop("documents", None), False, **tokenizer.special_tokens_map, **variables)
    except (jinja2.exceptions.TemplateError, TypeError, AttributeError, RecursionError):
        return None
    return [[len(text[:at].encode()) for at in span] for span in found]


def ids(tokenizer, chat):
    variables = {key: value for key, value in chat.items() if key not in ("messages", "tools")}
    made = tokenizer.apply_chat_template(chat["messages"], tools=chat.get("tools"), tokenize=True, return_dict=True, return_assistant_tokens_mask=True, **variables)
    words = b"".join(id.to_bytes(4, "little") for id in made["input_ids"])
    return [fnv(words), fnv(bytes(made["assistant_masks"]))]


def main():
    chat_template_utils.datetime = Today
    tokenizer = AutoTokenizer.from_pretrained(os.path.join(HERE, "data", "tokenizer", "chat"))
    tokenizer.bos_token = TOKENS["bos_token"]
    tokens = {key: value for key, value in tokenizer.special_tokens_map.items() if isinstance(value, (str, list))}
    out = {"today": TODAY, "tokens": tokens, "chats": list(chats()), "hashes": {}, "texts": {}, "marked": {}, "ids": {}}
    names = sorted(name[:-6] for name in os.listdir(FOLDER) if name.endswith(".jinja"))
    refused = {}
    for name in names:
        with open(os.path.join(FOLDER, name + ".jinja"), newline="", encoding="utf-8") as file:
            tokenizer.chat_template = file.read()
        has_marks = "generation %}" in tokenizer.chat_template
        out["hashes"][name] = []
        if has_marks:
            out["marked"][name], out["ids"][name] = [], []
        for chat in out["chats"]:
            texts = [outcome(tokenizer, chat, header) for header in (False, True)]
            out["hashes"][name].append(fnv("\0".join(texts).encode()))
            if texts[0] != "\x01" and name not in out["texts"]:
                out["texts"][name] = texts[0]
            refused[name] = refused.get(name, 0) + (texts[0] == "\x01")
            if has_marks:
                out["marked"][name].append(spans(tokenizer, chat))
                out["ids"][name].append(None if texts[0] == "\x01" else ids(tokenizer, chat))
    with open(os.path.join(FOLDER, "results.json"), "w", encoding="utf-8") as file:
        json.dump(out, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
    print(len(names), "templates,", len(out["chats"]), "chats, refused:", refused, file=sys.stderr)


if __name__ == "__main__":
    main()
