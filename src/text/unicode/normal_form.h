#pragma once
/// Normalization Form C (Unicode Standard Annex 15), with the data that HF tokenizers' normaliser
/// has (see make_tables.py).
#include <string>
#include <string_view>

namespace lmms::text::unicode {

/// Whether NFC surely leaves this valid UTF-8 as it is; false where only doing it would tell.
bool is_surely_nfc(std::string_view text);

/// NFC of valid UTF-8.
std::string to_nfc(std::string_view text);

}  // namespace lmms::text::unicode
