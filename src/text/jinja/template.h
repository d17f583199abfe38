#pragma once
/// Jinja templates as transformers runs those of chats: with trim_blocks and lstrip_blocks, break
/// and continue, tojson, raise_exception, strftime_now and {% generation %}. They are data: a
/// template can make text of the values that it is given, and nothing else; its work and memory are
/// bounded.
///
/// Read are the statements, filters, tests and methods that templates of chats use, each as Jinja
/// and Python have it; anything else is a fault with line and column when the template is read.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/jinja/value.h"

namespace lmms::text::jinja {

/// What a rendering may take; beyond is a fault.
struct Limits {
  int64_t steps = 50'000'000;        ///< expressions, statements, characters that are looked at
  size_t output = size_t{64} << 20;  ///< bytes
  size_t memory = size_t{256} << 20;
  int depth = 400;  ///< of expressions, blocks and macros inside each other
};

struct Options {
  /// What strftime_now tells; nullopt: it is not defined.
  struct Date {
    int year, month, day;
  };
  std::optional<Date> today{};
};

struct Rendering {
  struct Span {
    size_t begin, end;  ///< bytes of `text`
  };
  std::string text;
  std::vector<Span> answers;  ///< what stands in {% generation %}
};

struct Syntax;

/// Immutable; may be rendered by many threads. Cheap to copy.
class Template {
 public:
  /// `where` names the file: faults are at "where:line:column".
  static Result<Template> parse(std::string_view source, const std::string& where);

  /// Values and their memory must stay while it renders.
  Result<Rendering> render(std::span<const NamedValue> variables, const Options& options = {},
                           const Limits& limits = {}) const;

  /// Whether it marks answers by {% generation %}.
  bool marks_answers() const;
  /// Whether a variable, attribute or text of the template has this name.
  bool mentions(std::string_view name) const;
  const std::string& where() const { return where_; }

 private:
  Template(std::shared_ptr<const Syntax> syntax, std::string where)
      : syntax_(std::move(syntax)), where_(std::move(where)) {}
  std::shared_ptr<const Syntax> syntax_;
  std::string where_;
};

}  // namespace lmms::text::jinja
