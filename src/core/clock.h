#pragma once
/// The time of day, for what is read by people and other programs; durations are std::chrono's.

namespace lmms {

/// Seconds since 1970, UTC.
double unix_seconds();

}  // namespace lmms
