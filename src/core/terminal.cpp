#include "core/terminal.h"

#include <sys/ioctl.h>

namespace lmms {

int terminal_columns(int descriptor, int otherwise) {
  struct winsize size {};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return otherwise;
}

int terminal_rows(int descriptor, int otherwise) {
  struct winsize size {};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_row > 0) return size.ws_row;
  return otherwise;
}

}  // namespace lmms
