#include "inspect/preview/terminal.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/format.h"
#include "core/units.h"
#include "inspect/preview/flow.h"
#include "inspect/preview/token_text.h"

namespace lmms::inspect::preview {
namespace {

constexpr int kNarrowest = 40, kWidest = 120;
/// Tokens of a long sample that are shown from its beginning and its end.
constexpr int64_t kHead = 400, kTail = 160;
/// Fewer pads of an image in a row than this are shown one by one.
constexpr int64_t kFold = 4;
constexpr size_t kMostMedia = 12;
constexpr size_t kMostTurns = 6, kMostTimes = 8;

enum class Style { plain, trained, special, trained_special, title, soft, good, warn, bad };

/// One token, or the pads of an image in a row.
struct Unit {
  size_t begin = 0, end = 0;
  int64_t tokens() const { return static_cast<int64_t>(end - begin); }
};

/// Text in a style, for a screen with colours or without.
class Painter {
 public:
  explicit Painter(bool colour) : colour_(colour) {}
  bool colour() const { return colour_; }

  /// One piece of a line.
  std::string operator()(Style style, std::string_view text) const {
    if (text.empty() || code(style).empty()) return marked(style, text);
    return fmt::format("{}{}\x1b[0m", code(style), text);
  }
  /// Text that flows over lines.
  void add(Flow& flow, Style style, std::string_view text) const {
    flow.add(code(style), marked(style, text));
  }

 private:
  std::string marked(Style style, std::string_view text) const {
    const bool trained = style == Style::trained || style == Style::trained_special;
    return trained && !colour_ && !text.empty() ? fmt::format("⟦{}⟧", text) : std::string(text);
  }

  std::string_view code(Style style) const {
    if (!colour_) return "";
    switch (style) {
      case Style::plain:
        return "";
      case Style::trained:
        return "\x1b[32m";
      case Style::special:
        return "\x1b[2m";
      case Style::trained_special:
        return "\x1b[2;32m";
      case Style::title:
        return "\x1b[1m";
      case Style::soft:
        return "\x1b[2m";
      case Style::good:
        return "\x1b[32m";
      case Style::warn:
        return "\x1b[33m";
      case Style::bad:
        return "\x1b[31m";
    }
    return "";
  }
  bool colour_;
};

std::string bytes_text(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(kUnits); ++unit) value /= 1000;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string percent(int64_t part, int64_t whole) {
  return fmt::format(
      "{:.0f} %",
      whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

/// "1 token", "2 tokens".
std::string counted(int64_t n, std::string_view what) {
  return fmt::format("{} {}{}", grouped(n), what, n == 1 ? "" : "s");
}

class Renderer {
 public:
  Renderer(const Preview& preview, const Screen& screen, const TerminalOptions& options)
      : preview_(preview),
        paint_(screen.colour),
        width_(std::clamp(screen.width, kNarrowest, kWidest)),
        screen_width_(std::max(screen.width, kNarrowest)),
        options_(options) {
    if (preview.vocabulary)
      for (const auto& token : preview.vocabulary->added_tokens()) special_.push_back(token.id);
    std::sort(special_.begin(), special_.end());
  }

  std::string render() {
    head();
    for (size_t i = 0; i < preview_.samples.size(); ++i) sample(i);
    rows();
    return std::move(out_);
  }

 private:
  void line(std::string_view text) {
    out_ += text;
    out_ += '\n';
  }

  /// A sentence.
  void wrapped(Style style, std::string_view text, std::string_view indent = "") {
    Flow flow(width_, indent);
    paint_.add(flow, style, text);
    out_ += flow.take();
  }

  void head() {
    wrapped(Style::title,
            fmt::format(
                "{}: {}, {}", preview_.config.empty() ? "config" : shown_path(preview_.config),
                preview_.evaluation ? "evaluation data" : "training data",
                preview_.packing
                    ? fmt::format(
                          "rows of up to {} tokens{} packed by {}", grouped(preview_.row_length),
                          preview_.row_patches > 0
                              ? fmt::format(" and {} patches", grouped(preview_.row_patches))
                              : "",
                          *preview_.packing)
                    : "a sample is a row"));
    wrapped(Style::plain, preview_.vocabulary
                              ? fmt::format("processor {}, tokenizer {} ({} tokens)",
                                            preview_.processor_type, shown_path(preview_.tokenizer),
                                            grouped(preview_.vocabulary->vocab_size()))
                              : fmt::format("processor {}, no tokenizer", preview_.processor_type));
    for (size_t s = 0; s < preview_.sources.size(); ++s) source(s);
    if (preview_.sources_left_out > 0) {
      wrapped(Style::warn, fmt::format("and {} more sources that are not shown; -n 1 shows all",
                                       grouped(preview_.sources_left_out)));
    }
    if (options_.ids) {
      wrapped(Style::plain,
              "target: the id that a position is trained to predict, · if none; on the left the "
              "position of the first");
    }
    if (preview_.vocabulary && (paint_.colour() || !options_.ids)) {
      Flow flow(width_);
      paint_.add(flow, Style::trained, paint_.colour() ? "green" : "in brackets");
      paint_.add(flow, Style::plain,
                 preview_.mask_token
                     ? ": masked; the model is trained to tell what it was. Training "
                       "draws other masks each time"
                     : ": the model is trained to predict it");
      out_ += flow.take();
    }
    out_ += '\n';
  }

  static std::string shown_path(std::string_view path) { return visible(path, Newline::marked); }

  void source(size_t s) {
    const Source& source = preview_.sources[s];
    std::string text =
        fmt::format("source {}: {} ({}", s + 1, shown_path(source.path), source.format);
    if (source.files > 1) text += fmt::format(", {} files", grouped(source.files));
    if (source.weight != 1.0) text += fmt::format(", weight {}", source.weight);
    text += fmt::format(", {})", bytes_text(source.bytes));
    if (preview_.named) {
      text += source.shown > 0 ? fmt::format(": {}", counted(source.shown, "named row")) : "";
    } else {
      text += source.to_the_end ? fmt::format(": its {}", counted(source.shown, "row"))
                                : fmt::format(": its first {}", counted(source.shown, "row"));
      if (source.bytes_looked_at && *source.bytes_looked_at < source.bytes)
        text += fmt::format(", {} looked at", bytes_text(*source.bytes_looked_at));
    }
    wrapped(Style::plain, text);
  }

  void sample(size_t i) {
    const Sample& sample = preview_.samples[i];
    title(i, sample);
    facts(sample);
    media(sample);
    verdict(sample);
    if (sample.tokens.size() > 0) {
      if (options_.ids) {
        table(sample);
      } else {
        text(sample);
      }
    }
    out_ += '\n';
  }

  void title(size_t i, const Sample& sample) {
    const std::string name = fmt::format("── {} ── {} ", i + 1, shown_path(sample.origin));
    if (width_of(name) >= width_) {
      wrapped(Style::title, name);
      return;
    }
    std::string rule;
    for (int w = width_of(name); w < width_; ++w) rule += "─";
    line(paint_(Style::title, name) + paint_(Style::soft, rule));
  }

  void facts(const Sample& sample) {
    const int64_t n = sample.tokens.size();
    if (sample.patches > 0) image_facts(sample);
    if (n == 0) return;
    std::string text =
        fmt::format("{}, {} {} ({})", counted(n, "token"), grouped(sample.trained_tokens),
                    sample.masked ? "masked" : "trained", percent(sample.trained_tokens, n));
    if (sample.row) {
      text +=
          fmt::format(" · row {} · positions {} to {}", *sample.row + 1, position(sample.tokens, 0),
                      position(sample.tokens, sample.tokens.ids.size() - 1));
    }
    text += times_text(sample);
    for (size_t t = 0; t < sample.turns.size(); ++t) {
      if (t == kMostTurns && sample.turns.size() > kMostTurns + 1) {
        text += fmt::format(", {} more turns", sample.turns.size() - t);
        break;
      }
      const Turn& turn = sample.turns[t];
      text += fmt::format("{}{} {}", t == 0 ? " · " : ", ",
                          turn.role.empty() ? "(no role)" : visible(turn.role, Newline::marked),
                          grouped(turn.end - turn.begin));
      if (turn.trained > 0) text += fmt::format(" ({} trained)", grouped(turn.trained));
    }
    wrapped(Style::plain, text);
  }

  /// "4,096 patches, class 7 · row 1 · t 0.41"
  void image_facts(const Sample& sample) {
    std::string text =
        fmt::format("{} patch{}", grouped(sample.patches), sample.patches == 1 ? "" : "es");
    if (sample.image_class) text += fmt::format(", class {}", *sample.image_class);
    if (sample.row) text += fmt::format(" · row {}", *sample.row + 1);
    if (!sample.times.empty())
      text += fmt::format(" · noised to t = {:.2f} (0: noise, 1: data)", sample.times.front());
    wrapped(Style::plain, text);
  }

  /// What masked diffusion drew: the share t of masked tokens, and the weight 1 / t of each.
  static std::string times_text(const Sample& sample) {
    if (sample.times.empty()) return "";
    std::string text = " · t";
    for (size_t i = 0; i < sample.times.size(); ++i) {
      if (i == kMostTimes) {
        text +=
            fmt::format(", ... of {} blocks", grouped(static_cast<int64_t>(sample.times.size())));
        break;
      }
      text += fmt::format("{}{:.2f}", i == 0 ? " " : ", ", sample.times[i]);
    }
    if (sample.times.size() == 1) text += fmt::format(", weight {:.3g}", 1 / sample.times.front());
    return text;
  }

  /// "image 3: cat.jpg, 500x333 -> grid 1x24x36 -> 216 tokens"
  void media(const Sample& sample) {
    size_t images = 0, videos = 0;
    for (size_t i = 0; i < sample.media.size(); ++i) {
      const Medium& medium = sample.media[i];
      const size_t number = medium.video ? ++videos : ++images;
      if (i == kMostMedia && sample.media.size() > kMostMedia + 1 && !options_.full) {
        wrapped(Style::soft, fmt::format("and {} more images and videos; --full shows them",
                                         sample.media.size() - i));
        return;
      }
      std::string text = fmt::format("{} {}: {}", medium.video ? "video" : "image", number,
                                     visible(medium.name, Newline::marked));
      if (medium.width > 0) text += fmt::format(", {}x{}", medium.width, medium.height);
      text += fmt::format(" -> grid {}x{}x{} -> {}", medium.grid.t, medium.grid.h, medium.grid.w,
                          counted(medium.tokens, "token"));
      wrapped(Style::plain, text, "  ");
    }
  }

  /// Of a token: one number, or "time/height/width" where they differ.
  static std::string position(const Tokens& tokens, size_t t) {
    if (tokens.heights.empty() ||
        (tokens.heights[t] == tokens.positions[t] && tokens.widths[t] == tokens.positions[t]))
      return grouped(tokens.positions[t]);
    return fmt::format("{}/{}/{}", tokens.positions[t], tokens.heights[t], tokens.widths[t]);
  }

  /// What becomes of a record that is not simply trained.
  void verdict(const Sample& sample) {
    if (sample.fate == Fate::trained) return;
    const auto why = visible(sample.fault.what, Newline::marked);
    switch (sample.fate) {
      case Fate::trained:
        return;
      case Fate::cut:
        wrapped(Style::warn, fmt::format("cut: {} ({})", why, sample.policy));
        return;
      case Fate::skipped:
        wrapped(Style::warn,
                fmt::format("not trained, {}: {} ({})", data::skip_reason_name(sample.reason), why,
                            sample.policy));
        return;
      case Fate::stops:
        wrapped(Style::bad, fmt::format("training stops here, {}: {} ({})",
                                        data::skip_reason_name(sample.reason), why, sample.policy));
        if (!sample.fault.fix.empty())
          wrapped(Style::plain, "fix: " + visible(sample.fault.fix, Newline::marked), "    ");
        return;
    }
  }

  bool is_special(int32_t id) const {
    return std::binary_search(special_.begin(), special_.end(), id);
  }

  Style style_of(const Sample& sample, size_t t) const {
    const bool trained = preview_.is_trained(sample, t);
    if (paint_.colour() && is_special(sample.tokens.ids[t]))
      return trained ? Style::trained_special : Style::special;
    return trained ? Style::trained : Style::plain;
  }

  /// The tokens in order, pads of an image in a row together.
  std::vector<Unit> units_of(const Sample& sample) const {
    std::vector<Unit> units;
    size_t t = 0;
    const auto singles = [&](size_t end) {
      for (; t < end; ++t) units.push_back({t, t + 1});
    };
    for (const Medium& medium : sample.media) {
      for (const PadRun& run : medium.runs) {
        if (run.end - run.begin < kFold) continue;
        singles(static_cast<size_t>(run.begin));
        units.push_back({t, static_cast<size_t>(run.end)});
        t = static_cast<size_t>(run.end);
      }
    }
    singles(sample.tokens.ids.size());
    return units;
  }

  /// The units that are shown: all, or two spans around the middle that is left out.
  struct Extent {
    std::span<const Unit> head, tail;
    int64_t left_out = 0;  ///< tokens
  };
  Extent extent_of(std::span<const Unit> units) const {
    if (options_.full || units.size() <= kHead + kTail) return {units, {}, 0};
    const auto tail = units.last(kTail);
    return {units.first(kHead), tail,
            static_cast<int64_t>(tail.front().begin - units[kHead].begin)};
  }

  void say_left_out(const Extent& extent) {
    wrapped(Style::soft,
            fmt::format("[{} not shown; --full shows them]", counted(extent.left_out, "token")));
  }

  /// The text of a unit: "<|image_pad|> x 216".
  static std::string text_of(const Unit& unit, const std::vector<std::string>& texts) {
    return unit.tokens() == 1 ? texts[unit.begin]
                              : fmt::format("{} x {}", texts[unit.begin], grouped(unit.tokens()));
  }

  /// The text, neighbours of one style together.
  void text(const Sample& sample) {
    const Tokens& tokens = sample.tokens;
    const auto texts = texts_of(tokens);
    const auto units = units_of(sample);
    const auto extent = extent_of(units);
    const auto show = [&](std::span<const Unit> span) {
      Flow flow(screen_width_);
      std::string run;
      Style style = Style::plain;
      const auto end_run = [&] {
        paint_.add(flow, style, visible(std::exchange(run, {}), Newline::kept));
      };
      for (const Unit& unit : span) {
        if (const Style next = style_of(sample, unit.begin); next != style) {
          end_run();
          style = next;
        }
        if (const Block* block = begins_at(sample, unit.begin)) {
          end_run();
          paint_.add(flow, Style::soft, block->noised ? "│noised│" : "│clean│");
        }
        run += text_of(unit, texts);
      }
      end_run();
      out_ += flow.take();
    };
    show(extent.head);
    if (extent.left_out > 0) {
      say_left_out(extent);
      show(extent.tail);
    }
    if (!sample.masked) beyond_the_cut(tokens);
  }

  /// The texts of its tokens; of a mask without one of the tokenizer's, "[MASK]".
  std::vector<std::string> texts_of(const Tokens& tokens) const {
    std::vector<std::string> texts = token_texts(tokens.ids, *preview_.vocabulary);
    if (!preview_.mask_token || preview_.vocabulary->token(*preview_.mask_token)) return texts;
    for (size_t t = 0; t < texts.size(); ++t)
      if (tokens.ids[t] == preview_.mask_token) texts[t] = "[MASK]";
    return texts;
  }

  static const Block* begins_at(const Sample& sample, size_t token) {
    for (const Block& block : sample.blocks)
      if (block.begin == static_cast<int64_t>(token)) return &block;
    return nullptr;
  }

  /// The last position of a sample that was cut has a target that is no token of it.
  void beyond_the_cut(const Tokens& tokens) {
    if (tokens.size() == 0 || tokens.weights.back() <= 0) return;
    const std::string next = visible(
        token_texts({&tokens.labels.back(), 1}, *preview_.vocabulary).front(), Newline::marked);
    Flow flow(width_);
    paint_.add(flow, Style::soft, "the last position is trained to predict what was cut off: ");
    paint_.add(flow, Style::trained, next);
    out_ += flow.take();
  }

  /// Columns of text, id and target, as many as fit, with the position of the first beside them.
  void table(const Sample& sample) {
    const auto texts = texts_of(sample.tokens);
    const auto units = units_of(sample);
    const auto extent = extent_of(units);
    block(sample, texts, extent.head);
    if (extent.left_out > 0) {
      say_left_out(extent);
      block(sample, texts, extent.tail);
    }
    if (!sample.masked) beyond_the_cut(sample.tokens);
  }

  struct Cell {
    std::string text, id, target;
    int width = 0;
  };

  /// At most `columns` wide.
  Cell cell(const Tokens& tokens, const std::vector<std::string>& texts, const Unit& unit,
            int columns) const {
    Cell cell;
    const size_t t = unit.begin;
    cell.text = visible(texts[t], Newline::marked);
    if (width_of(cell.text) == 0)  // part of a character, or one that shows nothing by itself
      cell.text = "<" + hex(preview_.vocabulary->bytes(tokens.ids[t])) + ">";
    for (size_t at = 0; (at = cell.text.find(' ', at)) != std::string::npos;)
      cell.text.replace(at, 1, "␣");
    if (unit.tokens() > 1) cell.text += " x " + grouped(unit.tokens());
    cell.text = shortened(cell.text, columns);
    cell.id = std::to_string(tokens.ids[t]);
    if (tokens.weights[t] > 0) {
      cell.target = std::to_string(tokens.labels[t]);
      if (tokens.weights[t] != 1.0f) cell.target += fmt::format("x{:.3g}", tokens.weights[t]);
    } else {
      cell.target = "·";
    }
    cell.width = std::max({width_of(cell.text), width_of(cell.id), width_of(cell.target)});
    return cell;
  }

  void block(const Sample& sample, const std::vector<std::string>& texts,
             std::span<const Unit> units) {
    const Tokens& tokens = sample.tokens;
    constexpr int kLabels = 9;
    for (size_t u = 0; u < units.size();) {
      const std::string first = tokens.heights.empty()
                                    ? fmt::format("{}", tokens.positions[units[u].begin])
                                    : position(tokens, units[u].begin);
      const int labels = std::max(kLabels, width_of(first) + 1);
      const auto name = [&](std::string_view text) {
        return paint_(Style::soft, fmt::format("{:<{}}", text, labels));
      };
      std::string text = name(first), ids = name("  id"), targets = name("  target");
      for (int used = labels; u < units.size(); ++u) {
        const size_t t = units[u].begin;
        const Cell next = cell(tokens, texts, units[u], screen_width_ - labels);
        if (used > labels && used + next.width > screen_width_) break;
        used += next.width + 1;
        const auto pad = [&](std::string_view shown) {
          return std::string(static_cast<size_t>(next.width + 1 - width_of(shown)), ' ');
        };
        // Without colours the row of targets says it.
        text +=
            (paint_.colour() ? paint_(style_of(sample, t), next.text) : next.text) + pad(next.text);
        ids += next.id + pad(next.id);
        const bool trained = tokens.weights[t] > 0;
        targets += (paint_.colour() ? paint_(trained ? Style::good : Style::soft, next.target)
                                    : next.target) +
                   pad(next.target);
      }
      for (auto* row : {&text, &ids, &targets}) {
        line(std::string_view(*row).substr(0, row->find_last_not_of(' ') + 1));
      }
      if (u < units.size()) out_ += '\n';
    }
  }

  void rows() {
    int64_t tokens = 0, trained = 0, samples = 0;
    for (const auto& sample : preview_.samples) {
      if (!sample.row) continue;
      ++samples;
      tokens += sample.tokens.size() + sample.patches;
      trained += sample.trained_tokens;
    }
    const auto left_out = static_cast<int64_t>(preview_.samples.size()) - samples;
    std::string sum =
        preview_.vocabulary
            ? fmt::format("{} trained, {}, {} of them targets ({})", counted(samples, "sample"),
                          counted(tokens, "token"), grouped(trained), percent(trained, tokens))
            : fmt::format("{} trained, {} patches", counted(samples, "sample"), grouped(tokens));
    if (left_out > 0) sum += fmt::format("; {} not trained", counted(left_out, "record"));
    if (!preview_.packing) {
      wrapped(Style::title, sum);
      return;
    }
    const auto count = static_cast<int64_t>(preview_.rows.size());
    wrapped(Style::title, fmt::format("{}; {}, {} full", sum, counted(count, "row"),
                                      percent(tokens, count * preview_.row_length)));
    for (size_t r = 0; r < preview_.rows.size(); ++r) row(r);
    wrapped(Style::soft,
            fmt::format("These rows hold the samples shown, in the order shown. Training {}{}: its "
                        "rows are fuller and mixed otherwise.",
                        preview_.shuffle ? "shuffles" : "goes through all records",
                        preview_.open_rows > 1
                            ? fmt::format(" and fills {} rows at once", preview_.open_rows)
                            : ""));
  }

  /// "4,096 tokens, 1,200 / 16,384 patches"
  std::string patches_of(const Row& row) const {
    std::string text = grouped(preview_.row_length) + " tokens";
    if (preview_.row_patches > 0) {
      text += fmt::format(", {} / {} patches", grouped(row.patches), grouped(preview_.row_patches));
    } else if (row.patches > 0) {
      text += fmt::format(", {} patches", grouped(row.patches));
    }
    return text;
  }

  void row(size_t r) {
    const Row& row = preview_.rows[r];
    const std::string name = fmt::format("row {:<3} ", r + 1);
    const std::string full = fmt::format(" {:>4}", percent(row.tokens, preview_.row_length));
    std::string holds = fmt::format("{} / {}  {}", grouped(row.tokens), patches_of(row),
                                    row.samples.size() == 1 ? "sample" : "samples");
    for (const int64_t sample : row.samples) holds += fmt::format(" {}", sample + 1);
    const int room = width_ - width_of(name) - width_of(full);
    const int widest = 32, narrowest = 16;
    // Beside the bar if there is room for it, else in lines below.
    const int beside = room - 2 - width_of(holds);
    const bool below = beside < narrowest;
    line(name + bar_of(row, std::min(below ? room : beside, widest)) + full +
         (below ? "" : "  " + holds));
    if (below) wrapped(Style::plain, holds, std::string(name.size(), ' '));
  }

  /// Its samples by their tokens, neighbours told apart, and what is free.
  std::string bar_of(const Row& row, int64_t columns) const {
    std::string bar;
    int64_t drawn = 0, tokens = 0;
    for (size_t k = 0; k < row.samples.size(); ++k) {
      tokens += preview_.samples[static_cast<size_t>(row.samples[k])].tokens.size();
      const int64_t until = (tokens * columns + preview_.row_length / 2) / preview_.row_length;
      for (; drawn < until; ++drawn) bar += k % 2 == 0 ? "█" : "▓";
    }
    for (; drawn < columns; ++drawn) bar += "░";
    return bar;
  }

  const Preview& preview_;
  Painter paint_;
  int width_;         ///< of sentences
  int screen_width_;  ///< of tables
  TerminalOptions options_;
  std::vector<int32_t> special_;
  std::string out_;
};

}  // namespace

std::string render_terminal(const Preview& preview, const Screen& screen,
                            const TerminalOptions& options) {
  return Renderer(preview, screen, options).render();
}

}  // namespace lmms::inspect::preview
