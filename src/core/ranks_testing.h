#pragma once
/// Several ranks in one process, for tests: a thread each.
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/ranks.h"

namespace lmms {

/// What the ranks of a test share. A gather that no rank ends throws after `patience`, so that a
/// test fails instead of hanging.
class RanksInThreads {
 public:
  explicit RanksInThreads(int32_t count,
                          std::chrono::milliseconds patience = std::chrono::seconds(20))
      : shared_(std::make_shared<Shared>(count, patience)) {}

  /// The first channel of a rank. Each rank is to be asked for once.
  std::unique_ptr<Ranks> rank(int32_t rank) const {
    return std::make_unique<Channel>(shared_, "", rank);
  }
  /// Gathers that every rank has come to, over all channels.
  int64_t gathers() const {
    std::lock_guard lock(shared_->mutex);
    return shared_->gathers;
  }

  /// Calls `work` with each rank in a thread of its own; when it returns or throws, its channel is
  /// closed. Throws what the first of the ranks that failed threw.
  void run(const std::function<void(Ranks&)>& work) const {
    std::vector<std::exception_ptr> errors(static_cast<size_t>(shared_->count));
    std::vector<std::jthread> threads;
    for (int32_t r = 0; r < shared_->count; ++r) {
      threads.emplace_back([this, r, &work, &errors] {
        const auto ranks = rank(r);
        try {
          work(*ranks);
        } catch (...) {
          errors[static_cast<size_t>(r)] = std::current_exception();
        }
      });
    }
    threads.clear();
    for (const auto& error : errors)
      if (error) std::rethrow_exception(error);
  }

 private:
  struct Round {
    std::vector<std::optional<std::string>> given;
    int32_t arrived = 0, taken = 0;
  };
  struct Shared {
    Shared(int32_t ranks, std::chrono::milliseconds limit) : count(ranks), patience(limit) {}
    const int32_t count;
    const std::chrono::milliseconds patience;
    std::mutex mutex;
    std::condition_variable changed;
    int64_t gathers = 0;
    std::map<std::pair<std::string, int64_t>, Round> rounds;  ///< by channel and number
    std::map<std::pair<std::string, int32_t>, bool> closed;   ///< by channel and rank
  };

  class Channel final : public Ranks {
   public:
    Channel(std::shared_ptr<Shared> shared, std::string name, int32_t rank)
        : shared_(std::move(shared)), name_(std::move(name)), rank_(rank) {}
    ~Channel() override { close(); }
    int32_t rank() const override { return rank_; }
    int32_t count() const override { return shared_->count; }

    std::vector<std::string> gather(std::string_view bytes) override {
      std::unique_lock lock(shared_->mutex);
      refuse_if_closed(rank_);
      const std::pair key(name_, next_++);
      Round& round = shared_->rounds[key];
      round.given.resize(static_cast<size_t>(count()));
      round.given[static_cast<size_t>(rank_)] = std::string(bytes);
      if (++round.arrived == count()) ++shared_->gathers;
      shared_->changed.notify_all();
      const auto deadline = std::chrono::steady_clock::now() + shared_->patience;
      while (round.arrived < count()) {
        refuse_if_closed(rank_);
        for (int32_t r = 0; r < count(); ++r)
          if (!round.given[static_cast<size_t>(r)]) refuse_if_closed(r);
        if (shared_->changed.wait_until(lock, deadline) == std::cv_status::timeout)
          throw failure("a rank doesn't come");
      }
      std::vector<std::string> all;
      for (const auto& given : round.given) all.push_back(*given);
      if (++round.taken == count()) shared_->rounds.erase(key);
      return all;
    }

    std::unique_ptr<Ranks> open_channel(std::string_view name) override {
      const std::string inner = name_ + "/" + std::string(name);
      return std::make_unique<Channel>(shared_, inner + "#" + std::to_string(opened_[inner]++),
                                       rank_);
    }

    void close() override {
      std::lock_guard lock(shared_->mutex);
      shared_->closed[{name_, rank_}] = true;
      shared_->changed.notify_all();
    }

   private:
    Error failure(const std::string& what) const {
      return {"channel '" + name_ + "'", what, "", Exit::failed};
    }
    void refuse_if_closed(int32_t rank) const {
      if (shared_->closed.contains({name_, rank}))
        throw failure("rank " + std::to_string(rank) + " has left");
    }

    std::shared_ptr<Shared> shared_;
    std::string name_;
    int32_t rank_;
    int64_t next_ = 0;                   ///< number of the next gather
    std::map<std::string, int> opened_;  ///< how often, by name
  };

  std::shared_ptr<Shared> shared_;
};

}  // namespace lmms
