# A text file as a string in C++: cmake -DINPUT=FILE -DOUTPUT=FILE.cpp -DROOM=report -DNAME=page_js -P cmake/embed.cmake
#   namespace lmms::report::embedded { extern const std::string_view page_js; }
# Raw literals cannot grow without end (some compilers stop at 16 kB, all join neighbours), so the text is cut at line ends.
file(READ "${INPUT}" text)
string(FIND "${text}" ")embedded\"" clash)
if(NOT clash EQUAL -1)
  message(FATAL_ERROR "${INPUT}: may not contain )embedded\" (it ends the literal; see cmake/embed.cmake)")
endif()
set(pieces "")
string(LENGTH "${text}" left)
while(left GREATER 0)
  set(cut ${left})
  if(left GREATER 12000)
    string(SUBSTRING "${text}" 0 12000 head)
    string(FIND "${head}" "\n" line_end REVERSE)
    if(line_end EQUAL -1)
      message(FATAL_ERROR "${INPUT}: a line is longer than 12,000 bytes; break it")
    endif()
    math(EXPR cut "${line_end} + 1")
  endif()
  string(SUBSTRING "${text}" 0 ${cut} head)
  string(SUBSTRING "${text}" ${cut} -1 text)
  string(APPEND pieces "R\"embedded(${head})embedded\"\n")
  math(EXPR left "${left} - ${cut}")
endwhile()
file(WRITE "${OUTPUT}" "// ${NAME}: made by cmake/embed.cmake.
#include <string_view>

namespace lmms::${ROOM}::embedded {
extern const std::string_view ${NAME};
const std::string_view ${NAME} =
${pieces}    \"\";
}  // namespace lmms::${ROOM}::embedded
")
