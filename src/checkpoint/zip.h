#pragma once
/// The members of a zip archive in memory, where they are stored without compression, as torch.save
/// does. Source: APPNOTE.TXT 6.3.10 (PKWARE), with zip64.
#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "core/error.h"

namespace lmms::checkpoint {

/// By name; the spans point into `file`.
using ZipMembers = std::map<std::string, std::span<const std::byte>, std::less<>>;

/// Faults name `where`: no archive, cut short, members that are compressed or lie outside of it,
/// two of one name. Any bytes are safe: memory is bounded by the directory's length. Sums of
/// members are not checked.
Result<ZipMembers> read_zip(std::span<const std::byte> file, const std::string& where);

}  // namespace lmms::checkpoint
