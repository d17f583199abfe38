#pragma once
/// The ranks (processes) of a run as threads talk through them: few and small messages of the host,
/// never tensors.
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace lmms {

/// One channel among all ranks, used by one thread of each. Its gathers are matched in order: the
/// k-th of one rank with the k-th of every other.
class Ranks {
 public:
  virtual ~Ranks() = default;
  /// This one, 0 <= rank() < count().
  virtual int32_t rank() const = 0;
  virtual int32_t count() const = 0;

  /// Gives `bytes`, and returns what every rank gave, in order of ranks. Waits until all have;
  /// their sizes may differ. Throws Error (Exit::failed) if a rank closed its channel before it
  /// gave, or doesn't come in time.
  virtual std::vector<std::string> gather(std::string_view bytes) = 0;

  /// Another channel among the same ranks, for another thread. Every rank opens it too: the k-th
  /// channel that a rank opens here under a name meets the k-th of the others. To be opened by the
  /// thread that uses this channel; it may outlive this one.
  virtual std::unique_ptr<Ranks> open_channel(std::string_view name) = 0;

  /// This rank gives nothing any more: its own gather that waits, later ones, and those of other
  /// ranks that it has not given to throw Error. May be called by any thread, and more than once;
  /// the destructor does it too.
  virtual void close() = 0;
};

/// A run of one process: nothing waits and nothing is copied twice.
class OneRank final : public Ranks {
 public:
  int32_t rank() const override { return 0; }
  int32_t count() const override { return 1; }
  std::vector<std::string> gather(std::string_view bytes) override { return {std::string(bytes)}; }
  std::unique_ptr<Ranks> open_channel(std::string_view) override {
    return std::make_unique<OneRank>();
  }
  void close() override {}
};

/// The value of every rank, in order of ranks. Throws as Ranks::gather does, and if another rank
/// gave a value of another size (it gathers something else: our own mistake).
template <class T>
requires std::is_trivially_copyable_v<T> std::vector<T> gather_values(Ranks& ranks,
                                                                      const T& value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  std::vector<T> values;
  for (const std::string& given : ranks.gather(bytes)) {
    if (given.size() != sizeof(T)) {
      throw Error("rank " + std::to_string(values.size()),
                  "gave " + std::to_string(given.size()) + " bytes where rank " +
                      std::to_string(ranks.rank()) + " gave " + std::to_string(sizeof(T)),
                  "all ranks must run the same program", Exit::failed);
    }
    std::memcpy(&values.emplace_back(), given.data(), sizeof(T));
  }
  return values;
}

}  // namespace lmms
