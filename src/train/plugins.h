#pragma once
/// Opens plugins (train/plugin.h): shared libraries that the user names, by path, and nobody else.
#include <string>
#include <string_view>
#include <vector>

namespace lmms::train {

struct Registries;

/// What this program says of itself where a plugin says LMMS_PLUGIN_ABI.
std::string_view plugin_abi();

/// What differs between two such texts, "lmms 0.2.0 (here 0.1.0), compiler gcc 13 (here gcc 12)";
/// empty: nothing does.
std::string abi_difference(std::string_view plugin, std::string_view here);

/// Opens the library and adds what it registers, its path the origin. A library that is among
/// `registries.plugins` already adds nothing. It stays open until the process ends. `where`: where
/// the user names it. Throws Error: no such file, no plugin, a plugin for another program (none of
/// its code has run then), a library or symbol that it lacks, a name that is taken.
void load_plugin(const std::string& path, const std::string& where, Registries& registries);

}  // namespace lmms::train
