#pragma once
/// SIGINT, SIGTERM and SIGHUP (a closed terminal, unless nohup ignores it) ask what runs to come to
/// a good end: a training after its step, an answer after its token.
namespace lmms {

/// Installs the handlers for its lifetime; afterwards the defaults hold. A second SIGINT ends the
/// process at once.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  /// The signal that came, or 0.
  int received() const;

 private:
  bool hang_up_ = false;  ///< SIGHUP is handled
};

}  // namespace lmms
