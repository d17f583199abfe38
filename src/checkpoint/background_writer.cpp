#include "checkpoint/background_writer.h"

#include <utility>

#include "core/log.h"
#include "core/threads.h"

namespace lmms::checkpoint {

BackgroundWriter::~BackgroundWriter() {
  try {
    wait();
  } catch (const std::exception& error) {
    log::warning(std::string("saving in the background failed: ") + error.what());
  }
}

void BackgroundWriter::start(std::function<void()> job) {
  wait();
  thread_ = std::jthread([this, job = std::move(job)] {
    name_this_thread("checkpoint");
    try {
      job();
    } catch (...) {  // handed to the next caller
      error_ = std::current_exception();
    }
  });
}

void BackgroundWriter::wait() {
  if (thread_.joinable()) thread_.join();
  if (auto error = std::exchange(error_, nullptr)) std::rethrow_exception(error);
}

}  // namespace lmms::checkpoint
