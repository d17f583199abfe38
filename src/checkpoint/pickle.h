#pragma once
/// Python's pickles as data: what a pickle would build, as a tree. Nothing is imported, called or
/// run, whatever the bytes say.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace lmms::checkpoint {

/// A value of a pickle. Values point at each other and may do so in circles.
struct PickleValue {
  enum class Kind : uint8_t {
    none,
    boolean,  ///< integer: 0 or 1
    integer,  ///< of 64 bits
    real,
    text,  ///< bytes too
    list,  ///< sets too
    tuple,
    dict,        ///< items: key, value, key, value, ...
    global,      ///< text: "module name"
    call,        ///< of global `text` with the tuple `arguments`; items: what was put into it
    persistent,  ///< items[0]: the id that stands for a thing outside of the pickle
  };
  Kind kind = Kind::none;
  int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<PickleValue*> items;
  PickleValue* arguments = nullptr;
  PickleValue* state = nullptr;  ///< of a call: what __setstate__ would get

  bool is(Kind other) const { return kind == other; }
  bool calls(std::string_view global) const { return kind == Kind::call && text == global; }
  /// The value of a key that is a text, in a dict or a call that was filled like one; nullptr.
  const PickleValue* find(std::string_view key) const;
};

/// Owns its values; moving it keeps pointers valid.
struct Pickle {
  std::deque<PickleValue> values;
  const PickleValue* top = nullptr;
};

/// Reads protocols 2 to 5, as torch and Python's pickle module write them by default. `knows`: the
/// globals ("collections OrderedDict") that may stand in it; another is a fault that names it. Any
/// bytes are safe: time and memory are bounded by their number.
Result<Pickle> parse_pickle(std::span<const std::byte> bytes, const std::string& where,
                            const std::function<bool(std::string_view)>& knows);

}  // namespace lmms::checkpoint
