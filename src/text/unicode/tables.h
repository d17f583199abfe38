#pragma once
/// Unicode data, written by make_tables.py; read it through categories.h and normal_form.h.
#include <cstdint>
#include <span>

namespace lmms::text::unicode {

struct CombiningClass {
  char32_t character;
  uint8_t combining_class;
};

/// A starter (or mark) and the mark that joins it.
struct Composition {
  char32_t first, second, composed;
};

/// Code points of one block of kPropertyBlocks.
inline constexpr int kBlockBits = 7;

// A property byte: the general category in bits 0-4, White_Space 32, NFC changes or joins it 64,
// combining class not 0: 128.
extern const uint16_t kPropertyIndex[];  ///< [0x110000 >> kBlockBits] block of a code point
extern const uint8_t kPropertyBlocks[];  ///< [blocks << kBlockBits]

extern const std::span<const CombiningClass> kCombiningClasses;  ///< by character
extern const std::span<const char32_t> kDecomposed;              ///< sorted, without Hangul
extern const std::span<const uint16_t>
    kDecompositionOffsets;  ///< of kDecomposed[i] in kDecompositions, and the end
extern const std::span<const char32_t> kDecompositions;   ///< full canonical decompositions
extern const std::span<const Composition> kCompositions;  ///< by first, second; without Hangul

}  // namespace lmms::text::unicode
