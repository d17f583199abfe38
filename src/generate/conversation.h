#pragma once
/// Conversations that wait for an answer: from a record, a file, or a text with images.
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/conversation.h"
#include "media/image.h"
#include "text/tool_layout.h"

namespace lmms::generate {

/// Turns, of which the next is the assistant's.
struct Conversation : data::Conversation {
  /// The text of the assistant's turn that closed the record and was taken off.
  std::optional<std::string> expected = {};

  /// The text of the last turn that is not the assistant's.
  std::string question() const;
  /// Its images, videos and audio, in order.
  std::vector<const data::Part*> media() const;
};

/// The pixels of its images and of the first frame of its videos, at most `most`; those that cannot
/// be read are left out.
std::vector<media::Image> images_of(const Conversation& conversation, size_t most = 8);

/// An image or a video by its path or data: URL.
data::Part medium(data::Part::Kind kind, std::string source);
/// A user's turn: media, then the text.
data::Message user_message(std::vector<data::Part> media, std::string text);
/// The same with images alone (paths, data: URLs).
data::Message user_message(std::string text, const std::vector<std::string>& images = {});
data::Message text_message(std::string role, std::string text);

/// The text of the answer that a conversation ends with, as a model is to write it.
using AnswerText = std::function<Result<std::string>(const data::Conversation&)>;

/// As a layout of tools writes it.
std::string answer_text(const data::Conversation& conversation,
                        const text::ToolLayout& layout = {});

/// The conversation of a record (data::conversation_of), without an assistant's turn at its end,
/// which is expected as `expected` has it. A fault if nothing is left to answer.
Result<Conversation> conversation_to_answer(const data::Record& record,
                                            const AnswerText& expected = {});

/// The conversations of a file: JSONL or JSON with a record a line or entry, of any form that
/// training reads, or one list of {role, content}. Throws Error naming file and row.
std::vector<Conversation> read_conversations(const std::filesystem::path& file,
                                             const std::string& data_folder = "");

}  // namespace lmms::generate
