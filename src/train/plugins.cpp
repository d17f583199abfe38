#include "train/plugins.h"

#include <dlfcn.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <optional>

#include "core/error.h"
#include "core/files.h"
#include "core/format.h"
#include "core/nearest.h"
#include "train/plugin.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = LMMS_PLUGIN_ABI_MARK;
constexpr const char* kGuide = "docs/guide/plugins.md shows how one is built";

/// The words between "; ", in their order.
std::vector<std::string_view> facts_of(std::string_view abi) {
  if (abi.starts_with(kMark)) abi.remove_prefix(kMark.size());
  std::vector<std::string_view> out;
  while (!abi.empty()) {
    const size_t end = std::min(abi.find("; "), abi.size());
    out.push_back(abi.substr(0, end));
    abi.remove_prefix(std::min(end + 2, abi.size()));
  }
  return out;
}

/// "compiler gcc 13" and "compiler gcc 12" are about the same: their first words are.
std::string_view subject_of(std::string_view fact) {
  constexpr std::string_view kOfSeveralWords[] = {"C++ ABI", "C++ standard", "std::string ABI"};
  for (std::string_view subject : kOfSeveralWords)
    if (fact.starts_with(subject)) return subject;
  return fact.substr(0, fact.find(' '));
}

/// The text behind the mark in a file of bytes, up to its 0; nullopt: it has none.
std::optional<std::string> abi_in(std::string_view bytes) {
  const size_t begin = bytes.find(kMark);
  if (begin == std::string_view::npos) return std::nullopt;
  constexpr size_t kLongest = 1000;
  std::string_view text = bytes.substr(begin, kLongest);
  text = text.substr(0, text.find('\0'));
  std::string out;
  for (const char c : text) out += c >= ' ' && c <= '~' ? c : '?';  // it goes into messages
  return out;
}

/// The absolute path of a file that is there.
fs::path find_library(const std::string& path, const std::string& where) {
  std::error_code none;
  if (fs::is_regular_file(path, none)) return fs::canonical(path);
  if (fs::exists(path, none)) {
    throw Error(where, fmt::format("'{}' is no file", path),
                "name the plugin's shared library itself, such as libmine.so");
  }
  const auto near = nearest_path(path);
  throw Error(where, fmt::format("there is no file '{}'", path),
              near ? fmt::format("did you mean '{}'?", *near)
                   : "build the plugin first; relative paths begin in the working directory");
}

/// Reads what the library says of itself; nothing of it is run.
void check_abi(const fs::path& library, const std::string& where) {
  const auto file = MappedFile::open(library);
  if (!file) throw Error(where, file.fault().text());
  const std::string_view bytes = file->text();
  if (!bytes.starts_with("\x7f"
                         "ELF")) {
    throw Error(where, fmt::format("'{}' is no shared library", library.string()), kGuide);
  }
  const auto abi = abi_in(bytes);
  if (!abi) {
    throw Error(where,
                fmt::format("'{}' is no plugin: it has no lmms_plugin_abi", library.string()),
                "write LMMS_PLUGIN(registries) {...} of train/plugin.h in one of its files");
  }
  const std::string difference = abi_difference(*abi, plugin_abi());
  if (difference.empty()) return;
  throw Error(where,
              fmt::format("'{}' is a plugin for another program: {}", library.string(), difference),
              "build it again with this program's compiler and the headers that were installed "
              "with it: find_package(lmms)");
}

/// Opens it for the life of the process.
void* open_library(const fs::path& library, const std::string& where) {
  if (void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
  const char* text = ::dlerror();
  const std::string trouble = text != nullptr ? text : "no reason is given";
  const bool symbol = trouble.find("undefined symbol") != std::string::npos;
  throw Error(where, fmt::format("'{}' cannot be opened: {}", library.string(), trouble),
              symbol ? "link it with what defines the symbol; the program's own are lmms::lmms of "
                       "find_package(lmms), and what is in no header is for the program alone"
                     : "install what it is linked with, or name its folder in the plugin's run "
                       "path");
}

using RegisterFunction = void (*)(Registries&);

RegisterFunction find_register(void* handle, const fs::path& library, const std::string& where) {
  auto* found = reinterpret_cast<RegisterFunction>(::dlsym(handle, "lmms_register"));
  if (found != nullptr) return found;
  throw Error(where, fmt::format("'{}' is no plugin: it has no lmms_register", library.string()),
              "write LMMS_PLUGIN(registries) {...} of train/plugin.h in one of its files");
}

/// What the library adds, in registries of its own.
Registries added_by(RegisterFunction add, const fs::path& library, const std::string& where) {
  Registries added;
  try {
    add(added);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Error(where, fmt::format("'{}': lmms_register failed: {}", library.string(), e.what()));
  }
  return added;
}

template <class T>
void move_into(const Registry<T>& from, const std::string& origin, Registry<T>& into) {
  for (auto entry : from.entries()) {
    entry.origin = origin;
    into.add(std::move(entry));
  }
}

/// Entries that know their name must be registered under it.
void check_name(const std::string& origin, const std::string& kind, const std::string& name,
                const char* own) {
  if (own != nullptr && name == own) return;
  throw Error(origin,
              fmt::format("{} '{}' is registered as '{}'", kind, own != nullptr ? own : "", name),
              "register it under its own name");
}

void take_over(const Registries& added, const std::string& origin, Registries& into) {
  for (const auto& entry : added.models.entries())
    check_name(origin, "model_type", entry.name, entry.value.model_type);
  for (const auto& entry : added.processors.entries())
    check_name(origin, "processor_type", entry.name, entry.value.processor_type);
  for (const auto& entry : added.models.entries()) {
    if (entry.value.make != nullptr && entry.value.processor != nullptr) continue;
    throw Error(origin, "the model '" + entry.name + "' has no make, or no processor",
                "name both in its ModelEntry; models::chat_processor serves chats of text");
  }
  move_into(added.models, origin, into.models);
  move_into(added.processors, origin, into.processors);
  move_into(added.datasets, origin, into.datasets);
  move_into(added.objectives, origin, into.objectives);
  move_into(added.optimizers, origin, into.optimizers);
  move_into(added.schedules, origin, into.schedules);
  move_into(added.patches, origin, into.patches);
  move_into(added.metric_sinks, origin, into.metric_sinks);
  for (const auto& entry : added.models.entries()) {  // what a model brings is a processor too
    const models::ProcessorEntry& own = entry.value.processor();
    if (into.processors.find(own.processor_type) == nullptr)
      into.processors.add(own.processor_type, "", own, origin);
  }
}

}  // namespace

std::string_view plugin_abi() {
  return LMMS_PLUGIN_ABI;
}

std::string abi_difference(std::string_view plugin, std::string_view here) {
  const std::vector<std::string_view> theirs = facts_of(plugin);
  std::string out;
  for (std::string_view ours : facts_of(here)) {
    const std::string_view subject = subject_of(ours);
    const auto same_subject = [&](std::string_view fact) { return subject_of(fact) == subject; };
    const auto found = std::find_if(theirs.begin(), theirs.end(), same_subject);
    if (found != theirs.end() && *found == ours) continue;
    const std::string_view value = ours.substr(std::min(subject.size() + 1, ours.size()));
    out += (out.empty() ? "" : ", ") +
           fmt::format("{} (here {})",
                       found != theirs.end() ? std::string(*found) : fmt::format("{} ?", subject),
                       value);
  }
  return out;
}

void load_plugin(const std::string& path, const std::string& where, Registries& registries) {
  const fs::path library = find_library(path, where);
  std::vector<std::string>& loaded = registries.plugins;
  if (std::find(loaded.begin(), loaded.end(), library.string()) != loaded.end()) return;
  check_abi(library, where);
  void* handle = open_library(library, where);
  const RegisterFunction add = find_register(handle, library, where);
  take_over(added_by(add, library, where), path, registries);
  loaded.push_back(library.string());
}

}  // namespace lmms::train
