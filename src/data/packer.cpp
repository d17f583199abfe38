#include "data/packer.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace lmms::data {

void Bin::add(PackItem item) {
  length += item.length;
  cost += item.cost;
  for (const MediaCount& part : item.media) media[part.kind].patches += part.patches;
  items.push_back(std::move(item));
}

std::vector<Bin> Packer::add(PackItem item) {
  std::vector<Bin> closed;
  const bool has_room =
      std::any_of(open_.begin(), open_.end(), [&](const Bin& bin) { return fits(bin, item); });
  if (!has_room && open_.size() >= most_open()) {
    if (options_.strategy == PackingStrategy::balanced) {
      redistribute(std::move(item), closed);
      return closed;
    }
    close_fullest(closed);
  }
  place(std::move(item), closed);
  return closed;
}

std::optional<Bin> Packer::flush_one() {
  if (open_.empty()) return std::nullopt;
  Bin bin = std::move(open_.front());
  open_.pop_front();
  return bin;
}

bool Packer::fits(const Bin& bin, const PackItem& item) const {
  const auto within = [&](const MediaCount& limit) {
    return bin.media.of(limit.kind).patches + item.media.of(limit.kind).patches <= limit.patches;
  };
  return bin.length + item.length <= options_.length && std::ranges::all_of(options_.media, within);
}

/// How full a bin is, in tokens; a share of a kind's patches counts as that share of the tokens.
int64_t Packer::fill(const Bin& bin) const {
  int64_t tokens = bin.length;
  for (const MediaCount& limit : options_.media) {
    const double share =
        static_cast<double>(bin.media.of(limit.kind).patches) / static_cast<double>(limit.patches);
    tokens = std::max(tokens, static_cast<int64_t>(share * static_cast<double>(options_.length)));
  }
  return tokens;
}

size_t Packer::most_open() const {
  const bool one = options_.strategy == PackingStrategy::sequential;
  return one ? 1 : static_cast<size_t>(options_.num_open_bins);
}

/// Puts the item into an open bin with room, or into a new one.
void Packer::place(PackItem item, std::vector<Bin>& closed) {
  auto home = open_.end();
  for (auto bin = open_.begin(); bin != open_.end(); ++bin) {
    if (!fits(*bin, item)) continue;
    const bool fills_better = options_.strategy == PackingStrategy::best_fit &&
                              home != open_.end() && fill(*bin) > fill(*home);
    if (home == open_.end() || fills_better) home = bin;
  }
  if (home == open_.end()) home = open_.emplace(open_.end());
  home->add(std::move(item));
  if (home->length == options_.length) close(home, closed);
}

/// Online placement cannot even out costs: nearly all open bins are nearly full. Dealing everything
/// that waits anew can. Longest-processing-time-first with a capacity (Graham 1969).
void Packer::redistribute(PackItem item, std::vector<Bin>& closed) {
  std::vector<PackItem> waiting;
  waiting.push_back(std::move(item));
  for (auto& bin : open_) std::ranges::move(bin.items, std::back_inserter(waiting));
  std::vector<PackItem*> by_cost;
  for (PackItem& one : waiting) by_cost.push_back(&one);
  std::sort(by_cost.begin(), by_cost.end(), [](const PackItem* a, const PackItem* b) {
    return std::tuple(-a->cost, -a->length, a->ordinal) <
           std::tuple(-b->cost, -b->length, b->ordinal);
  });
  const size_t bins = most_open();
  open_.assign(bins, Bin());
  for (PackItem* next : by_cost) {
    const auto home = [&](size_t begin, size_t end) {
      auto best = open_.size();
      for (size_t b = begin; b < end; ++b) {
        if (!fits(open_[b], *next)) continue;
        if (best == open_.size() || open_[b].cost < open_[best].cost) best = b;
      }
      return best;
    };
    // Further bins take what no other does, or the small ones would all wait in them.
    size_t chosen = home(0, bins);
    if (chosen == open_.size()) chosen = home(bins, open_.size());
    if (chosen == open_.size()) open_.emplace_back();
    open_[chosen].add(std::move(*next));
  }
  std::erase_if(open_, [](const Bin& bin) { return bin.items.empty(); });
  while (open_.size() > most_open()) close_oldest_full(closed);
}

void Packer::close(std::deque<Bin>::iterator bin, std::vector<Bin>& closed) {
  closed.push_back(std::move(*bin));
  open_.erase(bin);
}

void Packer::close_fullest(std::vector<Bin>& closed) {
  close(std::max_element(open_.begin(), open_.end(),
                         [this](const Bin& a, const Bin& b) { return fill(a) < fill(b); }),
        closed);
}

void Packer::close_oldest_full(std::vector<Bin>& closed) {
  const auto oldest_sample = [](const Bin& bin) {
    return std::min_element(
               bin.items.begin(), bin.items.end(),
               [](const PackItem& a, const PackItem& b) { return a.ordinal < b.ordinal; })
        ->ordinal;
  };
  int64_t fullest = 0;
  for (const auto& bin : open_) fullest = std::max(fullest, fill(bin));
  auto choice = open_.end();
  for (auto bin = open_.begin(); bin != open_.end(); ++bin) {
    if (fill(*bin) < fullest - fullest / 64) continue;
    if (choice == open_.end() || oldest_sample(*bin) < oldest_sample(*choice)) choice = bin;
  }
  close(choice, closed);
}

}  // namespace lmms::data
