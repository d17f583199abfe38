# Writes OUTPUT, a header with a number of what stands in the files that HEADERS lists, unless it is there with that number.
file(STRINGS "${HEADERS}" headers)
set(sums "")
foreach(header ${headers})
  file(SHA256 "${header}" sum)
  string(APPEND sums "${sum}\n")
endforeach()
string(SHA256 sum "${sums}")
string(SUBSTRING "${sum}" 0 12 sum)
file(CONFIGURE OUTPUT "${OUTPUT}" @ONLY CONTENT "#pragma once
/// Of the headers that a plugin may include (cmake/plugin_interface.cmake).
#define LMMS_PLUGIN_INTERFACE \"${sum}\"
")
file(TOUCH "${OUTPUT}.made")
