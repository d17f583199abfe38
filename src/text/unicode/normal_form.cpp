#include "text/unicode/normal_form.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "text/unicode/categories.h"
#include "text/unicode/tables.h"
#include "text/unicode/utf8.h"

namespace lmms::text::unicode {
namespace {

// Hangul syllables decompose and compose by arithmetic (Unicode 16, section 3.12).
constexpr char32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11A7;
constexpr char32_t kLeadCount = 19, kVowelCount = 21, kTailCount = 28;
constexpr char32_t kSyllableCount = kLeadCount * kVowelCount * kTailCount;

struct Mark {
  char32_t character;
  uint8_t combining_class;
};

uint8_t combining_class(char32_t c) {
  if (!nfc_may_change(c)) return 0;
  const auto at = std::ranges::lower_bound(kCombiningClasses, c, {}, &CombiningClass::character);
  return at != kCombiningClasses.end() && at->character == c ? at->combining_class : 0;
}

void decompose(char32_t c, std::vector<Mark>& out) {
  if (c - kSyllables < kSyllableCount) {
    const char32_t index = c - kSyllables;
    out.push_back({kLeads + index / (kVowelCount * kTailCount), 0});
    out.push_back({kVowels + index / kTailCount % kVowelCount, 0});
    if (index % kTailCount != 0) out.push_back({kTails + index % kTailCount, 0});
    return;
  }
  const auto at = std::ranges::lower_bound(kDecomposed, c);
  if (at == kDecomposed.end() || *at != c) {
    out.push_back({c, combining_class(c)});
    return;
  }
  const auto i = static_cast<size_t>(at - kDecomposed.begin());
  for (size_t k = kDecompositionOffsets[i]; k < kDecompositionOffsets[i + 1]; ++k) {
    out.push_back({kDecompositions[k], combining_class(kDecompositions[k])});
  }
}

/// The composition of two characters, or 0.
char32_t compose(char32_t first, char32_t second) {
  if (first - kLeads < kLeadCount && second - kVowels < kVowelCount) {
    return kSyllables + ((first - kLeads) * kVowelCount + (second - kVowels)) * kTailCount;
  }
  if (first - kSyllables < kSyllableCount && (first - kSyllables) % kTailCount == 0 &&
      second - kTails - 1 < kTailCount - 1) {
    return first + (second - kTails);
  }
  const auto key = [](const Composition& c) { return std::pair(c.first, c.second); };
  const auto at = std::ranges::lower_bound(kCompositions, std::pair(first, second), {}, key);
  return at != kCompositions.end() && key(*at) == std::pair(first, second) ? at->composed : 0;
}

/// Reorders the marks between starters by combining class, then joins each character with the last
/// starter that no character of the same or a higher class separates it from. Works on one run in
/// place.
void reorder_and_compose(std::vector<Mark>& run) {
  for (size_t i = 0; i < run.size();) {
    if (run[i].combining_class == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < run.size() && run[end].combining_class != 0) ++end;
    std::stable_sort(
        run.begin() + static_cast<ptrdiff_t>(i), run.begin() + static_cast<ptrdiff_t>(end),
        [](const Mark& a, const Mark& b) { return a.combining_class < b.combining_class; });
    i = end;
  }
  size_t kept = 0;
  size_t starter = SIZE_MAX;
  for (const Mark& mark : run) {
    if (starter != SIZE_MAX) {
      const bool adjacent = kept == starter + 1;
      const bool blocked = !adjacent && run[kept - 1].combining_class >= mark.combining_class;
      const char32_t joined = blocked ? 0 : compose(run[starter].character, mark.character);
      if (joined != 0) {
        run[starter].character = joined;
        continue;
      }
    }
    if (mark.combining_class == 0) starter = kept;
    run[kept++] = mark;
  }
  run.resize(kept);
}

/// Bytes from `at` that are ASCII, eight at a time.
const char* skip_ascii(const char* at, const char* end) {
  while (end - at >= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    const uint64_t high = word & 0x8080808080808080u;
    if (high != 0) return at + std::countr_zero(high) / 8;
    at += 8;
  }
  while (at < end && static_cast<uint8_t>(*at) < 0x80) ++at;
  return at;
}

}  // namespace

bool is_surely_nfc(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  uint8_t last_class = 0;
  while ((at = skip_ascii(at, end)) < end) {
    // Bytes below CC begin characters below U+0300, which NFC never changes.
    if (static_cast<uint8_t>(*at) < 0xCC) {
      at += 2;
      last_class = 0;
      continue;
    }
    const char32_t c = next(at);
    if (nfc_may_replace(c)) return false;
    const uint8_t combining = combining_class(c);
    if (combining != 0 && combining < last_class) return false;
    last_class = combining;
  }
  return true;
}

std::string to_nfc(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const char* at = text.data();
  const char* end = at + text.size();
  const char* copied = at;  // what stands before is in `out`
  const char* last = at;    // start of the last character that NFC leaves alone
  std::vector<Mark> run;
  while (at < end) {
    const char* here = at;
    const char32_t c = next(at);
    if (!nfc_may_change(c)) {
      last = here;
      continue;
    }
    // From the last stable character to the next one: the only stretch in which characters meet.
    out.append(copied, last);
    run.clear();
    for (at = last; at < end;) {
      const char* start = at;
      const char32_t inside = next(at);
      if (start > here && !nfc_may_change(inside)) {
        at = start;
        break;
      }
      decompose(inside, run);
    }
    reorder_and_compose(run);
    for (const Mark& mark : run) append(out, mark.character);
    copied = last = at;
  }
  out.append(copied, end);
  return out;
}

}  // namespace lmms::text::unicode
