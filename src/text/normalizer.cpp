#include "text/normalizer.h"

#include "text/unicode/normal_form.h"

namespace lmms::text {
namespace {

template <class... Cases>
struct Visit : Cases... {
  using Cases::operator()...;
};

std::string replace_text(std::string_view text, const ReplaceText& step) {
  std::string out;
  while (true) {
    const size_t at = text.find(step.from);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += step.to;
    text.remove_prefix(at + step.from.size());
  }
}

std::string replace_matches(std::string_view text, const ReplaceMatches& step) {
  std::string out;
  size_t copied = 0;
  step.from.find_all(text, [&](size_t begin, size_t end) {
    out += text.substr(copied, begin - copied);
    out += step.to;
    copied = end;
  });
  out += text.substr(copied);
  return out;
}

}  // namespace

void Normalizer::add(Step step) {
  steps_.push_back(std::move(step));
}

std::string_view Normalizer::apply(std::string_view text, std::string& buffer) const {
  for (const Step& step : steps_) {
    const bool unchanged = std::visit(
        Visit{
            [&](const Nfc&) { return unicode::is_surely_nfc(text); },
            [&](const Prepend& prepend) { return text.empty() || prepend.text.empty(); },
            [&](const ReplaceText& replace) { return text.find(replace.from) == text.npos; },
            [&](const ReplaceMatches&) { return text.empty(); },
        },
        step);
    if (unchanged) continue;
    buffer = std::visit(
        Visit{
            [&](const Nfc&) { return unicode::to_nfc(text); },
            [&](const Prepend& prepend) { return prepend.text + std::string(text); },
            [&](const ReplaceText& replace) { return replace_text(text, replace); },
            [&](const ReplaceMatches& replace) { return replace_matches(text, replace); },
        },
        step);
    text = buffer;
  }
  return text;
}

}  // namespace lmms::text
