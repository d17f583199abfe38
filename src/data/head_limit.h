#pragma once
/// How much of the data is looked at before a run begins.
#include <chrono>
#include <cstdint>

namespace lmms::data {

/// All of a small set, the beginning of a large one: what is wrong with every row, or with one of
/// the first, is found before anything is trained, and the start does not wait for the rest.
class HeadLimit {
 public:
  static constexpr int64_t kRows = 1024;
  static constexpr std::chrono::seconds kTime{1};

  bool reached(int64_t rows) const {
    return rows >= kRows || std::chrono::steady_clock::now() - begun_ > kTime;
  }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

}  // namespace lmms::data
