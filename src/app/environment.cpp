#include "app/environment.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace lmms::app {

std::filesystem::path hub_cache() {
  if (const char* cache = std::getenv("HF_HUB_CACHE")) return cache;
  if (const char* home = std::getenv("HF_HOME")) return std::filesystem::path(home) / "hub";
  if (const char* home = std::getenv("HOME"))
    return std::filesystem::path(home) / ".cache/huggingface/hub";
  return {};
}

train::Place place() {
  const char* rank = std::getenv("LOCAL_RANK");
  return {hub_cache(), rank != nullptr ? std::atoi(rank) : 0};
}

bool wants_colour(std::FILE* stream) {
  const char* refused = std::getenv("NO_COLOR");  // no-color.org: set and not empty
  if (refused != nullptr && *refused != '\0') return false;
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return ::isatty(::fileno(stream)) == 1;
}

}  // namespace lmms::app
