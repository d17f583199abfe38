#pragma once
/// Errors teach: where (file:line:key, or file:row of the data), what was wanted and what was
/// there, how to mend it.
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace lmms {

/// One thing that went wrong, in the words the user will read.
struct Fault {
  std::string where;  ///< "train.yaml:3:5", "chats.jsonl:18233", a path; may be empty
  std::string what;   ///< what was expected and what was there
  std::string fix;    ///< how to mend it; may be empty

  /// "where: what\n    fix: fix"
  std::string text() const;
};

/// Exit codes of the program.
enum class Exit : int { done = 0, failed = 1, bad_input = 2, interrupted = 3 };

/// Ends the run. `bad_input` for what the user can mend in config, data or checkpoint; `failed` for
/// the machine's troubles (a full disk, a lost device).
class Error : public std::runtime_error {
 public:
  explicit Error(Fault fault, Exit exit = Exit::bad_input)
      : std::runtime_error(fault.text()), fault_(std::move(fault)), exit_(exit) {}
  Error(std::string where, std::string what, std::string fix = "", Exit exit = Exit::bad_input)
      : Error(Fault{std::move(where), std::move(what), std::move(fix)}, exit) {}
  const Fault& fault() const { return fault_; }
  Exit exit() const { return exit_; }

 private:
  Fault fault_;
  Exit exit_;
};

/// A value, or an expected failure that the caller counts or reports (a rotten image, a missing
/// shard).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Fault fault) : state_(std::move(fault)) {}  // NOLINT: implicit on purpose
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const Fault& fault() const { return std::get<1>(state_); }
  /// The value; throws Error(fault) if there is none.
  T take() && {
    if (!ok()) throw Error(fault());
    return std::get<0>(std::move(state_));
  }

 private:
  std::variant<T, Fault> state_;
};

}  // namespace lmms
