#pragma once
/// What all ranks of a run decide together: each says what it wants, all come to the same answer,
/// and then they act. Every rank asks the same questions in the same order. With one rank nothing
/// is exchanged.
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/ranks.h"

namespace lmms::step {

/// How a try that found no memory is followed by another one.
struct Retries {
  /// On the lowest rank that found none: what all ranks change, in words that `change` reads;
  /// nullopt: nothing is left to change.
  std::function<std::optional<std::string>()> propose;
  /// On every rank, before the next try.
  std::function<void(const std::string& proposal)> change;
  /// On a rank that found none, where nothing was left: throws what ends the run.
  std::function<void(const std::string& cause)> give_up;
};

class ControlPlane {
 public:
  /// `ranks` must outlive it; its channel belongs to the thread that asks.
  explicit ControlPlane(Ranks& ranks) : ranks_(ranks) {}

  int32_t rank() const { return ranks_.rank(); }
  int32_t count() const { return ranks_.count(); }

  /// What a rank wants before a step, least first.
  enum class Wish : char { go_on = 'g', enough = 'e', stop = 's' };
  enum class Next {
    step,    ///< train the batch that each rank has
    stop,    ///< a rank is asked to stop, and the run goes on later
    enough,  ///< a rank has seen enough of its evaluations: the run is at its end
    end,     ///< the data are at their end
  };
  /// Before a step. Throws Error where some ranks have data and others have none.
  Next before_step(Wish wish, bool has_batch);

  /// Whether it is true on any rank.
  bool any(bool here);
  /// Sums over the ranks, in their order: the same bits on all of them.
  std::vector<double> sums(std::span<const double> here);

  /// Calls `work` until no rank throws c10::OutOfMemoryError, on all ranks as often as on the one
  /// that needs it most. Where one is left without memory all ranks throw. `work` asks nothing
  /// here: it may end anywhere on one rank alone, and a question inside it would meet another one
  /// of the others. Every question throws std::logic_error while it runs.
  void until_memory_suffices(const std::function<void()>& work, const Retries& retries);

  /// The last word of a rank that fails: where the others ask next, they throw an Error that names
  /// it. Never throws.
  void fail(std::string_view reason) noexcept;

 private:
  /// What kind of question is asked, so that ranks that have lost each other notice.
  enum class Question : char { next = 'n', any = 'a', sums = 's', memory = 'm' };
  std::vector<std::string> exchange(Question question, const std::string& answer);
  void refuse_inside_work() const;

  Ranks& ranks_;
  bool working_ = false;  // until_memory_suffices calls its work
  bool over_ = false;     // a rank has failed, and all know it
};

}  // namespace lmms::step
