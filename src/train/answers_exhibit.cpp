#include "train/answers_exhibit.h"

#include <set>

#include "core/format.h"

namespace lmms::train {
namespace {

// What names a picture in the journal.
std::string key_of(const std::string& url) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : url) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return fmt::format("{:016x}", hash);
}

class AnswersExhibit : public Exhibit {
 public:
  explicit AnswersExhibit(generate::Questions questions) : questions_(std::move(questions)) {}

  std::optional<Shown> show(const Moment& moment) override {
    const step::ForwardModel forward(*moment.network.model, moment.device, moment.kernels);
    const auto answers = questions_.answer(forward, moment.stop);
    if (!answers) return std::nullopt;
    Shown out;
    if (answers->exact.asked > 0) {
      out.metrics[kExactField] = answers->exact.share();
      out.metrics["eval_answers"] = answers->exact.asked;
    }
    tell_journal(*answers, out);
    tell_user(*answers, out);
    return out;
  }

 private:
  void tell_journal(const generate::Answers& answers, Shown& out) {
    nlohmann::json list = nlohmann::json::array(), pictures = nlohmann::json::object();
    for (const generate::Answer& a : answers.shown) {
      nlohmann::json entry = {
          {"prompt", a.prompt}, {"answer", a.text}, {"tokens", a.tokens}, {"finished", a.finished}};
      if (a.row > 0) entry["row"] = a.row;
      if (a.expected) {
        entry["expected"] = *a.expected;
        entry["right"] = a.right();
      }
      for (const std::string& url : a.pictures) {
        const std::string key = key_of(url);
        if (pictures_.insert(key).second) pictures[key] = url;
        entry["pictures"].push_back(key);
      }
      list.push_back(std::move(entry));
    }
    if (!pictures.empty())
      out.records.emplace_back("pictures", nlohmann::json{{"pictures", std::move(pictures)}});
    nlohmann::json record = {{"answers", std::move(list)}};
    if (answers.exact.asked > 0)
      record["exact"] = {{"right", answers.exact.right}, {"asked", answers.exact.asked}};
    out.records.emplace_back("generation", std::move(record));
  }

  static void tell_user(const generate::Answers& answers, Shown& out) {
    if (answers.exact.asked > 0) {
      out.lines.emplace_back(log::Level::info, fmt::format("{} of {} answers are exact ({:.1f} %)",
                                                           answers.exact.right, answers.exact.asked,
                                                           100 * answers.exact.share()));
    }
    if (answers.skipped_rows > 0) {
      out.lines.emplace_back(
          log::Level::warning,
          fmt::format("{} rows could not be asked (on_bad_sample: skip)", answers.skipped_rows));
    }
    if (!answers.shown.empty())
      out.lines.emplace_back(log::Level::info, text_of(answers.shown.front()));
  }

  generate::Questions questions_;
  std::set<std::string> pictures_;  // that the journal has since this start, by key
};

}  // namespace

std::unique_ptr<Exhibit> answers_exhibit(generate::Questions questions) {
  return std::make_unique<AnswersExhibit>(std::move(questions));
}

}  // namespace lmms::train
