#pragma once
/// Things by name: what a config may ask for, and what makes it.
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/nearest.h"

namespace lmms {

/// The origin of what the program itself brings.
inline constexpr std::string_view kBuiltIn = "built in";

/// Name -> entry, in the order of their addition. T is what a name stands for: a factory (a
/// function pointer, a struct of them). It is filled by plain functions before it is used (from the
/// `.def` lists: no initialiser of a static object adds anything), then only read, by any number of
/// threads. References to entries stay valid while the registry lives.
template <class T>
class Registry {
 public:
  struct Entry {
    std::string name;
    std::string help;  ///< one line, for lists
    T value;
    std::string origin{kBuiltIn};  ///< or the path of the plugin that brought it
  };

  /// `kind`: what is registered, as errors call it: "optimiser".
  explicit Registry(std::string kind) : kind_(std::move(kind)) {}

  /// Throws Error that names both origins if the name is taken, and for an empty name.
  void add(Entry entry) {
    if (entry.name.empty())
      throw Error(entry.origin, "a " + kind_ + " without a name", "register it under one");
    if (const Entry* other = find_entry(entry.name)) {
      throw Error(entry.origin,
                  kind_ + " '" + entry.name + "' is registered already, by: " + other->origin,
                  "give one of the two another name");
    }
    entries_.push_back(std::move(entry));
  }
  void add(std::string name, std::string help, T value, std::string_view origin = kBuiltIn) {
    add(Entry{std::move(name), std::move(help), std::move(value), std::string(origin)});
  }

  /// What the name stands for; nullptr if it is not known.
  const T* find(std::string_view name) const {
    const Entry* entry = find_entry(name);
    return entry != nullptr ? &entry->value : nullptr;
  }
  /// The same; throws Error(where) that names the nearest known name, and all of them.
  const T& at(std::string_view name, const std::string& where) const {
    if (const T* found = find(name)) return *found;
    const auto near = nearest(name);
    std::string known;
    for (const Entry& entry : entries_) known += (known.empty() ? "" : ", ") + entry.name;
    throw Error(where,
                "unknown " + kind_ + " '" + std::string(name) + "'" +
                    (near ? "; did you mean '" + *near + "'?" : ""),
                "expected one of " + known);
  }
  /// The known name that the word was perhaps meant to be.
  std::optional<std::string> nearest(std::string_view word) const {
    std::vector<std::string> names;
    for (const Entry& entry : entries_) names.push_back(entry.name);
    return nearest_name(word, names);
  }

  /// In the order of their addition.
  const std::deque<Entry>& entries() const { return entries_; }
  const std::string& kind() const { return kind_; }

 private:
  const Entry* find_entry(std::string_view name) const {
    for (const Entry& entry : entries_)
      if (entry.name == name) return &entry;
    return nullptr;
  }

  std::string kind_;
  std::deque<Entry> entries_;  // references stay valid while entries are added
};

}  // namespace lmms
