#pragma once
/// Record -> Sample: what a model family makes of a raw example.
#include <cstdint>
#include <memory>
#include <vector>

#include "core/error.h"
#include "core/patch_grid.h"
#include "data/record.h"
#include "data/sample.h"

namespace lmms::data {

/// What packing must know of a record before its media is decoded.
struct Measured {
  int64_t length = 0;            ///< tokens of the sample
  int64_t supervised = 0;        ///< targets that are trained
  std::vector<PatchGrid> grids;  ///< of its images and videos
  /// The sample itself where measuring had to make it (text); null where it is made later (media).
  std::shared_ptr<const Sample> sample;
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
  /// The images and videos of a record, in the order of their tokens, for people to look at;
  /// without pixels `sights` stay empty. None of what cannot be read.
  virtual std::vector<MediumView> look(const Record& record, Pixels pixels) const;
};

/// Measures a sample of text that is already made, and keeps it.
Measured measure_text(Sample sample);

/// Cuts a sample of text to its first `limit` tokens. The last kept position keeps its target: the
/// token that followed it.
void truncate(Sample& sample, int64_t limit);

}  // namespace lmms::data
