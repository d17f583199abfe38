#include "app/environment.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "core/home.h"

namespace lmms::app {

std::filesystem::path hub_cache() {
  const auto folder = [](const char* name) { return expand_home(name, home()).take(); };
  if (const char* cache = std::getenv("HF_HUB_CACHE")) return folder(cache);
  if (const char* home = std::getenv("HF_HOME")) return folder(home) + "/hub";
  return home().empty() ? "" : home() + "/.cache/huggingface/hub";
}

std::string home() {
  const char* home = std::getenv("HOME");
  return home != nullptr ? home : "";
}

Environment variables(std::span<const char* const> names) {
  Environment out;
  for (const char* name : names) {
    if (const char* value = std::getenv(name)) out[name] = value;
  }
  return out;
}

void refuse_many_ranks() {
  if (auto fault = launch_fault(variables(launch_variables()))) throw Error(*std::move(fault));
}

train::Place place() {
  train::Place place;
  place.hub_cache = hub_cache();
  place.local_rank = local_rank_of(variables(launch_variables())).take();
  place.home = home();
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) place.visible_devices = visible;
  return place;
}

bool wants_colour(std::FILE* stream) {
  const char* refused = std::getenv("NO_COLOR");  // no-color.org: set and not empty
  if (refused != nullptr && *refused != '\0') return false;
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return ::isatty(::fileno(stream)) == 1;
}

}  // namespace lmms::app
