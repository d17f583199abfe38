#pragma once
/// What happens to records that cannot be trained as they are, and the account of it.
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/media_kinds.h"
#include "data/config.h"

namespace lmms::data {

struct Policies {
  OnBadSample on_bad_sample = OnBadSample::fail;
  OnOverlong on_overlong = OnOverlong::drop;
  /// Tokens of the longest sample; 0: no limit. With packing the row's length limits it too.
  int64_t max_length = 0;
  /// Patches of the largest sample, of kinds that have a limit. With packing a row's limits too.
  MediaCounts max_media{};
  /// Whether a record is trained for the targets of its text (next token); else one without a
  /// trained token, or without any text, is trained all the same, for its media.
  bool needs_targets = true;
};

/// Why a record was not trained. `empty` (no token) and `unsupervised` (no target that is trained,
/// where the objective needs one) are skipped under every policy: they could not change a gradient.
enum class SkipReason { bad, overlong, empty, unsupervised };
inline constexpr std::array kSkipReasons = {SkipReason::bad, SkipReason::overlong,
                                            SkipReason::empty, SkipReason::unsupervised};
std::string_view skip_reason_name(SkipReason reason);

/// How often something happened, with its first example.
struct Occurrences {
  int64_t count = 0;
  std::string first_where;  ///< "chats.jsonl:18233"
  std::string first_what;
  void add(const Fault& fault);
};

/// Counts since the start of training.
struct SkipCounts {
  std::array<Occurrences, kSkipReasons.size()> skipped;  ///< by SkipReason
  Occurrences truncated;                                 ///< trained, but cut

  int64_t total() const;  ///< skipped records
  Occurrences& of(SkipReason reason) { return skipped[static_cast<size_t>(reason)]; }
  const Occurrences& of(SkipReason reason) const { return skipped[static_cast<size_t>(reason)]; }
  /// "3 skipped: 2 overlong (first: a.jsonl:7: ...), 1 bad (...)"; empty if nothing happened.
  std::string text() const;
};

void to_json(nlohmann::json& json, const SkipCounts& counts);
/// Throws nlohmann::json::exception if `json` is not what to_json wrote.
void from_json(const nlohmann::json& json, SkipCounts& counts);

}  // namespace lmms::data
