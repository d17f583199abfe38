#include "data/packer.h"

#include <algorithm>

namespace lmms::data {
namespace {

/// Whether `a` is a better home than `b` for the next item; both have room.
bool better(PackingStrategy strategy, const Bin& a, const Bin& b) {
  switch (strategy) {
    case PackingStrategy::best_fit:
      return a.length > b.length;
    case PackingStrategy::balanced:
      return a.cost < b.cost;
    case PackingStrategy::first_fit:
    case PackingStrategy::sequential:
      return false;  // the oldest, which was seen first
  }
  return false;
}

}  // namespace

void Bin::add(const PackItem& item) {
  length += item.length;
  cost += item.cost;
  items.push_back(item);
}

std::vector<Bin> Packer::add(const PackItem& item) {
  std::vector<Bin> closed;
  const auto close = [&](std::deque<Bin>::iterator bin) {
    closed.push_back(std::move(*bin));
    open_.erase(bin);
  };
  auto home = open_.end();
  for (auto bin = open_.begin(); bin != open_.end(); ++bin) {
    if (bin->length + item.length > options_.length) continue;
    if (home == open_.end() || better(options_.strategy, *bin, *home)) home = bin;
  }
  if (home == open_.end()) {
    const auto most = options_.strategy == PackingStrategy::sequential
                          ? size_t{1}
                          : static_cast<size_t>(options_.num_open_bins);
    if (open_.size() >= most) {
      close(std::max_element(open_.begin(), open_.end(),
                             [](const Bin& a, const Bin& b) { return a.length < b.length; }));
    }
    home = open_.emplace(open_.end());
  }
  home->add(item);
  if (home->length == options_.length) close(home);
  return closed;
}

std::optional<Bin> Packer::flush_one() {
  if (open_.empty()) return std::nullopt;
  Bin bin = std::move(open_.front());
  open_.pop_front();
  return bin;
}

}  // namespace lmms::data
