#include "text/chat_template.h"

#include <algorithm>
#include <numeric>

#include "core/format.h"
#include "text/jinja_text.h"
#include "text/unicode/categories.h"
#include "text/unicode/utf8.h"

namespace lmms::text {
namespace {

std::string_view name_of(PartKind kind) {
  static constexpr std::string_view names[] = {"text", "image", "video", "audio"};
  return names[static_cast<size_t>(kind)];
}

std::string valid_utf8(std::string_view text) {
  return unicode::valid_prefix(text) == text.size() ? std::string(text)
                                                    : unicode::replace_invalid(text);
}

bool contains(std::span<const int32_t> ids, int32_t id) {
  return std::ranges::find(ids, id) != ids.end();
}

// As Python's str.strip sees it.
bool is_python_space(char32_t c) {
  return unicode::is_space(c) || (c >= 0x1c && c <= 0x1f);
}

/// Takes white space from the beginning of the first text and the end of the last, as if they were
/// one.
void trim(std::vector<ChatPart>& parts) {
  for (ChatPart& part : parts) part.text = valid_utf8(part.text);
  for (ChatPart& part : parts) {
    const char* begin = part.text.data();
    const char* const end = begin + part.text.size();
    for (const char* next = begin; begin < end; begin = next)
      if (!is_python_space(unicode::next(next))) break;
    part.text.erase(0, static_cast<size_t>(begin - part.text.data()));
    if (!part.text.empty()) break;
  }
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    size_t keep = 0;
    const char* at = part->text.data();
    const char* const end = at + part->text.size();
    while (at < end)
      if (!is_python_space(unicode::next(at))) keep = static_cast<size_t>(at - part->text.data());
    part->text.resize(keep);
    if (keep > 0) break;
  }
}

/// Every <|TOKEN|> in what a layout writes around turns, `start` and `end` first.
std::vector<std::string> special_tokens_of(const TurnLayout& layout) {
  std::vector<std::string> tokens{layout.start, layout.end};
  for (const std::string* written :
       {&layout.before_all, &layout.behind_role, &layout.behind_turn, &layout.answer_header}) {
    for (size_t begin = written->find("<|"); begin != std::string::npos;) {
      const size_t end = written->find("|>", begin);
      if (end == std::string::npos) break;
      tokens.push_back(written->substr(begin, end + 2 - begin));
      begin = written->find("<|", end + 2);
    }
  }
  return tokens;
}

}  // namespace

/// A rendered message. Places are byte offsets in `text`.
struct ChatTemplate::Turn {
  struct Pad {
    size_t begin;
    const ChatPart* medium;
    bool framed = false;  ///< the text has the tokens around it
  };
  struct Span {
    size_t begin, end;
  };
  std::string text;
  std::vector<Pad> pads{};
  std::vector<Span> targets{};  ///< apart from each other, in order
  bool with_edges = false;      ///< tokens that lie partly in a target are trained

  void add_target(size_t begin) {
    if (!targets.empty() && targets.back().end == begin) {
      targets.back().end = text.size();
    } else if (begin < text.size()) {
      targets.push_back({begin, text.size()});
    }
  }
};

const PadTokens& ChatTemplate::tokens_of(PartKind kind) const {
  const TurnLayout& layout = options_.layout;
  return kind == PartKind::image   ? layout.image
         : kind == PartKind::video ? layout.video
                                   : layout.audio;
}

std::vector<int32_t> LabelledIds::shifted_labels() const {
  std::vector<int32_t> labels(ids.size(), kIgnoredLabel);
  for (size_t t = 0; t + 1 < ids.size(); ++t) {
    if (trained[t + 1]) labels[t] = ids[t + 1];
  }
  return labels;
}

int64_t LabelledIds::trained_count() const {
  return std::accumulate(trained.begin(), trained.end(), int64_t{0});
}

Result<ChatTemplate> ChatTemplate::create(Tokenizer tokenizer, ChatOptions options) {
  ChatTemplate chat(std::move(tokenizer), std::move(options));
  const std::vector<AddedToken>& added = chat.tokenizer_.added_tokens();
  const TurnLayout& layout = chat.options_.layout;
  for (const std::string& marker : special_tokens_of(layout)) {
    const auto token = std::ranges::find(added, marker, &AddedToken::content);
    if (token == added.end()) {
      const bool has_llama3 = chat.tokenizer_.id("<|start_header_id|>").has_value();
      return Fault{
          "",
          fmt::format("the tokenizer has no added token '{}', which the chat layout needs", marker),
          !layout.is_chatml() ? "use a checkpoint that has it, or another processor_type"
          : has_llama3        ? "it has those of Llama 3: processor_type: llama3"
                       : "use a checkpoint with the ChatML tokens (Qwen2, Qwen2.5, Qwen3), or "
                         "processor_type: pure_text"};
    }
  }
  chat.special_ = chat.tokenizer_.all_special_ids();
  for (const std::string& marker : {layout.start, layout.end})
    chat.special_.push_back(*chat.tokenizer_.id(marker));
  std::ranges::sort(chat.special_);
  chat.find_pads();
  return chat;
}

ChatTemplate ChatTemplate::create(Tokenizer tokenizer, CheckpointTemplate own,
                                  ChatOptions options) {
  options.tools.tools = options.tools.reasoning = ToolLayout::Form::other;  // the template's
  ChatTemplate chat(std::move(tokenizer), std::move(options));
  chat.own_ = std::move(own);
  chat.find_pads();
  return chat;
}

void ChatTemplate::find_pads() {
  for (const PartKind kind : {PartKind::image, PartKind::video, PartKind::audio}) {
    if (const auto id = tokenizer_.id(tokens_of(kind).pad)) pads_.push_back(*id);
  }
}

Result<ChatTemplate::Turn> ChatTemplate::render(const ChatMessage& message,
                                                const std::string& where) const {
  if (!message.role.empty() && message.role == options_.layout.result_role) {
    return Fault{where,
                 fmt::format("a turn of role '{}', the result of a tool: not built yet in this "
                             "layout of chats",
                             message.role),
                 "leave such chats out, or write the result as text in a turn of the user"};
  }
  Turn turn;
  turn.text = fmt::format("{}{}{}", options_.layout.start, valid_utf8(message.role),
                          options_.layout.behind_role);
  const bool answers = message.role == "assistant" && message.trained;
  for (size_t i = 0; i < message.parts.size(); ++i) {
    const ChatPart& part = message.parts[i];
    size_t begin = turn.text.size();
    if (part.kind == PartKind::text) {
      std::string_view text = part.text;
      if (!part.in_text) turn.text += options_.layout.before_text;
      // The text behind a medium inside it: the line break between them is the layout's.
      const bool broken = part.in_text && i > 0 && message.parts[i - 1].kind != PartKind::text &&
                          options_.layout.behind_medium == "\n";
      if (broken && text.starts_with('\n')) text.remove_prefix(1);
      // in front of an answer it belongs to the header, as where generation begins
      if (turn.targets.empty()) begin = turn.text.size();
      turn.text += valid_utf8(text);
      if (answers) turn.add_target(begin);
      continue;
    }
    const PadTokens& medium = tokens_of(part.kind);
    const std::string here = fmt::format("{}.parts[{}]", where, i);
    if (!options_.media) {
      return Fault{here, fmt::format("the processor takes text only, got {}", name_of(part.kind)),
                   "choose a processor_type that reads media, or take the part out"};
    }
    for (const std::string* of : {&medium.pad, &medium.before, &medium.behind}) {
      const std::string& token = *of;
      if (token.empty() || tokenizer_.id(token)) continue;
      return Fault{here, fmt::format("the tokenizer has no '{}' for {}", token, name_of(part.kind)),
                   ""};
    }
    if (part.pads.empty() ||
        std::ranges::any_of(part.pads, [](const PadRun& run) { return run.tokens < 1; })) {
      return Fault{here, fmt::format("{} without a token", name_of(part.kind)), ""};
    }
    turn.pads.push_back({turn.text.size(), &part, false});
    turn.text += medium.pad;
    turn.text += options_.layout.behind_medium;
  }
  const size_t end = turn.text.size();
  turn.text += options_.layout.end;
  if (answers) turn.add_target(end);
  turn.text += options_.layout.behind_turn;
  return turn;
}

/// Tokenises a turn. An ordinary token is a target if all of it lies in a target span: generation
/// never asks for one that also ends the header.
std::optional<Fault> ChatTemplate::append(const Turn& turn, const std::string& where,
                                          Tokenizer::Scratch& scratch, LabelledIds& out) const {
  const auto put = [&out](int32_t id, bool trained, int32_t times = 1) {
    out.ids.insert(out.ids.end(), static_cast<size_t>(times), id);
    out.trained.insert(out.trained.end(), static_cast<size_t>(times), trained);
  };
  std::vector<int32_t> ids;
  const auto take_back = [&out] {
    out.ids.pop_back();
    out.trained.pop_back();
  };
  // What stands for a medium. The text of a run is tokenised by itself. Where the text has the
  // tokens around a medium, the one before it is written already and the one behind it will be.
  const auto put_medium = [&](const ChatPart& medium, bool framed) {
    const PadTokens& tokens = tokens_of(medium.kind);
    if (framed && !tokens.before.empty()) take_back();
    for (const PadRun& run : medium.pads) {
      ids.clear();
      tokenizer_.encode(run.text, scratch, ids);
      for (const int32_t id : ids) put(id, false);
      if (!tokens.before.empty()) put(*tokenizer_.id(tokens.before), false);
      put(*tokenizer_.id(tokens.pad), false, run.tokens);
      if (!tokens.behind.empty()) put(*tokenizer_.id(tokens.behind), false);
    }
    if (framed && !tokens.behind.empty()) take_back();
  };
  std::vector<Turn::Span> targets;
  for (const TextPart& part : tokenizer_.split_added(turn.text)) {
    if (part.id >= 0) {
      const auto pad = std::ranges::find(turn.pads, part.begin, &Turn::Pad::begin);
      const bool is_pad = options_.media && contains(pads_, part.id);
      if (is_pad && pad == turn.pads.end()) {
        return Fault{where,
                     fmt::format("a text contains '{}', which stands for a medium",
                                 *tokenizer_.token(part.id)),
                     "take it out of the text; media are parts of their own"};
      }
      const bool trained = std::ranges::any_of(turn.targets, [&](const Turn::Span& span) {
        return part.begin < span.end && span.begin < part.end;
      });
      if (is_pad) {
        put_medium(*pad->medium, pad->framed);
      } else {
        put(part.id, trained);
      }
      continue;
    }
    const std::string_view chunk =
        std::string_view(turn.text).substr(part.begin, part.end - part.begin);
    const size_t length = tokenizer_.normalize(chunk).size();
    // Where a place in the turn comes to lie in the normalised chunk. Before it stands a line break
    // or an added token, across which nothing composes.
    const auto place = [&](size_t at) {
      if (at <= part.begin) return size_t{0};
      return at >= part.end ? length
                            : tokenizer_.normalize(chunk.substr(0, at - part.begin)).size();
    };
    targets.clear();
    for (const Turn::Span& span : turn.targets)
      targets.push_back({place(span.begin), place(span.end)});
    ids.clear();
    tokenizer_.encode(chunk, scratch, ids);
    size_t begin = 0;
    for (const int32_t id : ids) {
      const size_t end = begin + tokenizer_.bytes(id).size();
      put(id, std::ranges::any_of(targets, [&](const Turn::Span& span) {
            return turn.with_edges ? begin < span.end && span.begin < end
                                   : span.begin <= begin && end <= span.end;
          }));
      begin = end;
    }
    if (begin != length && !targets.empty()) {
      return Fault{
          where, "the tokens do not spell this text, so that targets cannot be told from the rest",
          "use a tokenizer with all 256 bytes and without add_prefix_space"};
    }
  }
  return std::nullopt;
}

/// The Python project's labels of one turn, over those of append().
void ChatTemplate::relabel(const ChatMessage& message, size_t first, LabelledIds& out) const {
  const size_t header = options_.layout.header_tokens;
  const bool prompt = message.role == "user" || message.role == "system";
  for (size_t t = first; t < out.ids.size(); ++t) {
    const bool special = std::ranges::binary_search(special_, out.ids[t]);
    const bool pad = options_.media && contains(pads_, out.ids[t]);
    const bool learnt = prompt || message.trained;
    out.trained[t] = !learnt ? 0
                     : pad   ? options_.layout.trains_pads
                             : special || (!prompt && t >= first + header);
  }
}

Result<LabelledIds> ChatTemplate::encode(std::span<const ChatMessage> turns,
                                         std::span<const size_t> messages,
                                         Tokenizer::Scratch& scratch) const {
  if (turns.empty()) return Fault{"messages", "a conversation without a message", ""};
  const TurnLayout& layout = options_.layout;
  LabelledIds out;
  if (!layout.before_all.empty()) tokenizer_.encode(layout.before_all, scratch, out.ids);
  out.trained.assign(out.ids.size(), 0);
  const auto add = [&](const ChatMessage& message,
                       const std::string& where) -> std::optional<Fault> {
    const auto turn = render(message, where);
    if (!turn) return turn.fault();
    const size_t first = out.ids.size();
    if (auto fault = append(*turn, where, scratch, out)) return fault;
    if (options_.labels == LabelForm::lmms_engine) relabel(message, first, out);
    return std::nullopt;
  };
  // `opens`: a turn that begins the conversation, given or the layout's own.
  const auto add_in_layout = [&](const ChatMessage& message, bool opens,
                                 const std::string& where) -> std::optional<Fault> {
    const bool prefaced = opens && message.role == "system" && !layout.system_preface.empty();
    if (!layout.trims_texts && !prefaced) return add(message, where);
    ChatMessage turn = message;
    if (layout.trims_texts) trim(turn.parts);
    if (prefaced)
      turn.parts.insert(turn.parts.begin(), ChatPart{PartKind::text, layout.system_preface});
    return add(turn, where);
  };
  if (layout.default_system && turns[0].role != "system") {
    const ChatMessage system{"system", {ChatPart{PartKind::text, *layout.default_system}}};
    if (auto fault = add_in_layout(system, /*opens=*/true, "the default system turn"))
      return *fault;
  }
  for (size_t i = 0; i < turns.size(); ++i) {
    const std::string where = fmt::format("messages[{}]", messages.empty() ? i : messages[i]);
    if (auto fault = add_in_layout(turns[i], /*opens=*/i == 0, where)) return *fault;
  }
  return out;
}

Result<LabelledIds> ChatTemplate::encode_turns(std::span<const ChatMessage> turns,
                                               Tokenizer::Scratch& scratch) const {
  if (own_) return encode_own({{}, {turns.begin(), turns.end()}}, scratch);
  return encode(turns, {}, scratch);
}

Result<LabelledIds> ChatTemplate::encode(const Chat& chat, Tokenizer::Scratch& scratch) const {
  if (own_) return encode_own(chat, scratch);
  if (!has_tools(chat) && !has_reasoning(chat)) return encode(chat.messages, {}, scratch);
  const auto plain = plain_turns(chat, options_.tools, options_.layout.default_system);
  if (!plain) return plain.fault();
  return encode(plain->turns, plain->messages, scratch);
}

Result<std::vector<int32_t>> ChatTemplate::encode_prompt(const Chat& chat,
                                                         Tokenizer::Scratch& scratch) const {
  if (own_) {
    auto written = own_->write_prompt(chat);
    if (!written) return written.fault();
    auto ids = encode_own(chat, Turn{.text = *std::move(written)}, scratch);
    if (!ids) return ids.fault();
    return std::move(ids->ids);
  }
  auto prompt = encode(chat, scratch);
  if (!prompt) return prompt.fault();
  tokenizer_.encode(options_.layout.answer_header, scratch, prompt->ids);
  return std::move(prompt->ids);
}

Result<LabelledIds> ChatTemplate::encode_own(const Chat& chat, Tokenizer::Scratch& scratch) const {
  if (chat.messages.empty()) return Fault{"messages", "a conversation without a message", ""};
  auto written = own_->write(chat);
  if (!written) return written.fault();
  Turn turn{.text = std::move(written->text), .with_edges = written->marked};
  for (const TextSpan& span : written->targets) turn.targets.push_back({span.begin, span.end});
  auto ids = encode_own(chat, std::move(turn), scratch);
  if (ids) ids->rewritten = written->rewritten;
  return ids;
}

Result<LabelledIds> ChatTemplate::encode_own(const Chat& chat, Turn turn,
                                             Tokenizer::Scratch& scratch) const {
  if (options_.media) {
    if (auto fault = place_media(chat, turn)) return *std::move(fault);
  }
  LabelledIds out;
  if (auto fault = append(turn, "", scratch, out)) return *std::move(fault);
  return out;
}

/// The places that the template has for the media of a chat, in their order.
std::optional<Fault> ChatTemplate::place_media(const Chat& chat, Turn& turn) const {
  const std::vector<TextPart> parts = tokenizer_.split_added(turn.text);
  for (const PartKind kind : {PartKind::image, PartKind::video, PartKind::audio}) {
    const PadTokens& tokens = tokens_of(kind);
    std::vector<const ChatPart*> media;
    for (size_t m = 0; m < chat.messages.size(); ++m) {
      const std::vector<ChatPart>& of_message = chat.messages[m].parts;
      for (size_t p = 0; p < of_message.size(); ++p) {
        const ChatPart& part = of_message[p];
        const bool quotes =
            part.kind == PartKind::text && part.text.find(tokens.pad) != std::string::npos;
        if (quotes && tokenizer_.id(tokens.pad))
          return Fault{fmt::format("messages[{}].parts[{}]", m, p),
                       fmt::format("a text contains '{}', which stands for a medium", tokens.pad),
                       "take it out of the text; media are parts of their own"};
        if (part.kind == kind) media.push_back(&part);
      }
    }
    const auto pad = tokenizer_.id(tokens.pad);
    size_t placed = 0;
    for (const TextPart& part : parts) {
      if (part.id < 0 || part.id != pad) continue;
      if (placed == media.size()) {
        ++placed;
        break;
      }
      const std::string_view before = std::string_view(turn.text).substr(0, part.begin);
      const std::string_view behind = std::string_view(turn.text).substr(part.end);
      turn.pads.push_back({part.begin, media[placed++],
                           before.ends_with(tokens.before) && behind.starts_with(tokens.behind)});
    }
    if (placed != media.size()) {
      return Fault{
          "",
          fmt::format("the checkpoint's chat template ({}) has {} places '{}' for {} parts "
                      "of type {}",
                      own_->where(), placed > media.size() ? "more" : std::to_string(placed),
                      tokens.pad, media.size(), name_of(kind)),
          "leave such chats out, or take processor_config.extra_kwargs: {chat_template: "
          "builtin}"};
    }
  }
  return std::nullopt;
}

int32_t ChatTemplate::start_of_turn() const {
  if (own_) return own_->start_of_turn();
  return *tokenizer_.id(options_.layout.start);
}

int32_t ChatTemplate::end_of_turn() const {
  if (own_)
    return own_->end_of_answer() >= 0 ? own_->end_of_answer() : tokenizer_.eos().value_or(-1);
  return *tokenizer_.id(options_.layout.end);
}

LabelledIds encode_plain_text(const Tokenizer& tokenizer, std::string_view text, bool append_eos,
                              Tokenizer::Scratch& scratch) {
  LabelledIds out;
  out.ids = tokenizer.before_text();
  tokenizer.encode(text, scratch, out.ids);
  out.ids.insert(out.ids.end(), tokenizer.behind_text().begin(), tokenizer.behind_text().end());
  if (append_eos) {
    const auto eos = tokenizer.eos();
    if (!eos)
      throw Error("", "the tokenizer names no eos_token to append",
                  "set eos_token in its tokenizer_config.json");
    out.ids.push_back(*eos);
  }
  out.trained.assign(out.ids.size(), 1);
  return out;
}

}  // namespace lmms::text
