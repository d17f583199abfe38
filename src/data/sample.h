#pragma once
/// What a processor makes of a record: plain buffers, no tensors.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lmms::data {

/// Target of a position that is not trained (HF's ignore index).
inline constexpr int32_t kIgnore = -100;

/// Where a record came from.
struct Origin {
  std::shared_ptr<const std::string> file;
  int64_t row = 0;  ///< counted from 1, as editors and error messages do

  /// "chats.jsonl:18233"
  std::string text() const { return (file ? *file : std::string("?")) + ":" + std::to_string(row); }
};

struct TextPart {
  std::vector<int32_t> input_ids;  ///< [n]
  std::vector<int32_t>
      labels;  ///< [n], already shifted: labels[t] is the target of position t, or kIgnore
};

/// One training example. Parts of other modalities join it as they are built; `extras` is for
/// plugins.
struct Sample {
  Origin origin;
  TextPart text;
  std::map<std::string, std::vector<float>> extras;

  int64_t length() const { return static_cast<int64_t>(text.input_ids.size()); }
};

}  // namespace lmms::data
