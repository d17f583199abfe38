#pragma once
/// A conversation as it is laid out: turns of texts and media, tools, calls of them, reasoning.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lmms::text {

enum class PartKind : uint8_t { text, image, video, audio };

/// Pads in a row, and the text in front of them that the processor adds (the time of a frame).
struct PadRun {
  int32_t tokens = 1;
  std::string text{};
};

struct ChatPart {
  PartKind kind = PartKind::text;
  std::string text{};          ///< of a text part
  std::vector<PadRun> pads{};  ///< of a medium: what stands for it, at least one run
  /// Stands inside a text: a medium where its tag was, or the text that goes on behind one.
  bool in_text = false;
};

struct ToolCall {
  std::string name;
  std::string arguments;                 ///< a JSON object, as Python's json.dumps writes it
  std::optional<std::string> written{};  ///< the arguments of a record that has them as text
  std::optional<std::string> id{};
};

/// How a record has the content of a message; a checkpoint's own template may see the difference.
enum class ContentForm : uint8_t { text, parts, null, absent };

struct ChatMessage {
  std::string role;  ///< "tool": a result
  std::vector<ChatPart> parts;
  std::optional<std::string> reasoning{};  ///< of an answer, what was thought before it
  std::vector<ToolCall> calls{};           ///< of an answer, behind its text
  bool trained = true;                     ///< whether an answer is a target
  ContentForm content = ContentForm::text;
  std::optional<std::string> name{};     ///< who speaks, or the tool whose result it is
  std::optional<std::string> call_id{};  ///< of a result: the call that it answers
};

struct Chat {
  std::vector<std::string> tools;  ///< JSON objects, as Python's json.dumps writes them
  std::vector<ChatMessage> messages;
};

}  // namespace lmms::text
