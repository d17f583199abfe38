#pragma once
/// An answer on its way from masks to tokens, drawn in place on a terminal.
#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace lmms::app {

/// What a draft is drawn on.
struct DraftScreen {
  std::function<void(std::string_view)> write;  ///< gets whole pictures
  std::function<int()> columns, rows;           ///< asked before every picture
  bool colour = true;
  std::chrono::milliseconds pause{30};  ///< between two pictures, at least
};

/// The terminal behind stdout.
DraftScreen terminal_screen();

/// Masks are dim blocks, what the last step settled is green. Of a text that is longer than the
/// screen a part is drawn, with its first mask in the middle. Under it stands how far it is.
class DraftView {
 public:
  DraftView(text::Tokenizer tokenizer, int32_t mask_id, std::vector<int32_t> stop_ids,
            DraftScreen screen)
      : tokenizer_(std::move(tokenizer)),
        mask_id_(mask_id),
        stop_ids_(std::move(stop_ids)),
        screen_(std::move(screen)) {}

  /// The same text, before the first step and behind each.
  void show(std::span<const int32_t> ids);
  /// Takes the picture away; the cursor is where it was before the first one.
  void clear();

 private:
  text::Tokenizer tokenizer_;
  int32_t mask_id_;
  std::vector<int32_t> stop_ids_;
  DraftScreen screen_;
  std::vector<int32_t> before_;  ///< ids of the picture that stands
  int64_t step_ = -1;
  size_t lines_ = 0;  ///< of the picture
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace lmms::app
