#pragma once
/// Answers to the prompts of eval_generate, at an evaluation.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "train/config.h"
#include "train/data_setup.h"
#include "train/generation/prompting.h"

namespace lmms::train {

struct Answer {
  std::string prompt, text;
  int64_t tokens = 0;
  bool finished = false;  ///< the model ended it, not max_new_tokens
  /// What the row holds in its place, if it is known.
  std::optional<std::string> expected = {};
  int64_t row = 0;                         ///< of the evaluation set, from 1; 0: a prompt
  std::vector<std::string> pictures = {};  ///< of its images and videos, as `data:` URLs

  /// The expected text to the letter, white space around it aside.
  bool right() const;
};

/// Of the answers to which an expected one is known.
struct ExactCount {
  int64_t right = 0, asked = 0;

  double share() const { return static_cast<double>(right) / static_cast<double>(asked); }
};

struct Answers {
  /// To the prompts, to the first rows, and to the first of the other rows that are wrong.
  std::vector<Answer> shown;
  ExactCount exact;
  int64_t skipped_rows = 0;  ///< that could not be asked, under on_bad_sample: skip
};

/// What is asked at an evaluation: the prompts of eval_generate, and rows of the evaluation set
/// without their last answer.
class Questions {
 public:
  /// Lays out every prompt and the first rows (HeadLimit), so that what is wrong with them ends the
  /// run before its first step: throws Error.
  Questions(const LoadedConfig& loaded, const RunData& data, const models::Model& model);

  bool empty() const { return prompts_.empty() && rows_ == 0; }
  /// Images are decoded by threads, ahead of the device. Nothing if `stop` became true, which is
  /// asked before every token. Throws Error for a row that cannot be asked, where on_bad_sample
  /// says so.
  std::optional<Answers> ask(const ForwardModel& forward, const std::function<bool()>& stop) const;

 private:
  struct Asked;  // a conversation, with its place in the answers
  int64_t count() const { return static_cast<int64_t>(prompts_.size()) + rows_; }
  Result<Asked> question(int64_t index) const;
  void check(const LoadedConfig& loaded) const;
  Result<data::Sample> sample(const Conversation& conversation) const;

  EvalGenerate options_;
  Prompting prompting_;
  std::vector<Conversation> prompts_;
  std::shared_ptr<const data::Dataset> dataset_;  // of the rows
  int64_t rows_ = 0, batch_ = 1;
  uint64_t seed_ = 0;
  bool skip_bad_ = false;
  size_t threads_ = 1;
};

/// "How are you? -> Fine." in at most about 200 characters, for a line of the log.
std::string text_of(const Answer& answer);

}  // namespace lmms::train
