#pragma once
/// The preview in a terminal.
#include <string>

#include "inspect/preview/preview.h"

namespace lmms::inspect::preview {

struct Screen {
  bool colour = false;  ///< without it, trained tokens stand in ⟦brackets⟧
  int width = 100;      ///< columns
};

struct TerminalOptions {
  bool ids = false;  ///< a table of text, id, target and position of each token instead of the text
  bool full = false;  ///< long samples whole; else without their middle
};

/// Sources, samples, rows. Text of samples cannot steer the terminal.
std::string render_terminal(const Preview& preview, const Screen& screen,
                            const TerminalOptions& options);

}  // namespace lmms::inspect::preview
