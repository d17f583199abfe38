// What of the shared test code needs LMMS_SOURCE_DIR, which only test programs define.
#include "data/data_testing.h"

namespace lmms::data {

std::string fixture(const std::string& name) {
  return std::string(LMMS_SOURCE_DIR) + "/tests/fixtures/data/" + name;
}

}  // namespace lmms::data
