#pragma once
/// Record -> Sample: what a model family makes of a raw example.
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/media_kinds.h"
#include "data/record.h"
#include "data/sample.h"

namespace lmms::text {
class ChatTemplate;
}

namespace lmms::data {

/// What packing must know of a record before its media is decoded.
struct Measured {
  int64_t length = 0;           ///< Sample::length
  int64_t supervised = 0;       ///< targets that are trained
  MediaList<MediaGrids> media;  ///< of the kinds that it has
  /// The sample, where measuring had to make it; null where it is made later.
  std::shared_ptr<const Sample> sample;
  /// Whether `sample` is whole; else the values of its media are still to be decoded.
  bool decoded = true;
};

struct MediumView;  // media_format.h
enum class Pixels { none, decoded };

struct Conversation;  // conversation.h

/// Pure and thread-safe: the same record gives the same bits in any thread. What is wrong with a
/// record comes back as a Fault whose `where` is the record's origin.
class Processor {
 public:
  virtual ~Processor() = default;
  virtual Result<Measured> measure(const Record& record) const = 0;
  virtual Result<Sample> process(const Record& record) const = 0;
  /// A chat followed by the header of the assistant's turn, for generation. Nothing is a target.
  virtual Result<Sample> prompt(const Conversation& conversation) const = 0;
  /// The tokens that open and end a turn of a chat; nullopt: its samples have no turns.
  struct TurnTokens {
    int32_t start = 0, end = 0;
  };
  virtual std::optional<TurnTokens> turn_tokens() const { return std::nullopt; }
  /// What lays its chats out; nullptr: it makes none, or lays them out by itself.
  virtual const text::ChatTemplate* chat_template() const { return nullptr; }
  /// The images and videos of a record, in the order of their tokens, for people to look at;
  /// without pixels their `views` stay empty. None of what cannot be read.
  virtual std::vector<MediumView> view_media(const Record& record, Pixels pixels) const;
};

/// Measures a sample that is already made, and keeps it; `decoded`: with the values of its media.
Measured measure_sample(Sample sample, bool decoded = true);

/// Cuts a sample of text to its first `limit` tokens. The last kept position keeps its target: the
/// token that followed it.
void truncate(Sample& sample, int64_t limit);

}  // namespace lmms::data
