#pragma once
/// A signal that asks a run to stop, and the word that the user gets at once.
#include <cstdint>
#include <mutex>
#include <string>

#include "core/signals.h"

namespace lmms::train {

/// What a run is busy with.
struct Activity {
  enum class Kind {
    waiting,     ///< between steps, for data
    step,        ///< in `step`
    evaluation,  ///< after `step`
    saving,      ///< `step`
    finishing    ///< the last step is done and saved: the final model is written
  };
  Kind kind = Kind::waiting;
  int64_t step = 0;   ///< the one it is in; between steps the last
  int64_t saved = 0;  ///< of the newest checkpoint; 0: there is none
};

/// "Ctrl-C: finishing step 12, then saving. A second Ctrl-C ends at once, without the steps after
/// checkpoint-10".
std::string stop_text(int signal, const Activity& activity);

/// Hears signals while it lives (core/signals.h) and tells the user at once, in the middle of a
/// step too, what happens now.
class Interruption {
 public:
  explicit Interruption(int64_t saved_step);
  /// The signal that came, or 0.
  int received() const { return signals_.received(); }
  void now(Activity::Kind kind, int64_t step);
  void saved(int64_t step);

 private:
  void tell(int signal);

  std::mutex mutex_;
  Activity activity_;
  StopSignals signals_;  // last: it tells of what stands before it
};

}  // namespace lmms::train
