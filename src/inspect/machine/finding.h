#pragma once
/// A line of what `lmms doctor` says, and how rules write it.
#include <cstdint>
#include <string>
#include <vector>

namespace lmms::inspect {

/// ok; worth knowing, with a cure; a run cannot work.
enum class Severity { ok, note, trouble };

/// One line of the table.
struct Finding {
  std::string section, name;
  std::string text;  ///< what is there
  Severity severity = Severity::ok;
  std::string trouble;  ///< what is wrong with it; empty if ok
  std::string cure;
};

/// A line without fault.
Finding finding(std::string section, std::string name, std::string text);
/// Turns a line into a note, or adds to what it says.
void add_note(Finding& line, const std::string& what, const std::string& cure);
/// Turns a line into a trouble, or adds to what it says.
void add_trouble(Finding& line, const std::string& what, const std::string& cure);

/// "a, b, c".
std::string comma_list(const std::vector<std::string>& parts);

}  // namespace lmms::inspect
