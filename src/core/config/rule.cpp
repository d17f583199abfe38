#include "core/config/rule.h"

#include <cmath>

#include "core/format.h"

namespace lmms::config {

Rule Rule::at_least(double value) const {
  Rule rule = *this;
  rule.bounds.least = value;
  return rule;
}

Rule Rule::more_than(double value) const {
  Rule rule = at_least(value);
  rule.bounds.least_open = true;
  return rule;
}

Rule Rule::at_most(double value) const {
  Rule rule = *this;
  rule.bounds.most = value;
  return rule;
}

Rule Rule::less_than(double value) const {
  Rule rule = at_most(value);
  rule.bounds.most_open = true;
  return rule;
}

Rule Rule::one_of(std::span<const Name> known) const {
  Rule rule = *this;
  rule.names.assign(known.begin(), known.end());
  return rule;
}

Rule Rule::one_of(std::initializer_list<std::string_view> known) const {
  Rule rule = *this;
  for (std::string_view name : known) rule.names.push_back({name, Built::built, ""});
  return rule;
}

Rule Rule::only(std::initializer_list<std::string_view> built) const {
  Rule rule = *this;
  rule.built_only = built;
  return rule;
}

Rule Rule::keys(std::initializer_list<std::string_view> keys) const {
  Rule rule = *this;
  rule.known_keys = keys;
  return rule;
}

Rule Rule::extended_by(std::string_view kind) const {
  Rule rule = *this;
  rule.extension = kind;
  return rule;
}

Rule Rule::with(const MoreNames* more) const {
  Rule rule = *this;
  if (more == nullptr || extension.empty()) return rule;
  const auto found = more->find(extension);
  if (found == more->end()) return rule;
  for (const Name& name : found->second) {
    if (!known_keys.empty()) rule.known_keys.push_back(name.name);
    if (names.empty()) continue;
    // What a plugin brings is built, also where the list has the name for later.
    std::erase_if(rule.names, [&](const Name& known) { return known.name == name.name; });
    rule.names.push_back(name);
  }
  return rule;
}

Rule Rule::or_null() const {
  Rule rule = *this;
  rule.nullable = true;
  return rule;
}

Rule Rule::required() const {
  Rule rule = *this;
  rule.is_required = true;
  return rule;
}

Rule Rule::single_or_list() const {
  Rule rule = *this;
  rule.takes_single = true;
  return rule;
}

Rule Rule::path() const {
  Rule rule = *this;
  rule.is_path = true;
  return rule;
}

Rule Rule::or_file() const {
  Rule rule = *this;
  rule.takes_file = true;
  return rule;
}

Rule Rule::optional_prefix(std::string_view prefix) const {
  Rule rule = *this;
  rule.prefix = prefix;
  return rule;
}

bool Rule::Bounds::hold(double value) const {
  return (least_open ? value > least : value >= least) &&
         (most_open ? value < most : value <= most);
}

std::string Rule::Bounds::text() const {
  const bool below = std::isfinite(least);
  const bool above = std::isfinite(most);
  if (below && above)
    return fmt::format(" in {}{}, {}{}", least_open ? '(' : '[', least, most,
                       most_open ? ')' : ']');
  if (below) return fmt::format(" {} {}", least_open ? ">" : ">=", least);
  if (above) return fmt::format(" {} {}", most_open ? "<" : "<=", most);
  return "";
}

std::string listed(std::span<const Name> names) {
  std::string out;
  for (const Name& name : names) {
    if (!out.empty()) out += ", ";
    out += name.name;
  }
  return out;
}

std::string listed(std::span<const std::string_view> names) {
  std::string out;
  for (std::string_view name : names) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

}  // namespace lmms::config
