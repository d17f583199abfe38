#include "text/jinja/template.h"

#include <algorithm>

#include "core/format.h"
#include "text/jinja/lexer.h"
#include "text/jinja/renderer.h"
#include "text/jinja/strings.h"
#include "text/jinja/syntax.h"
#include "text/unicode/utf8.h"

namespace lmms::text::jinja {
namespace {

Fault fault_at(const SyntaxFault& fault, std::string_view source, const std::string& where) {
  const std::string_view before = source.substr(0, fault.at);
  const auto line = std::ranges::count(before, '\n') + 1;
  const size_t begin = before.rfind('\n') + 1;  // 0 on the first line
  return {fmt::format("{}:{}:{}", where, line, length(before.substr(begin)) + 1), fault.what,
          fault.fix};
}

}  // namespace

Result<Template> Template::parse(std::string_view source, const std::string& where) {
  constexpr size_t kLongest = size_t{4} << 20;
  if (source.size() > kLongest)
    return Fault{
        where,
        fmt::format("a chat template of {} bytes; at most {} are read", source.size(), kLongest),
        ""};
  auto syntax = std::make_shared<Syntax>();
  syntax->source = normalized_source(unicode::valid_prefix(source) == source.size()
                                         ? std::string(source)
                                         : unicode::replace_invalid(source));
  try {
    jinja::parse(*syntax);
  } catch (const SyntaxFault& fault) {
    return fault_at(fault, syntax->source, where);
  }
  return Template(std::move(syntax), where);
}

Result<Rendering> Template::render(std::span<const NamedValue> variables, const Options& options,
                                   const Limits& limits) const {
  try {
    return Renderer(*syntax_, variables, limits, options).run();
  } catch (const SyntaxFault& fault) {
    return fault_at(fault, syntax_->source, where_);
  }
}

bool Template::marks_answers() const {
  return syntax_->has_generation;
}

bool Template::mentions(std::string_view name) const {
  const auto is_name = [&](std::string_view text) { return text == name; };
  return std::ranges::any_of(syntax_->symbols, is_name) ||
         std::ranges::any_of(syntax_->strings, is_name) ||
         std::ranges::any_of(syntax_->expressions,
                             [&](const Expression& e) { return e.text == name; });
}

}  // namespace lmms::text::jinja
