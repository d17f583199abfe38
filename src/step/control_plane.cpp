#include "step/control_plane.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "core/format.h"

namespace lmms::step {
namespace {

constexpr char kFailed = '!';

Error rank_failed(size_t rank, std::string_view reason) {
  return {fmt::format("rank {}", rank), std::string(reason),
          "the run ends on all ranks; mend what that rank says", Exit::failed};
}

Error ranks_differ(const std::string& what) {
  return {"", "the ranks have lost each other: " + what,
          "start all of them with the same program, config and data", Exit::failed};
}

/// True for as long as it lives.
class SetWhile {
 public:
  explicit SetWhile(bool& flag) : flag_(flag) { flag_ = true; }
  ~SetWhile() { flag_ = false; }
  SetWhile(const SetWhile&) = delete;
  SetWhile& operator=(const SetWhile&) = delete;

 private:
  bool& flag_;
};

}  // namespace

std::vector<std::string> ControlPlane::exchange(Question question, const std::string& answer) {
  const auto kind = static_cast<char>(question);
  std::vector<std::string> answers = ranks_.gather(kind + answer);
  for (size_t r = 0; r < answers.size(); ++r) {
    if (answers[r].empty() || answers[r].front() != kFailed) continue;
    over_ = true;
    throw rank_failed(r, std::string_view(answers[r]).substr(1));
  }
  for (size_t r = 0; r < answers.size(); ++r) {
    if (answers[r].empty() || answers[r].front() != kind) {
      over_ = true;
      throw ranks_differ(
          fmt::format("rank {} is elsewhere in the program than rank {}", r, rank()));
    }
    answers[r].erase(0, 1);
  }
  return answers;
}

void ControlPlane::refuse_inside_work() const {
  if (working_)
    throw std::logic_error("the ranks are asked inside work that is repeated on each of them");
}

ControlPlane::Next ControlPlane::before_step(Wish wish, bool has_batch) {
  refuse_inside_work();
  const std::string answer{static_cast<char>(wish), has_batch ? 'b' : '-'};
  const std::vector<std::string> answers =
      count() > 1 ? exchange(Question::next, answer) : std::vector<std::string>{answer};
  const auto says = [&](size_t place, char letter) {
    return std::count_if(answers.begin(), answers.end(),
                         [&](const std::string& each) { return each.at(place) == letter; });
  };
  if (says(0, static_cast<char>(Wish::stop)) > 0) return Next::stop;
  const auto with_data = says(1, 'b');
  if (with_data == 0) return Next::end;
  if (with_data == count())
    return says(0, static_cast<char>(Wish::enough)) > 0 ? Next::enough : Next::step;
  over_ = true;
  throw ranks_differ(fmt::format("{} of {} have a batch", with_data, count()));
}

bool ControlPlane::any(bool here) {
  refuse_inside_work();
  if (count() == 1) return here;
  const auto answers = exchange(Question::any, here ? "y" : "n");
  return std::find(answers.begin(), answers.end(), "y") != answers.end();
}

std::vector<double> ControlPlane::sums(std::span<const double> here) {
  refuse_inside_work();
  std::vector<double> out(here.begin(), here.end());
  if (count() == 1) return out;
  const auto answers = exchange(
      Question::sums, std::string(reinterpret_cast<const char*>(here.data()), here.size_bytes()));
  std::fill(out.begin(), out.end(), 0.0);
  for (const std::string& answer : answers) {
    if (answer.size() != here.size_bytes()) {
      over_ = true;
      throw ranks_differ("they add up different numbers");
    }
    for (size_t i = 0; i < out.size(); ++i) {
      double value = 0;
      std::memcpy(&value, answer.data() + i * sizeof(double), sizeof(double));
      out[i] += value;
    }
  }
  return out;
}

void ControlPlane::until_memory_suffices(const std::function<void()>& work,
                                         const Retries& retries) {
  refuse_inside_work();
  for (;;) {
    std::optional<std::string> cause;
    try {
      const SetWhile working(working_);
      work();
    } catch (const c10::OutOfMemoryError& e) {
      cause = e.what_without_backtrace();
    }
    // behind the catch: the exception holds memory too
    std::optional<std::string> proposal = cause ? retries.propose() : std::nullopt;
    if (count() > 1) {
      const auto answers = exchange(Question::memory, !cause     ? "enough"
                                                      : proposal ? "change" + *proposal
                                                                 : "nothing left");
      const auto lacking = std::find_if(answers.begin(), answers.end(),
                                        [](const auto& answer) { return answer != "enough"; });
      if (lacking == answers.end()) return;
      proposal = lacking->starts_with("change") ? std::optional(lacking->substr(6)) : std::nullopt;
      if (!proposal && !cause) {
        over_ = true;
        throw rank_failed(static_cast<size_t>(lacking - answers.begin()),
                          "found no memory, and nothing less could be kept");
      }
    } else if (!cause) {
      return;
    }
    if (!proposal) {
      over_ = true;
      retries.give_up(*cause);
    }
    retries.change(*proposal);
  }
}

void ControlPlane::fail(std::string_view reason) noexcept {
  if (over_ || count() == 1) return;
  over_ = true;
  try {
    ranks_.gather(kFailed + std::string(reason));
  } catch (const std::exception&) {  // whoever is gone needs no telling
  }
}

}  // namespace lmms::step
