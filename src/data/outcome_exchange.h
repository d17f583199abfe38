#pragma once
/// Records that all ranks measure together: each its share, and everybody learns of all.
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/ranks.h"
#include "data/sample_reader.h"

namespace lmms::data {

/// What ranks give each other at one place of the loader: the first byte of a message.
enum class ExchangeTag : char {
  start = 's',     ///< before the first step
  outcomes = 'o',  ///< OutcomeExchange
  failure = 'f'    ///< agree_on_failure
};

/// Ranks::gather of messages under a tag. Throws as it does, and Error (Exit::failed) if a rank is
/// at another place of the loader.
std::vector<std::string> gather_tagged(Ranks& ranks, ExchangeTag tag, std::string_view message);

/// Ranks ask for the same records in the same order, and take their outcomes in one order too.
/// What was asked for is exchanged when the first outcome of it is taken: descriptors of some
/// dozens of bytes, while what is asked for next is being measured. Used by one thread.
class OutcomeExchange {
 public:
  using Measure = std::function<std::future<Outcome>(int64_t ordinal)>;
  /// `ranks` must outlive it; `measure` begins with a record of this rank's share.
  OutcomeExchange(Ranks& ranks, Measure measure) : ranks_(ranks), measure_(std::move(measure)) {}

  /// Asks for the record at `ordinal`, which rank `owner` measures. The future waits where get()
  /// is called, and must not outlive this object. What measuring throws comes out as a fatal
  /// outcome, on every rank; get() throws what gather_tagged does.
  std::future<Outcome> ask(int64_t ordinal, int32_t owner);

 private:
  struct Asked {
    int32_t owner = 0;
    std::future<Outcome> mine;  ///< of the owner
  };
  Outcome take(int64_t number);
  void exchange();

  Ranks& ranks_;
  Measure measure_;
  std::vector<Asked> asked_;                  ///< not exchanged yet, the oldest first
  std::deque<std::optional<Outcome>> known_;  ///< exchanged, from number first_ on; taken: empty
  int64_t first_ = 0;
};

/// The Error that every rank throws if one of them failed: the first one's, by rank. `failure`: of
/// this rank, or null. Throws as gather_tagged does.
std::exception_ptr agree_on_failure(Ranks& ranks, const std::exception_ptr& failure);

}  // namespace lmms::data
