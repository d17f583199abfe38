#pragma once
/// The preview as one HTML page.
#include <string>

#include "inspect/preview/preview.h"

namespace lmms::inspect::preview {

/// A self-contained page with every token of every sample: text, id, position, target and bytes. No
/// network; nothing of the data is read as HTML or as a script.
std::string render_page(const Preview& preview);

}  // namespace lmms::inspect::preview
