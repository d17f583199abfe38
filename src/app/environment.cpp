#include "app/environment.h"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "core/home.h"
#include "core/terminal.h"

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

std::filesystem::path state_folder() {
  const char* folder = std::getenv("XDG_STATE_HOME");
  if (folder != nullptr && *folder == '/') return folder;  // a relative one is to be passed over
  return home().empty() ? "" : home() + "/.local/state";
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
  if (const char* device = std::getenv("LMMS_DEVICE"))
    place.cpu_asked = std::string_view(device) == "cpu";
  if (const char* trouble = std::getenv("LMMS_CUDA_TROUBLE")) place.cuda_trouble = trouble;
  return place;
}

bool wants_colour(std::FILE* stream) {
  const char* refused = std::getenv("NO_COLOR");  // no-color.org: set and not empty
  if (refused != nullptr && *refused != '\0') return false;
  return draws_in_place(stream);
}

bool draws_in_place(std::FILE* stream) {
  const char* terminal = std::getenv("TERM");
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return ::isatty(::fileno(stream)) == 1;
}

int columns_of(std::FILE* stream, int otherwise) {
  if (const char* set = std::getenv("COLUMNS")) {
    const std::string_view text = set;
    int columns = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), columns);
    if (error == std::errc() && end == text.end() && columns > 0) return columns;
  }
  return terminal_columns(::fileno(stream), otherwise);
}

}  // namespace lmms::app
