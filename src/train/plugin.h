#pragma once
/// What a plugin is: a shared library that adds to the registries of the program.
///
///   #include "train/plugin.h"
///   #include "train/registries.h"
///
///   LMMS_PLUGIN(registries) {
///     registries.objectives.add("my_trainer", "what it minimises", {.make = make_mine});
///   }
///
/// once in the library, outside of every namespace. docs/guide/plugins.md is the whole story.
#include <torch/headeronly/version.h>

#include <cstddef>  // defines what the text says of the standard library

#include "core/version.h"
#include "train/plugin_interface.h"  // made by the build of the headers that a plugin includes

namespace lmms {
namespace train {
struct Registries;
}
/// Empty when a plugin gets them: the program takes over what was added, under the library's name.
using Registries = train::Registries;
}  // namespace lmms

#define LMMS_PLUGIN_TEXT_(x) #x
#define LMMS_PLUGIN_TEXT(x) LMMS_PLUGIN_TEXT_(x)

#if defined(__clang__)
#define LMMS_PLUGIN_COMPILER "clang " LMMS_PLUGIN_TEXT(__clang_major__)
#else
#define LMMS_PLUGIN_COMPILER "gcc " LMMS_PLUGIN_TEXT(__GNUC__)
#endif
#if defined(_GLIBCXX_DEBUG)
#define LMMS_PLUGIN_CHECKED ", debug mode"
#else
#define LMMS_PLUGIN_CHECKED ""
#endif
#if defined(__SANITIZE_ADDRESS__)
#define LMMS_PLUGIN_SANITIZER "address"
#elif defined(__SANITIZE_THREAD__)
#define LMMS_PLUGIN_SANITIZER "thread"
#else
#define LMMS_PLUGIN_SANITIZER "none"
#endif

/// All that must be the same in two libraries that hand C++ objects to each other. The loader finds
/// it by its beginning in the file, before any code of it is run.
#define LMMS_PLUGIN_ABI_MARK "lmms plugin abi: "
#ifndef LMMS_PLUGIN_ABI
#define LMMS_PLUGIN_ABI                                                                \
  LMMS_PLUGIN_ABI_MARK                                                                 \
  "lmms " LMMS_VERSION "; headers " LMMS_PLUGIN_INTERFACE "; torch " TORCH_VERSION     \
  "; compiler " LMMS_PLUGIN_COMPILER                                                   \
  "; C++ ABI " LMMS_PLUGIN_TEXT(__GXX_ABI_VERSION) "; C++ standard " LMMS_PLUGIN_TEXT( \
      __cplusplus) "; std::string ABI " LMMS_PLUGIN_TEXT(_GLIBCXX_USE_CXX11_ABI)       \
      LMMS_PLUGIN_CHECKED "; sanitizer " LMMS_PLUGIN_SANITIZER
#endif

#define LMMS_PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))

/// The head of the function that registers; `registries` is an lmms::Registries&. What it throws
/// ends the program with its message.
#define LMMS_PLUGIN(registries)                      \
  LMMS_PLUGIN_EXPORT const char* lmms_plugin_abi() { \
    return LMMS_PLUGIN_ABI;                          \
  }                                                  \
  LMMS_PLUGIN_EXPORT void lmms_register(::lmms::Registries& registries)
