#pragma once
/// journal.jsonl: what a run tells besides numbers. One object a line with `kind`, `time` (unix
/// seconds), `step`; the file may hold anything.
#include <nlohmann/json.hpp>
#include <string_view>

namespace lmms::report {

/// What the page shows of a journal. Every member has the types given here whatever the file held;
/// what is missing or of another type is null, "" or []. Texts beyond 20,000 bytes are cut.
struct Journal {
  using Json = nlohmann::json;

  /// {time, step} of each start: the run went on after `step`. At most 1,000.
  Json starts = Json::array();
  /// Of the last start: {versions: [[name, text]], machine: [[name, text]], table: [[name, text]],
  /// sources, evaluation_sources: [{path, format, rows, weight, samples_per_epoch}],
  /// parameters: {trained, all}, total_steps, peak_flops_per_second}; null without a start.
  Json last_start;
  /// {time, step, kind: "warning" | "notice", text}. The first 100 and the last 400.
  Json remarks = Json::array();
  size_t remarks_left_out = 0;
  /// {samples, tokens, supervised_tokens, length_edges: [n + 1 numbers], length_counts: [n
  /// numbers], skipped: [{reason, count, where, what}]}, since the start of training; or null.
  Json data;
  /// {time, step, exact: {right, asked} or null, answers: [{prompt, answer, tokens, finished, row,
  /// expected, right, pictures: [key]}]} by rising step; row and expected are null where there is
  /// none. At most 60: the first, the last, and some between.
  Json generations = Json::array();
  /// {time, step, path, preview, labels: [text], per_class, columns, side, how, seconds} of the
  /// samples of a denoiser, by rising step. `path`: a PNG in the run's folder,
  /// "samples/step-10.png"; `preview`: the same, small, as a data: URL. At most 60, as the
  /// generations.
  Json grids = Json::array();
  size_t grids_left_out = 0;
  /// {key: "data:image/png;base64,..." or jpeg}. At most 2,000.
  Json pictures = Json::object();
  size_t generations_left_out = 0;
  /// {time, step, path, bytes, seconds, deleted}; the last 200, a path once. `deleted`: the run
  /// says that it deleted it (save_total_limit).
  Json checkpoints = Json::array();
  size_t checkpoints_left_out = 0;
  /// {time, step, path, metric, value} of the best checkpoint so far, where one is sought; or null.
  Json best;
  /// {time, step, state: "finished" | "interrupted" | "failed", text, model} of the last start; or
  /// null. `model`: {path, metric, value} of the checkpoint that the final model is of; null: it is
  /// that of the last step.
  Json end;
  /// Seconds from each start to the last line before the next one, summed; and the time of the
  /// last line.
  double seconds = 0, last_time = 0;

  /// Adds a line. False if it is no record of a known kind.
  bool add(std::string_view line);

 private:
  void start(const Json& record, Json& common);
  double session_begin_ = 0, seconds_before_ = 0;
};

}  // namespace lmms::report
