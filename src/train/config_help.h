#pragma once
/// What `lmms help KEY` says of a key of the config, and the keys for whoever completes words.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/schema.h"

namespace lmms::train {

struct Registries;
/// What the program itself brings.
const Registries& built_in_registries();

/// Every key of the config in its order; the names that it may have are of `registries`, which must
/// outlive them.
std::vector<config::FieldText> config_keys(const Registries& registries = built_in_registries());

/// The page of the guide that tells most about a key: "docs/guide/data.md".
std::string_view guide_page(std::string_view key);

/// Type, default, legal values, meaning, place and page of what `word` names: a key with its
/// section or without, in the spelling of another program too, a section, or a name that some key
/// takes. A text for `width` columns. Throws Error with the nearest names; `commands` are among
/// them.
std::string explain_word(std::string_view word, std::span<const std::string> commands, int width,
                         const Registries& registries = built_in_registries());

/// Every key that this program obeys, a line each.
std::string list_keys(int width);

}  // namespace lmms::train
