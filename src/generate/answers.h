#pragma once
/// Answers during training: to prompts, and to rows of the evaluation set.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/config/value.h"
#include "data/dataset.h"
#include "generate/prompting.h"
#include "step/forward_model.h"

namespace lmms::generate {

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

/// A text (the user's turn, or plain to be continued), {image: FILE or a list of them, text: ...},
/// or a chat in any form of a data row.
struct PromptValue {
  config::Value value;
  std::string where;  ///< it stands in the config
};

/// What is asked, and how it is answered.
struct QuestionOptions {
  std::vector<PromptValue> prompts;
  /// The first so many rows of it are prompts too, without their last answer. Null: none.
  std::shared_ptr<const data::Dataset> dataset;
  int64_t rows = 0;
  GenerationOptions generation;  ///< stop_ids are the prompting's
  int64_t batch = 1;             ///< sequences that are generated together
  bool skip_bad = false;         ///< a row that cannot be asked is counted and left out
  size_t threads = 1;            ///< that decode images
};

/// What is asked at every evaluation.
class Questions {
 public:
  /// Makes samples of every prompt and of the first rows (HeadLimit), so that what is wrong with
  /// them ends the run before its first step: throws Error.
  Questions(QuestionOptions options, Prompting prompting);

  bool empty() const { return count() == 0; }
  /// Images are decoded by threads, ahead of the device. Nothing if `stop` became true, which is
  /// asked before every token. Throws Error for a row that cannot be asked, unless they are
  /// skipped.
  std::optional<Answers> answer(const step::ForwardModel& forward,
                                const std::function<bool()>& stop) const;

 private:
  struct Question;  // a conversation, its sample, and where it comes from
  int64_t count() const { return static_cast<int64_t>(conversations_.size()) + options_.rows; }
  Result<Question> question(int64_t index) const;
  void check() const;
  AnswerText expected_answers() const;
  Error of_prompt(size_t prompt, const Fault& fault) const;
  Result<data::Sample> sample(const Conversation& conversation) const;

  QuestionOptions options_;
  Prompting prompting_;
  std::vector<Conversation> conversations_;  // of the prompts
};

/// "How are you? -> Fine." in at most about 200 characters, for a line of the log.
std::string text_of(const Answer& answer);

}  // namespace lmms::generate
