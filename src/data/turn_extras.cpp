#include "data/turn_extras.h"

#include <algorithm>
#include <array>

#include "core/format.h"
#include "data/json_text.h"

namespace lmms::data {
namespace {

/// A value that says something: not null, "", [], {}.
const Json* find_said(const Json& object, const char* key) {
  const Json* value = find_member(object, key);
  if (!value) return nullptr;
  if (value->is_structured() && value->empty()) return nullptr;
  if (value->is_string() && value->get_ref<const std::string&>().empty()) return nullptr;
  return value;
}

Fault not_laid_out(const std::string& path,
                   std::string what = "not laid out yet, and not to be lost in silence",
                   std::string fix = "take it out of the record if it is not to be learnt") {
  return {path, std::move(what), std::move(fix)};
}

constexpr const char *kReasoningElsewhere = "reasoning is read under 'reasoning_content'",
                     *kRenameReasoning =
                         "rename it, or take it out of the record if it is not to "
                         "be learnt";

Fault expected(const std::string& path, std::string_view what, const Json& found) {
  return {path, fmt::format("expected {}, found {}", what, found.type_name()), ""};
}

/// A JSON object or list, given as itself or as its text.
Result<Json> value_of(const Json& given, const std::string& path) {
  if (!given.is_string()) return given;
  auto parsed = parse_json(given.get_ref<const std::string&>());
  if (!parsed) return Fault{path, parsed.fault().what, ""};
  return parsed;
}

Result<text::ToolCall> read_call(const Json& entry, const std::string& path) {
  auto given = value_of(entry, path);
  if (!given) return given.fault();
  const Json* inner = given->is_object() ? find_member(*given, "function") : nullptr;
  const Json& call = inner && inner->is_object() ? *inner : *given;
  const Json* name = call.is_object() ? find_member(call, "name") : nullptr;
  if (!name || !name->is_string())
    return Fault{path, "expected {\"name\": ..., \"arguments\": {...}}", ""};
  text::ToolCall out{*name, "{}"};
  if (const Json* id = find_member(*given, "id"); id && id->is_string()) out.id = *id;
  const Json* arguments = find_said(call, "arguments");
  if (!arguments && find_said(call, "parameters"))
    return Fault{path + ".parameters", "expected the arguments of a call under 'arguments'", ""};
  if (!arguments) return out;
  const std::string at = path + ".arguments";
  const auto object = value_of(*arguments, at);
  if (!object) return object.fault();
  if (!object->is_object()) return expected(at, "a JSON object", *object);
  if (arguments->is_string()) out.written = *arguments;
  auto written = dump_as_python(*object);
  if (!written) return Fault{at, written.fault().what, ""};
  out.arguments = *std::move(written);
  return out;
}

/// A list of calls, or one.
std::optional<Fault> read_calls(const Json& given, const std::string& path,
                                std::vector<text::ToolCall>& calls) {
  const auto list = value_of(given, path);
  if (!list) return list.fault();
  for (size_t i = 0; i < (list->is_array() ? list->size() : 1); ++i) {
    auto call = list->is_array() ? read_call((*list)[i], fmt::format("{}[{}]", path, i))
                                 : read_call(*list, path);
    if (!call) return call.fault();
    calls.push_back(*std::move(call));
  }
  return std::nullopt;
}

/// Whether a message is to be trained, if it says so. Numbers of `loss` are measurements.
Result<std::optional<bool>> trained(const Json& entry, const std::string& path) {
  std::optional<bool> out;
  for (const char* key : {"weight", "train", "training", "loss"}) {
    const Json* value = find_member(entry, key);
    if (!value || (key == std::string_view("loss") && !value->is_boolean())) continue;
    std::optional<bool> says;
    if (value->is_boolean()) says = value->get<bool>();
    if (value->is_number() && (*value == 0 || *value == 1)) says = *value == 1;
    if (!says) {
      return not_laid_out(path + "." + key,
                          fmt::format("weights between 0 and 1 are not built yet, found {}",
                                      value->dump().substr(0, 40)),
                          "write 0 (or false) for a turn that is not trained, 1 (or true) for one "
                          "that is");
    }
    if (out && *out != *says)
      return Fault{path + "." + key, "says the opposite of another key of the message", ""};
    out = says;
  }
  return out;
}

// What means something in a message and is not laid out.
constexpr std::array kRefusedOfMessage = {
    "refusal", "audio",     "audios",         "images",    "image",           "videos",
    "video",   "thinking",  "thought",        "reasoning", "rationale",       "reasoning_details",
    "tools",   "functions", "function_calls", "tool_call", "thinking_blocks", "train_detail"};

std::string text_of(const Message& message) {
  std::string text;
  for (const Part& part : message.parts) text += part.text;
  return text;
}

}  // namespace

std::optional<Fault> read_answer_extras(const Json& fields, Message& answer) {
  const Json* reasoning = find_said(fields, "reasoning_content");
  if (!reasoning) return std::nullopt;
  if (!reasoning->is_string()) return expected("reasoning_content", "a string", *reasoning);
  if (answer.role != "assistant" || answer.reasoning)
    return not_laid_out("reasoning_content", "the last turn is no answer, or has its own");
  answer.reasoning = *reasoning;
  return std::nullopt;
}

bool speaks_without_content(const Json& entry) {
  return find_said(entry, "tool_calls") || find_said(entry, "function_call") ||
         find_said(entry, "reasoning_content") || find_said(entry, "refusal") ||
         find_said(entry, "audio");
}

std::optional<Fault> read_extras(const Json& entry, const std::string& path, Message& message) {
  for (const char* key : kRefusedOfMessage) {
    if (!find_said(entry, key)) continue;
    const std::string_view name = key;
    if (name == "thinking" || name == "thought" || name == "reasoning" || name == "rationale")
      return not_laid_out(path + "." + key, kReasoningElsewhere, kRenameReasoning);
    return not_laid_out(path + "." + key);
  }
  for (const auto& [key, value] :
       {std::pair("name", &message.name), std::pair("tool_call_id", &message.call_id)}) {
    if (const Json* said = find_said(entry, key); said && said->is_string()) *value = *said;
  }
  const bool answers = message.role == "assistant";
  for (const char* key : {"tool_calls", "function_call", "reasoning_content"}) {
    const Json* value = find_said(entry, key);
    if (!value) continue;
    const std::string at = path + "." + key;
    if (!answers)
      return Fault{at, fmt::format("is the assistant's, found in a turn of '{}'", message.role),
                   ""};
    if (key == std::string_view("reasoning_content")) {
      if (!value->is_string()) return expected(at, "a string", *value);
      message.reasoning = *value;
    } else if (auto wrong = read_calls(*value, at, message.calls)) {
      return wrong;
    }
  }
  const auto says = trained(entry, path);
  if (!says) return says.fault();
  if (!*says) return std::nullopt;
  for (const char* key : {"train", "training", "loss"}) {  // a weight of 1 says nothing
    if (answers || !**says || !find_member(entry, key)) continue;
    return not_laid_out(path + "." + key,
                        fmt::format("is true in a turn of '{}', and only answers of the assistant "
                                    "are trained yet",
                                    message.role));
  }
  message.trained = **says;
  return std::nullopt;
}

std::optional<Fault> read_role(const std::string& path, Message& message) {
  const std::string& role = message.role;
  if (role == "function" || role == "observation" || role == "tool_response") {
    message.role = "tool";
  } else if (role == "function_call" || role == "tool_call") {
    message.role = "assistant";
    if (auto wrong = read_calls(Json(text_of(message)), path, message.calls)) return wrong;
    message.parts.clear();
  }
  return std::nullopt;
}

Result<std::vector<std::string>> tools_of(const Json& fields) {
  std::vector<std::string> tools;
  for (const char* key : {"tools", "functions"}) {
    const Json* given = find_said(fields, key);
    if (!given) continue;
    const auto list = value_of(*given, key);
    if (!list) return list.fault();
    if (list->is_null()) continue;
    if (!list->is_array()) return expected(key, "a list of tools", *list);
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string at = fmt::format("{}[{}]", key, i);
      const auto tool = value_of((*list)[i], at);
      if (!tool) return tool.fault();
      if (!tool->is_object()) return expected(at, "an object that describes a tool", *tool);
      const bool older = key == std::string_view("functions");
      auto text = dump_as_python(older ? Json{{"type", "function"}, {"function", *tool}} : *tool);
      if (!text) return Fault{at, text.fault().what, ""};
      tools.push_back(*std::move(text));
    }
  }
  return tools;
}

std::optional<Fault> add_system(const Json& fields, std::vector<Message>& messages) {
  for (const char* key : {"system", "system_prompt"}) {
    const Json* system = find_said(fields, key);
    if (!system) continue;
    if (!system->is_string()) return expected(key, "a string", *system);
    const bool has_one = !messages.empty() && messages[0].role == "system";
    if (!has_one) {
      messages.insert(messages.begin(), {"system", {Part::of_text(*system)}});
    } else if (text_of(messages[0]) != system->get_ref<const std::string&>()) {
      return Fault{key, "the conversation has another system turn of its own",
                   "leave one of them, or write both texts into one"};
    }
  }
  return std::nullopt;
}

std::optional<Fault> refuse_columns(const Json& fields, std::string_view form) {
  const bool turns = form == "messages" || form == "conversations";
  if (turns && find_said(fields, "history")) {
    return not_laid_out("history", fmt::format("is read beside 'instruction' or 'prompt', and this "
                                               "conversation is in '{}'",
                                               form));
  }
  if (turns && find_said(fields, "reasoning_content")) {
    return not_laid_out("reasoning_content",
                        "is read beside an answer, and stands beside a "
                        "conversation",
                        "write it into the message of its answer");
  }
  for (const char* key : {"reasoning", "thinking"}) {
    if (turns || !find_said(fields, key)) continue;
    return not_laid_out(key, kReasoningElsewhere, kRenameReasoning);
  }
  if (form == "prompt" && find_said(fields, "input")) {
    return not_laid_out("input",
                        "is read beside 'instruction', and this conversation is in "
                        "'prompt'",
                        "rename 'prompt' to 'instruction' and the answer to 'output', or take it "
                        "out");
  }
  if (const Json* kwargs = find_said(fields, "chat_template_kwargs"); kwargs) {
    if (!kwargs->is_object()) return not_laid_out("chat_template_kwargs");
    for (const auto& [key, value] : kwargs->items()) {
      // whether generation would think; the turns say what was thought
      if (key == "enable_thinking" || value == false || !find_said(*kwargs, key.c_str())) continue;
      return not_laid_out("chat_template_kwargs." + key);
    }
  }
  return std::nullopt;
}

}  // namespace lmms::data
