#pragma once
/// The time of day, for what is read by people and other programs; durations are std::chrono's.
#include <string>

namespace lmms {

/// Seconds since 1970, UTC.
double unix_seconds();

/// "2026-11-30T22:24:39+01:00": the local time of that moment (ISO 8601) and how far it is from
/// UTC.
std::string local_time(double unix_seconds);

}  // namespace lmms
