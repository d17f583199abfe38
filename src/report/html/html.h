#pragma once
/// Pages that the program writes: one self-contained file each, made by page(). What comes from
/// outside goes in through escape() or script_json(), templates are filled with fill().
/// The style that all pages share is base.css (embedded::html_base_css); its head says what it has.
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lmms::report::embedded {
extern const std::string_view html_base_css;
}

namespace lmms::report::html {

/// Text for an element's content or a quoted attribute: & < > " ' are escaped. Bytes that are no
/// UTF-8 and control characters other than tab and newline become U+FFFD.
std::string escape(std::string_view text);

/// JSON text for the inside of a <script> element: < > & and the line separators U+2028 and U+2029
/// become \uXXXX, which JSON reads as the same characters, so that no </script> or <!-- is left.
/// Outside of strings valid JSON holds none of them. The JSON must be UTF-8: nlohmann's
/// dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) makes it so.
std::string script_json(std::string_view json);

/// The template with each {{name}} replaced by its value, in one pass: what a value holds is never
/// read again. Throws std::logic_error if the template names something that is not given.
std::string fill(std::string_view page,
                 std::initializer_list<std::pair<std::string_view, std::string_view>> values);

/// What fills the frame that all pages share: style, the data that the scripts draw, scripts.
struct Page {
  std::string_view kind;   ///< "report": in the title, and for who has no JavaScript
  std::string_view title;  ///< escaped here
  std::string_view css;    ///< after base.css
  std::string_view json;   ///< made safe here; scripts find it in #page-data
  std::vector<std::string_view> scripts;
};
/// The whole file.
std::string page(const Page& page);

/// A path as a link that a browser and most terminals open: "file:///...", absolute; what is no
/// plain character of a path is written %XX.
std::string file_link(const std::filesystem::path& path);

}  // namespace lmms::report::html
