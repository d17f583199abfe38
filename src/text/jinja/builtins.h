#pragma once
/// Filters, tests, methods and functions: all that a template can call. None of them reaches
/// outside the values that it is given.
#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace lmms::text::jinja {

class Renderer;

/// One call: of a filter or test `self` is what it is applied to, of a method its object.
struct Call {
  Renderer& renderer;
  std::string_view name;
  Value self;
  std::span<const Value> arguments;
  std::span<const NamedValue> named;

  /// Arguments by their parameters' names; null: not given. Ends rendering for too many and unknown
  /// ones.
  template <size_t N>
  std::array<const Value*, N> bind(const std::string_view (&parameters)[N]) const {
    std::array<const Value*, N> out{};
    bind(parameters, out);
    return out;
  }
  void take_none() const { bind({}, {}); }
  [[noreturn]] void fail(std::string what, std::string fix = "") const;

 private:
  void bind(std::span<const std::string_view> parameters, std::span<const Value*> out) const;
};

struct Builtin {
  std::string_view name;
  Value (*run)(const Call& call);
};

/// nullptr: there is none of this name.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
/// Of Kind::string, list, tuple and dict; the others have none.
const Builtin* find_method(Kind object, std::string_view name);
const Builtin* find_function(std::string_view name);

std::vector<std::string> filter_names();
std::vector<std::string> test_names();

/// Whether Python's type has a method of this name that is not among those above, so that it hides
/// a key of a dict.
bool is_other_method(Kind object, std::string_view name);

}  // namespace lmms::text::jinja
