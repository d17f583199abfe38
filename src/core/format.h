#pragma once
/// fmt::format for everybody, compiled once (core/format.cpp): header-only use would cost 3 s a
/// file.
#include <fmt/format.h>
