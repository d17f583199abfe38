#include "core/hash.h"

#define XXH_INLINE_ALL  // the header is all of it: nothing to link
#include <xxhash.h>

#include "core/format.h"

namespace lmms {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

struct Hash64::State {
  XXH3_state_t xxh;
};

uint64_t hash64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t hash64(std::string_view text) {
  return hash64(bytes_of(text));
}

Hash64::Hash64() : state_(std::make_unique<State>()) {
  XXH3_64bits_reset(&state_->xxh);
}

Hash64::Hash64(Hash64&&) noexcept = default;
Hash64& Hash64::operator=(Hash64&&) noexcept = default;
Hash64::~Hash64() = default;

void Hash64::add(std::span<const std::byte> bytes) {
  XXH3_64bits_update(&state_->xxh, bytes.data(), bytes.size());
}

void Hash64::add(std::string_view text) {
  add(bytes_of(text));
}

uint64_t Hash64::value() const {
  return XXH3_64bits_digest(&state_->xxh);
}

std::string hash_text(uint64_t hash) {
  return fmt::format("{:016x}", hash);
}

}  // namespace lmms
