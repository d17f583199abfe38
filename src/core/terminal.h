#pragma once
/// The terminal behind a stream, if there is one.

namespace lmms {

/// Columns of the terminal behind a file descriptor; `otherwise` if there is none.
int terminal_columns(int descriptor, int otherwise);
/// Its rows, likewise.
int terminal_rows(int descriptor, int otherwise);

}  // namespace lmms
