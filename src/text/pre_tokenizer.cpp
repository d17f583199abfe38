#include "text/pre_tokenizer.h"

#include "text/unicode/categories.h"
#include "text/unicode/utf8.h"

namespace lmms::text {
namespace {

struct Range {
  size_t begin, end;
  bool match;
};

/// The matches of a pattern and what lies between them; together they cover the text.
std::vector<Range> find(const PreTokenizer::Split& split, std::string_view text) {
  std::vector<Range> ranges;
  size_t covered = 0;
  const auto found = [&](size_t begin, size_t end) {
    if (covered < begin) ranges.push_back({covered, begin, split.inverted});
    ranges.push_back({begin, end, !split.inverted});
    covered = end;
  };
  if (const auto* pattern = std::get_if<WordPattern>(&split.pattern)) {
    const char* end = text.data() + text.size();
    for (size_t at = 0; at < text.size();) {
      const auto next =
          static_cast<size_t>(word_end(*pattern, text.data() + at, end) - text.data());
      found(at, next);
      at = next;
    }
  } else if (const auto* regex = std::get_if<Regex>(&split.pattern)) {
    regex->find_all(text, found);
  } else {
    const auto& literal = std::get<std::string>(split.pattern);
    for (size_t at = 0; (at = text.find(literal, at)) != std::string_view::npos;
         at += literal.size()) {
      found(at, at + literal.size());
    }
  }
  if (covered < text.size()) ranges.push_back({covered, text.size(), split.inverted});
  return ranges;
}

std::vector<Range> find_numbers(std::string_view text) {
  std::vector<Range> ranges;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    const auto begin = static_cast<size_t>(at - text.data());
    const bool number = unicode::is_number(unicode::next(at));
    const auto behind = static_cast<size_t>(at - text.data());
    if (!number && !ranges.empty() && !ranges.back().match) {
      ranges.back().end = behind;
    } else {
      ranges.push_back({begin, behind, number});
    }
  }
  return ranges;
}

/// Joins or drops the ranges as HF's NormalizedString::split does.
std::vector<Range> arrange(const std::vector<Range>& ranges, Matches matches) {
  std::vector<Range> out;
  if (matches == Matches::merged_with_next) {
    bool match_behind = false;
    for (auto range = ranges.rbegin(); range != ranges.rend(); ++range) {
      if (range->match && !match_behind && !out.empty()) {
        out.back().begin = range->begin;
      } else {
        out.push_back(*range);
      }
      match_behind = range->match;
    }
    return {out.rbegin(), out.rend()};
  }
  bool match_before = false;
  for (const Range& range : ranges) {
    if (matches == Matches::removed) {
      if (!range.match) out.push_back(range);
    } else {
      const bool joins = (matches == Matches::contiguous && range.match == match_before) ||
                         (matches == Matches::merged_with_previous && range.match && !match_before);
      if (joins && !out.empty()) {
        out.back().end = range.end;
      } else {
        out.push_back(range);
      }
    }
    match_before = range.match;
  }
  return out;
}

}  // namespace

void PreTokenizer::add(Step step) {
  steps_.push_back(std::move(step));
  const auto* split = steps_.size() == 1 ? std::get_if<Split>(&steps_[0]) : nullptr;
  const auto* pattern = split ? std::get_if<WordPattern>(&split->pattern) : nullptr;
  // The words of a known pattern cover the text, so that what is between them is nothing.
  const bool plain = pattern && (split->inverted ? split->matches == Matches::removed
                                                 : split->matches == Matches::isolated);
  single_ = plain ? std::optional(*pattern) : std::nullopt;
}

void PreTokenizer::cut(std::string_view text, Pieces& pieces) const {
  pieces.list = {text};
  for (const Step& step : steps_) {
    std::vector<std::string_view> next;
    for (std::string_view piece : pieces.list) {
      if (std::holds_alternative<PrefixSpace>(step)) {
        if (!piece.starts_with(' ')) {
          pieces.made.push_back(std::make_unique<std::string>(" " + std::string(piece)));
          piece = *pieces.made.back();
        }
        next.push_back(piece);
        continue;
      }
      const auto* split = std::get_if<Split>(&step);
      const auto ranges = split ? arrange(find(*split, piece), split->matches)
                                : arrange(find_numbers(piece), std::get<Digits>(step).individual
                                                                   ? Matches::isolated
                                                                   : Matches::contiguous);
      for (const Range& range : ranges) {
        if (range.begin < range.end)
          next.push_back(piece.substr(range.begin, range.end - range.begin));
      }
    }
    pieces.list = std::move(next);
  }
  std::erase_if(pieces.list, [](std::string_view piece) { return piece.empty(); });
}

}  // namespace lmms::text
