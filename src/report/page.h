#pragma once
/// The report: one self-contained HTML page over one run or several.
#include <optional>
#include <span>
#include <string>

#include "report/run_files.h"

namespace lmms::report {

struct PageOptions {
  double now = 0;  ///< unix seconds that the page is as of
  /// Whether the first run is going on at this moment; without a value it is guessed from its files
  /// (they may be written by another process).
  std::optional<bool> running;
};

/// The page. Numbers go in as base64 columns of float32; everything from outside is escaped.
std::string render(std::span<const RunFiles> runs, const PageOptions& options);

}  // namespace lmms::report
