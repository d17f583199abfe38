#pragma once
/// A line of what `lmms doctor` says, and how rules write it.
#include <cstdint>
#include <string>
#include <vector>

namespace lmms::train {

/// ok; worth knowing, with a cure; a run cannot work.
enum class Mark { ok, note, trouble };

/// One line of the table.
struct Finding {
  std::string section, name;
  std::string text;  ///< what is there
  Mark mark = Mark::ok;
  std::string trouble;  ///< what is wrong with it; empty if ok
  std::string cure;
};

/// A line without fault.
Finding fine(std::string section, std::string name, std::string text);
/// Turns a line into a note, or adds to what it says.
void note(Finding& line, const std::string& what, const std::string& cure);
/// Turns a line into a trouble, or adds to what it says.
void trouble(Finding& line, const std::string& what, const std::string& cure);

/// "a, b, c".
std::string joined(const std::vector<std::string>& parts);

}  // namespace lmms::train
