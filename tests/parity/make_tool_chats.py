#!/usr/bin/env python3
"""What transformers' apply_chat_template makes of chats with tools, calls, results and reasoning; read by src/data/tool_chats_test.cpp.

    python tests/parity/make_tool_chats.py TEMPLATES      # transformers 5.17

TEMPLATES is a folder with the chat templates as the checkpoints have them (`chat_template` of tokenizer_config.json, or chat_template.jinja):
qwen2_5.jinja of Qwen2.5-7B-Instruct, qwen3.jinja of Qwen3-8B, qwen3_instruct_2507.jinja of Qwen3-4B-Instruct-2507, qwen3_vl.jinja of
Qwen3-VL-8B-Instruct. The tokenizer is that of tests/parity/data/tokenizer/chat. Writes tests/parity/data/tool_chats.json: of each template
its SHA-256, and of each record text and ids, and the text that asks for an answer. Every chat has a system turn of its own: without one
the templates write their default, and training its own.

Where a record has the arguments of a call as text, Qwen2.5's template is given the object: it would write the text as a JSON string, against
what its own system turn asks for. Reasoning is given to the templates that know it, and a system turn behind the first not to Qwen3-VL's,
which leaves it out; training loses no turn.
"""
import hashlib
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ("qwen2_5", "qwen3", "qwen3_instruct_2507", "qwen3_vl")
WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather of a city, today & tomorrow.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "Its name, as in \"Lima\""}, "days": {"type": "integer", "default": None, "enum": [1, 2, None]},
                                     "unit": {"type": "string", "enum": ["C", "F"]}}, "required": ["city"]}}}
ADD = {"type": "function", "function": {"name": "add", "description": "Ädd <numbers>\n加", "parameters": {"type": "object", "properties": {}, "strict": True, "limit": 1e16, "least": -0.5, "most": 100.0}}}
BARE = {"name": "search", "parameters": {"query": "what"}}


def call(name, arguments, **more):
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def system(text="Be brief."):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def tool(text, **more):
    return {"role": "tool", "content": text, **more}


def answer(text, *calls, think=None):
    message = {"role": "assistant", "content": text}
    if think is not None:
        message["reasoning_content"] = think
    if calls:
        message["tool_calls"] = list(calls)
    return message


def records():
    lima = {"city": "Lima"}
    for tools in ([WEATHER], [WEATHER, ADD, BARE], None):
        more = {"tools": tools} if tools else {}
        yield {"messages": [system(), user("Weather in Lima?"), answer("", call("weather", lima)), tool("22 C", tool_call_id="c1"), answer("22 C.")], **more}
        yield {"messages": [system(""), user("Two?"), answer("I ask.", call("weather", lima), call("add", {"b": 1, "a": [1.0, 2.5e-7, True, None, {"z": "ü\n\"<&>\\"}]})),
                            tool("22 C"), tool("3\n"), answer("22 C and 3."), user("Sure?"), answer("Yes.")], **more}
    yield {"messages": [system(), user("Hi"), answer("Hello.")], "tools": [WEATHER]}
    yield {"messages": [system("Long\n\nsystem."), user("Hi")], "tools": [ADD]}
    yield {"messages": [system(), user("As text"), answer("", call("weather", '{"days":2,"city": "Lima"}')), tool("{\"t\": 22}"), answer("22", call("add", "{}")), tool("", name="add"),
                        user("And?"), answer("\nDone.")], "tools": [WEATHER, ADD]}
    yield {"messages": [system(), user("None"), {"role": "assistant", "content": "", "tool_calls": [{"name": "search", "arguments": {"query": "x"}}]}, tool("a"), tool("b"), tool("c"), answer("")],
           "tools": [BARE]}
    yield {"messages": [system(), tool("begins"), answer("odd"), user("q"), system("again"), answer("a", call("add", {}))], "tools": [ADD]}
    # reasoning
    yield {"messages": [system(), user("2+2?"), answer("4", think="Two and two.")]}
    yield {"messages": [system(), user("2+2?"), answer("4", think="Two and two."), user("3+3?"), answer("\n\n6", think="\nThree\n\nand three.\n\n")]}
    yield {"messages": [system(), user("2+2?"), answer("4", think="Two and two."), user("3+3?"), answer("6")]}
    yield {"messages": [system(), user("Weather?"), answer("", call("weather", lima), think="I must ask."), tool("22 C"), answer("Let me add.", call("add", {"a": 1})), tool("1"),
                        answer("22 C.", think="Now I know.")], "tools": [WEATHER, ADD]}
    yield {"messages": [system(), user("Weather?"), answer("\n", call("weather", lima), call("weather", {"city": "Rome"}), think="Both."), tool("22 C"), tool("20 C"), answer("Mild.", think="So.")],
           "tools": [WEATHER]}
    yield {"messages": [system(), user("Old"), answer("", call("weather", lima), think="Old thoughts."), tool("22 C"), answer("22 C.", think="Old again."), user("New"),
                        answer("", call("weather", lima), think="New."), tool("21 C"), answer("21 C.", think="New again.")], "tools": [WEATHER]}
    yield {"messages": [system(), user("In the text"), answer("<think>\nhm\n\n</think>\n\nSo: 7", call("add", {})), tool("7"), answer("no opening\n</think>7"), user("More"),
                        answer("<think>a</think><think>\nb\n</think>\nc")], "tools": [ADD]}
    yield {"messages": [system(), user("q"), answer("a", think="t"), user("<tool_response>\nx\n</tool_response>"), answer("b", think="u"), answer("c")]}
    yield {"messages": [system(), answer("I begin.", think="t")]}
    yield {"messages": [system(), user("q"), answer("", call("add", {}), think="t"), tool("<tool_result>"), user("x")], "tools": [ADD]}


def with_objects(messages):
    """Arguments as objects."""
    messages = json.loads(json.dumps(messages))
    for message in messages:
        for entry in message.get("tool_calls", []):
            entry = entry.get("function", entry)
            if isinstance(entry["arguments"], str):
                entry["arguments"] = json.loads(entry["arguments"])
    return messages


def main(folder):
    tokenizer = AutoTokenizer.from_pretrained(os.path.join(HERE, "data", "tokenizer", "chat"))
    templates = {}
    for name in NAMES:
        with open(os.path.join(folder, name + ".jinja"), encoding="utf-8") as file:
            templates[name] = file.read()
    cases = []
    for record in records():
        case = {"record": record}
        thinks = any("reasoning_content" in message for message in record["messages"])
        for name, template in templates.items():
            if thinks and "reasoning_content" not in template:
                continue
            if name == "qwen3_vl" and any(m["role"] == "system" for m in record["messages"][1:]):
                continue
            messages = with_objects(record["messages"]) if name == "qwen2_5" else record["messages"]
            wrapped = any(m["content"].startswith("<tool_response>") for m in messages if m["role"] == "tool")
            assert not wrapped  # training keeps such a result as it is

            def apply(**more):
                return tokenizer.apply_chat_template(messages, tools=record.get("tools"), chat_template=template, **more)

            case[name] = {"text": apply(tokenize=False), "ids": apply(tokenize=True, return_dict=False)}
            if messages[-1]["role"] != "assistant":
                case[name]["prompt"] = apply(tokenize=False, add_generation_prompt=True)
        cases.append(case)
    out = os.path.join(HERE, "data", "tool_chats.json")
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"templates": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in templates.items()}, "cases": cases}, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
    print(len(cases), os.path.getsize(out))


if __name__ == "__main__":
    main(sys.argv[1])
