#include "text/checkpoint_template.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <tuple>

#include "core/format.h"
#include "text/jinja/template.h"
#include "text/special_tokens.h"
#include "text/unicode/utf8.h"

namespace lmms::text {
namespace {

using jinja::Entry;
using jinja::NamedValue;
using jinja::Value;

constexpr std::string_view kSomeQuestion = "Qk3questionZ9";
/// Of a turn whose role is tried.
constexpr std::string_view kSomeTurn = "Qk3turnZ9";

/// Under which names templates look for the thoughts of an answer.
constexpr std::array<std::string_view, 4> kReasoningNames = {"reasoning_content", "thinking",
                                                             "reasoning", "thought"};

/// The day that templates are told where they ask for it without a day of their own: training data
/// must not change with the calendar. It is the one that Llama's templates fall back to.
constexpr jinja::Options::Date kDay{2024, 7, 26};

std::string_view name_of(PartKind kind) {
  static constexpr std::string_view names[] = {"text", "image", "video", "audio"};
  return names[static_cast<size_t>(kind)];
}

bool is_text(const ChatMessage& message) {
  return std::ranges::all_of(message.parts,
                             [](const ChatPart& part) { return part.kind == PartKind::text; });
}

/// Whether what a template writes of kSomeQuestion and kSomeAnswer has both as they are: not the
/// list of parts that held them, printed.
bool has_plainly(const std::string& text) {
  const size_t question = text.find(kSomeQuestion);
  const size_t answer = text.find(kSomeAnswer);
  if (question == text.npos || answer == text.npos || answer < question) return false;
  const auto is_quoted = [&](size_t at, size_t size) {
    const bool before = at > 0 && (text[at - 1] == '\'' || text[at - 1] == '"');
    return before && at + size < text.size() && text[at + size] == text[at - 1];
  };
  return !is_quoted(question, kSomeQuestion.size()) && !is_quoted(answer, kSomeAnswer.size());
}

bool is_blank(const ChatMessage& message) {
  return std::ranges::all_of(message.parts, [](const ChatPart& part) {
    return part.text.find_first_not_of(" \t\r\n") == std::string::npos;
  });
}

/// What was found of turns of a role, as the first of a chat or behind others, with tools or
/// without.
struct RoleTrials {
  using Key = std::tuple<std::string, bool, bool>;

  std::mutex mutex;
  std::map<Key, bool> drops;
};

}  // namespace

struct CheckpointTemplate::Parts {
  Tokenizer tokenizer;
  std::optional<std::string> system;
  jinja::Template standard;
  std::optional<jinja::Template> for_tools{};  ///< "tool_use"
  jinja::Options rendering{};
  bool takes_text = true, takes_parts = true;  ///< as the content of a message
  bool arguments_as_written = false;
  std::string_view reasoning{};  ///< the name it looks for thoughts under
  int32_t end = -1, start = -1;
  std::vector<std::string> notices{};
  std::unique_ptr<RoleTrials> roles = std::make_unique<RoleTrials>();

  const jinja::Template& of(const Chat& chat) const {
    return for_tools && !chat.tools.empty() ? *for_tools : standard;
  }
  /// Finds out how contents are given and what ends an answer; the fault if no chat can be written.
  std::optional<Fault> try_out();
  /// What a template would leave out of a chat in silence.
  std::optional<Fault> lost(const Chat& chat) const;
  /// Whether it writes chats with turns of a role, and nothing of their texts.
  bool drops(const std::string& role, bool first, bool with_tools) const;
  bool try_role(const std::string& role, bool first, bool with_tools) const;
};

/// One chat as the values that a template sees.
class CheckpointTemplate::Writing {
 public:
  Writing(const Parts& parts, const Chat& chat)
      : parts_(parts), jinja_(parts.of(chat)), has_system_(adds_system(chat)) {
    if (has_system_)
      messages_.push_back(message({"system", {ChatPart{PartKind::text, *parts.system}}}));
    for (const ChatMessage& one : chat.messages) messages_.push_back(message(one));
    std::vector<Value> tools;
    for (const std::string& tool : chat.tools)
      tools.push_back(json(tool, fmt::format("tools[{}]", tools.size())));
    variables_ = {{"tools", tools.empty() ? Value::none() : Value::of(arena_.list(tools))},
                  {"documents", Value::none()}};
    for (const auto& [name, token] : parts.tokenizer.named_tokens())
      variables_.push_back({name, Value::of(std::string_view(token))});
    variables_.push_back({"messages", Value::none()});
    variables_.push_back({"add_generation_prompt", Value::none()});
  }

  /// The first `count` messages of the chat.
  Result<jinja::Rendering> write(size_t count, bool with_header) {
    return render(std::span(messages_).first(count + has_system_), with_header);
  }

  std::optional<std::string> beginning(size_t count, bool with_header) {
    return text_of(write(count, with_header));
  }

  std::optional<std::string> with_some_answer(size_t count) {
    std::vector<Value> some(messages_.begin(),
                            messages_.begin() + static_cast<ptrdiff_t>(count + has_system_));
    some.push_back(message({"assistant", {ChatPart{PartKind::text, std::string(kSomeAnswer)}}}));
    return text_of(render(some, /*with_header=*/false));
  }

 private:
  bool adds_system(const Chat& chat) const {
    return parts_.system && (chat.messages.empty() || chat.messages[0].role != "system");
  }

  static std::optional<std::string> text_of(Result<jinja::Rendering> rendering) {
    if (!rendering) return std::nullopt;
    return std::move(rendering->text);
  }

  Result<jinja::Rendering> render(std::span<const Value> messages, bool with_header) {
    if (fault_) return *fault_;
    variables_[variables_.size() - 2].value = Value::of(arena_.list(messages));
    variables_.back().value = Value::of(with_header);
    return jinja_.render(variables_, parts_.rendering);
  }

  /// A text of the chat, which outlives this.
  Value text(const std::string& text) {
    if (unicode::valid_prefix(text) == text.size()) return Value::of(std::string_view(text));
    return arena_.string(unicode::replace_invalid(text));
  }

  /// Of a JSON text of the chat; the first that cannot be read is the fault of all writing.
  Value json(const std::string& text, const std::string& where) {
    auto value = jinja::parse_json(text, arena_);
    if (value) return *value;
    if (!fault_) fault_ = Fault{where, value.fault().what, value.fault().fix};
    return Value::none();
  }

  Value dict(std::initializer_list<Entry> entries) {
    return Value::of(arena_.dict(std::span(entries.begin(), entries.size())));
  }

  static Entry entry(std::string_view key, Value value) { return {Value::of(key), value}; }

  Value message(const ChatMessage& one) {
    std::vector<Entry> entries = {entry("role", kept(one.role))};
    if (one.content == ContentForm::null) {
      entries.push_back(entry("content", Value::none()));
    } else if (one.content != ContentForm::absent) {
      entries.push_back(entry("content", content(one)));
    }
    if (one.reasoning && !parts_.reasoning.empty())
      entries.push_back(entry(parts_.reasoning, text(*one.reasoning)));
    if (!one.calls.empty()) {
      std::vector<Value> calls;
      for (const ToolCall& call : one.calls) calls.push_back(this->call(call));
      entries.push_back(entry("tool_calls", Value::of(arena_.list(calls))));
    }
    if (one.name) entries.push_back(entry("name", text(*one.name)));
    if (one.call_id) entries.push_back(entry("tool_call_id", text(*one.call_id)));
    return Value::of(arena_.dict(entries));
  }

  /// Copied: of a message that does not outlive this.
  Value kept(const std::string& text) {
    return arena_.string(
        unicode::valid_prefix(text) == text.size() ? text : unicode::replace_invalid(text));
  }

  Value content(const ChatMessage& one) {
    const bool as_parts = !is_text(one) || !parts_.takes_text ||
                          (one.content == ContentForm::parts && parts_.takes_parts);
    if (!as_parts) {
      std::string joined;
      for (const ChatPart& part : one.parts) joined += part.text;
      return kept(joined);
    }
    std::vector<Value> parts;
    for (const ChatPart& part : one.parts) {
      const Value type = Value::of(name_of(part.kind));
      parts.push_back(part.kind == PartKind::text
                          ? dict({entry("type", type), entry("text", kept(part.text))})
                          : dict({entry("type", type)}));
    }
    return Value::of(arena_.list(parts));
  }

  Value call(const ToolCall& call) {
    const Value arguments =
        call.written && parts_.arguments_as_written
            ? text(*call.written)
            : json(call.arguments, fmt::format("the arguments of a call of '{}'", call.name));
    std::vector<Entry> entries;
    if (call.id) entries.push_back(entry("id", text(*call.id)));
    entries.push_back(entry("type", Value::of(std::string_view("function"))));
    entries.push_back(
        entry("function", dict({entry("name", text(call.name)), entry("arguments", arguments)})));
    return Value::of(arena_.dict(entries));
  }

  const Parts& parts_;
  const jinja::Template& jinja_;
  bool has_system_;
  jinja::Arena arena_;
  std::optional<Fault> fault_{};
  std::vector<Value> messages_;
  std::vector<NamedValue> variables_;
};

namespace {

/// The template of a name, read; nullopt: there is none.
Result<std::optional<jinja::Template>> named(const Tokenizer& tokenizer, std::string_view name) {
  const auto& all = tokenizer.chat_templates();
  const auto found = std::ranges::find(all, name, &ChatTemplateSource::name);
  if (found == all.end()) return std::optional<jinja::Template>();
  auto read = jinja::Template::parse(found->jinja, found->where);
  if (!read) return read.fault();
  return std::optional(*std::move(read));
}

bool mentions(const Tokenizer& tokenizer, std::string_view text) {
  return std::ranges::any_of(tokenizer.chat_templates(), [&](const ChatTemplateSource& source) {
    return source.jinja.find(text) != std::string::npos;
  });
}

Chat some_chat(ContentForm form, bool with_tool) {
  const auto message = [&](std::string role, std::string_view text) {
    return ChatMessage{.role = std::move(role),
                       .parts = {ChatPart{PartKind::text, std::string(text)}},
                       .content = form};
  };
  Chat chat{{}, {message("user", kSomeQuestion), message("assistant", kSomeAnswer)}};
  if (with_tool)
    chat.tools.push_back(
        R"({"type": "function", "function": {"name": "f", "description": "f", "parameters": {"type": "object", "properties": {}}}})");
  return chat;
}

}  // namespace

Result<CheckpointTemplate> CheckpointTemplate::create(const Tokenizer& tokenizer,
                                                      std::optional<std::string> system) {
  auto standard = named(tokenizer, "default");
  if (!standard) return standard.fault();
  auto for_tools = named(tokenizer, "tool_use");
  if (!for_tools) return for_tools.fault();
  if (!*standard) {
    const auto& all = tokenizer.chat_templates();
    return Fault{all.empty() ? "" : all[0].where,
                 "the checkpoint has no chat template that is called 'default'",
                 "write it into chat_template.jinja beside the tokenizer, or take "
                 "processor_config.extra_kwargs: {chat_template: builtin}"};
  }
  auto parts = std::make_shared<Parts>(
      Parts{.tokenizer = tokenizer, .system = std::move(system), .standard = **standard});
  parts->for_tools = *for_tools;
  const auto knows = [&](std::string_view name) {
    return parts->standard.mentions(name) || (parts->for_tools && parts->for_tools->mentions(name));
  };
  const auto reasoning = std::ranges::find_if(kReasoningNames, knows);
  if (reasoning != kReasoningNames.end()) parts->reasoning = *reasoning;
  parts->arguments_as_written = mentions(tokenizer, "arguments is string") ||
                                mentions(tokenizer, "arguments is not string") ||
                                mentions(tokenizer, "arguments is mapping");
  if (knows("strftime_now") && !mentions(tokenizer, "strftime_now is defined")) {
    parts->rendering.today = kDay;
    parts->notices.push_back(fmt::format(
        "{}: names the day of its use: told is {}-{:02}-{:02}, always, so that the same "
        "chats are the same tokens on every day",
        parts->standard.where(), kDay.year, kDay.month, kDay.day));
  }
  if (auto fault = parts->try_out()) return *std::move(fault);
  return CheckpointTemplate(std::move(parts));
}

const std::string& CheckpointTemplate::where() const {
  return parts_->standard.where();
}

bool CheckpointTemplate::marks_answers() const {
  return parts_->standard.marks_answers();
}

bool CheckpointTemplate::knows_tools() const {
  return parts_->for_tools || parts_->standard.mentions("tools") ||
         parts_->standard.mentions("tool_calls");
}

bool CheckpointTemplate::knows_reasoning() const {
  return !parts_->reasoning.empty();
}

int32_t CheckpointTemplate::end_of_answer() const {
  return parts_->end;
}

int32_t CheckpointTemplate::start_of_turn() const {
  return parts_->start;
}

const std::vector<std::string>& CheckpointTemplate::notices() const {
  return parts_->notices;
}

bool CheckpointTemplate::takes_images(std::string_view pad) const {
  Chat chat = some_chat(ContentForm::parts, false);
  chat.messages[0].parts.insert(chat.messages[0].parts.begin(), ChatPart{.kind = PartKind::image});
  const auto text = Writing(*parts_, chat).beginning(chat.messages.size(), false);
  return text && has_plainly(*text) && text->find(pad) != std::string::npos;
}

std::optional<Fault> CheckpointTemplate::Parts::try_out() {
  std::optional<Fault> first;
  for (const bool with_tool : {false, true}) {  // some templates are of tools alone
    const auto works = [&](ContentForm form) {
      const Chat chat = some_chat(form, with_tool);
      auto written = Writing(*this, chat).write(chat.messages.size(), false);
      if (!written && !first) first = written.fault();
      return written && has_plainly(written->text);
    };
    takes_text = takes_parts = true;
    const bool text = works(ContentForm::text);
    takes_text = false;
    takes_parts = works(ContentForm::parts);
    takes_text = text;
    if (!takes_text && !takes_parts) continue;
    const Chat chat = some_chat(ContentForm::text, with_tool);
    Writing writing(*this, chat);
    const auto all = writing.beginning(2, false);
    const Beginnings beginnings{
        [&](size_t count, bool header) { return writing.beginning(count, header); },
        [&](size_t count) { return writing.with_some_answer(count); }};
    const auto span = answer_span(*all, chat.messages, 1, beginnings, tokenizer);
    if (!span || all->find(kSomeAnswer) < span->begin) break;
    if (const auto token = last_token(std::string_view(*all).substr(span->begin), tokenizer))
      end = token->id;
    // the token that opens every turn: it is in front of the question too
    const size_t question = all->find(kSomeQuestion);
    for (const TextPart& part : tokenizer.split_added(*all)) {
      const std::string_view mark =
          std::string_view(*all).substr(part.begin, part.end - part.begin);
      const bool opens = part.id >= 0 && part.begin > question && part.end <= span->begin &&
                         part.id != end && all->find(mark) < question;
      if (start < 0 && opens) start = part.id;
    }
    return std::nullopt;
  }
  if (first) return first;
  return Fault{
      standard.where(),
      "of a question and an answer, which are texts, it does not write both, or in a way "
      "in which the answer cannot be told from the rest",
      "mend the template, or take processor_config.extra_kwargs: {chat_template: builtin}"};
}

bool CheckpointTemplate::Parts::drops(const std::string& role, bool first, bool with_tools) const {
  const RoleTrials::Key key{role, first, with_tools};
  std::lock_guard lock(roles->mutex);
  const auto known = roles->drops.find(key);
  if (known != roles->drops.end()) return known->second;
  // As many as a data set has roles, unless they are no roles.
  if (roles->drops.size() == 1000) roles->drops.clear();
  return roles->drops[key] = try_role(role, first, with_tools);
}

bool CheckpointTemplate::Parts::try_role(const std::string& role, bool first,
                                         bool with_tools) const {
  const auto message = [](std::string of, std::string_view text) {
    return ChatMessage{.role = std::move(of),
                       .parts = {ChatPart{PartKind::text, std::string(text)}}};
  };
  const ChatMessage question = message("user", kSomeQuestion);
  const ChatMessage answer = message("assistant", kSomeAnswer);
  ChatMessage calls = message("assistant", "");
  calls.calls.push_back({"f", "{}", std::nullopt, "Qk3callZ9"});  // ids of nine letters: Mistral's
  ChatMessage turn = message(role, kSomeTurn);
  ChatMessage result = turn;
  result.name = "f";
  result.call_id = "Qk3callZ9";
  std::vector<std::vector<ChatMessage>> tries;
  if (first) {
    tries = {{turn, question, answer}, {turn, answer}};
  } else {
    tries = {{question, answer, turn, answer},
             {question, turn, answer},
             {question, calls, result, answer},
             {question, answer, question, turn, answer}};
  }
  bool dropped = false;
  for (std::vector<ChatMessage>& messages : tries) {
    Chat chat = some_chat(ContentForm::text, with_tools);
    chat.messages = std::move(messages);
    const auto text = Writing(*this, chat).beginning(chat.messages.size(), false);
    if (!text) continue;  // refused aloud
    if (text->find(kSomeTurn) != std::string::npos) return false;
    dropped = true;
  }
  return dropped;
}

std::optional<Fault> CheckpointTemplate::Parts::lost(const Chat& chat) const {
  const jinja::Template& jinja = of(chat);
  const auto fault = [&](std::string_view what) {
    return Fault{"",
                 fmt::format("{}, which the checkpoint's chat template ({}) would leave out", what,
                             jinja.where()),
                 "write their text into the contents, or take processor_config.extra_kwargs: "
                 "{chat_template: builtin}"};
  };
  const auto knows = [&](std::string_view name) { return jinja.mentions(name); };
  if (!chat.tools.empty() && !knows("tools")) return fault("has tools");
  for (const ChatMessage& message : chat.messages) {
    if (!message.calls.empty() && !knows("tool_calls")) return fault("has tool_calls");
    if (message.reasoning && !message.reasoning->empty() && reasoning.empty())
      return fault("has reasoning_content");
  }
  const bool with_tools = !chat.tools.empty();
  const bool adds_system =
      system && !system->empty() && (chat.messages.empty() || chat.messages[0].role != "system");
  if (adds_system && drops("system", /*first=*/true, with_tools))
    return fault("is to get a system turn");
  for (size_t i = 0; i < chat.messages.size(); ++i) {
    const ChatMessage& message = chat.messages[i];
    if (message.role == "assistant" || is_blank(message)) continue;
    if (!drops(message.role, i == 0, with_tools)) continue;
    return fault(fmt::format(
        "messages[{}] is a turn of role '{}'{}", i, message.role,
        i > 0 && !drops(message.role, true, with_tools) ? " that is not the first" : ""));
  }
  return std::nullopt;
}

namespace {

Fault untold(size_t answer, const std::string& jinja) {
  return {fmt::format("messages[{}]", answer),
          fmt::format("an answer that is not to be trained (train, weight), and the checkpoint's "
                      "chat template ({}) refuses the chat up to an answer of it, so that its "
                      "marks cannot be told from those of the others",
                      jinja),
          "make a record of each answer that is to be trained, or take "
          "processor_config.extra_kwargs: {chat_template: builtin}"};
}

}  // namespace

Result<CheckpointTemplate::Text> CheckpointTemplate::write(const Chat& chat) const {
  if (auto fault = parts_->lost(chat)) return *std::move(fault);
  Writing writing(*parts_, chat);
  auto whole = writing.write(chat.messages.size(), /*with_header=*/false);
  if (!whole) return whole.fault();
  Text out{.text = std::move(whole->text)};
  const Beginnings beginnings{
      [&](size_t count, bool header) { return writing.beginning(count, header); },
      [&](size_t count) { return writing.with_some_answer(count); }};
  out.marked = parts_->of(chat).marks_answers();
  const auto is_answer = [](const ChatMessage& message) { return message.role == "assistant"; };
  const bool all_trained = std::ranges::all_of(
      chat.messages, [&](const ChatMessage& m) { return !is_answer(m) || m.trained; });
  size_t marks = 0;  // of the messages before
  // Whether among those that the next message takes are marks of a trained answer before it.
  bool takes_trained = false;
  for (size_t i = 0; i < chat.messages.size(); ++i) {
    const ChatMessage& message = chat.messages[i];
    if (out.marked) {
      size_t until = whole->answers.size();
      if (!all_trained && i + 1 < chat.messages.size()) {
        const auto begun = writing.write(i + 1, false);
        const bool tells = begun.ok();
        if (is_answer(message) && !message.trained && (!tells || takes_trained))
          return untold(i, parts_->of(chat).where());
        takes_trained = !tells && (takes_trained || is_answer(message));
        if (!tells) continue;
        until = std::clamp(begun->answers.size(), marks, until);
      } else if (is_answer(message) && !message.trained && takes_trained) {
        return untold(i, parts_->of(chat).where());
      }
      const bool trained = !is_answer(message) || message.trained;
      for (; marks < until; ++marks)
        if (trained)
          out.targets.push_back({whole->answers[marks].begin, whole->answers[marks].end});
      continue;
    }
    if (!is_answer(message) || !message.trained) continue;
    if (const auto span = answer_span(out.text, chat.messages, i, beginnings, parts_->tokenizer)) {
      out.targets.push_back(*span);
    } else {
      ++out.rewritten;
    }
  }
  return out;
}

Result<std::optional<std::string>> CheckpointTemplate::learnt_answer(Chat chat) const {
  for (ChatMessage& message : chat.messages) message.trained = true;
  const auto whole = write(chat);
  if (!whole) return whole.fault();
  chat.messages.pop_back();
  const auto prompt = write_prompt(chat);
  if (!prompt) return prompt.fault();
  const std::string& text = whole->text;
  const auto differ = std::ranges::mismatch(text, *prompt).in1;
  const auto common = static_cast<size_t>(differ - text.begin());
  // Marks may begin before the end of a prompt, which has their beginning already.
  const size_t least = text.starts_with(*prompt) ? prompt->size() : 0;
  const auto& targets = whole->targets;
  const auto first = std::ranges::find_if(
      targets.end() - (whole->marked ? std::ssize(targets) : std::min(std::ssize(targets), 1L)),
      targets.end(), [&](const TextSpan& target) { return target.end > common; });
  if (first == targets.end()) return std::optional<std::string>();
  const size_t begin = std::max(first->begin, least);
  return std::optional(text.substr(begin, targets.back().end - begin));
}

Result<std::string> CheckpointTemplate::write_prompt(const Chat& chat) const {
  if (auto fault = parts_->lost(chat)) return *std::move(fault);
  auto written = Writing(*parts_, chat).write(chat.messages.size(), /*with_header=*/true);
  if (!written) return written.fault();
  return std::move(written->text);
}

}  // namespace lmms::text
