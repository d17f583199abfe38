#include "inspect/preview/page.h"

#include <nlohmann/json.hpp>
#include <set>

#include "inspect/preview/token_text.h"
#include "report/html/html.h"
#include "text/unicode/utf8.h"

namespace lmms::inspect::embedded {
extern const std::string_view preview_page_css;
extern const std::string_view preview_page_js;
}  // namespace lmms::inspect::embedded

namespace lmms::inspect::preview {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of(Fate fate) {
  switch (fate) {
    case Fate::trained:
      return "trained";
    case Fate::cut:
      return "cut";
    case Fate::skipped:
      return "skipped";
    case Fate::stops:
      return "stops";
  }
  return "?";
}

/// Runs of equal weights above 0 as [begin, end, weight].
Json weights_json(const Tokens& tokens) {
  Json runs = Json::array();
  for (size_t t = 0; t < tokens.weights.size();) {
    const float weight = tokens.weights[t];
    const size_t begin = t;
    while (t < tokens.weights.size() && tokens.weights[t] == weight) ++t;
    if (weight > 0) runs.push_back({begin, t, weight});
  }
  return runs;
}

/// Targets that are not the id that follows; of a masked sample all.
Json targets_json(const Sample& sample) {
  const Tokens& tokens = sample.tokens;
  Json targets = Json::object();
  for (size_t t = 0; t < tokens.ids.size(); ++t) {
    const bool next =
        !sample.masked && t + 1 < tokens.ids.size() && tokens.labels[t] == tokens.ids[t + 1];
    if (tokens.weights[t] > 0 && !next) targets[std::to_string(t)] = tokens.labels[t];
  }
  return targets;
}

/// Positions, if they do not simply count from 0.
Json positions_json(const Tokens& tokens) {
  for (size_t t = 0; t < tokens.positions.size(); ++t) {
    if (tokens.positions[t] != static_cast<int32_t>(t)) return tokens.positions;
  }
  return nullptr;
}

/// The axes of height and width, where there are three.
Json axes_json(const Tokens& tokens) {
  if (tokens.heights.empty()) return nullptr;
  return {tokens.heights, tokens.widths};
}

Json medium_json(const Medium& medium) {
  Json runs = Json::array(), pictures = Json::array();
  for (const PadRun& run : medium.runs) runs.push_back({run.begin, run.end});
  for (const Picture& p : medium.pictures) {
    pictures.push_back({{"url", p.url},
                        {"width", p.width},
                        {"height", p.height},
                        {"rows", p.rows},
                        {"columns", p.columns},
                        {"label", p.label}});
  }
  return {{"video", medium.video},
          {"name", medium.name},
          {"width", medium.width},
          {"height", medium.height},
          {"grid", {medium.grid.t, medium.grid.h, medium.grid.w}},
          {"tokens", medium.tokens},
          {"runs", runs},
          {"pictures", pictures},
          {"left_out", medium.pictures_left_out}};
}

/// What ids stand for: their text, or their bytes where these are no text by themselves.
class Vocabulary {
 public:
  explicit Vocabulary(const std::optional<text::Tokenizer>& tokenizer) : tokenizer_(tokenizer) {}

  void add(int32_t id) {
    if (!known_.insert(id).second) return;
    const auto bytes = tokenizer_->bytes(id);
    const auto key = std::to_string(id);
    if (text::unicode::valid_prefix(bytes) == bytes.size()) {
      texts[key] = bytes;
    } else {
      hexes[key] = hex(bytes);
    }
  }

  Json texts = Json::object(), hexes = Json::object();

 private:
  const std::optional<text::Tokenizer>& tokenizer_;
  std::set<int32_t> known_;
};

/// Texts of tokens that differ from what their ids say alone: parts of a character.
Json texts_json(const Tokens& tokens, const std::optional<text::Tokenizer>& tokenizer) {
  Json different = Json::object();
  if (!tokenizer) return different;
  const auto texts = token_texts(tokens.ids, *tokenizer);
  for (size_t t = 0; t < texts.size(); ++t) {
    if (texts[t] != tokenizer->bytes(tokens.ids[t])) different[std::to_string(t)] = texts[t];
  }
  return different;
}

Json sample_json(const Sample& sample, const std::optional<text::Tokenizer>& tokenizer,
                 Vocabulary& vocabulary) {
  for (const int32_t id : sample.tokens.ids) vocabulary.add(id);
  const Json targets = targets_json(sample);
  for (const auto& target : targets) vocabulary.add(target.get<int32_t>());
  Json turns = Json::array();
  for (const auto& turn : sample.turns)
    turns.push_back({turn.role, turn.begin, turn.end, turn.trained});
  Json media = Json::array();
  for (const auto& medium : sample.media) media.push_back(medium_json(medium));
  return {{"source", sample.source},
          {"origin", sample.origin},
          {"fate", name_of(sample.fate)},
          {"reason", data::skip_reason_name(sample.reason)},
          {"policy", sample.policy},
          {"what", sample.fault.what},
          {"fix", sample.fault.fix},
          {"row", sample.row ? Json(*sample.row) : Json(nullptr)},
          {"trained", sample.trained_tokens},
          {"turns", turns},
          {"masked", sample.masked},
          {"times", sample.times},
          {"patches", sample.patches},
          {"image_class", sample.image_class ? Json(*sample.image_class) : Json(nullptr)},
          {"ids", sample.tokens.ids},
          {"weights", weights_json(sample.tokens)},
          {"targets", targets},
          {"positions", positions_json(sample.tokens)},
          {"axes", axes_json(sample.tokens)},
          {"media", media},
          {"texts", texts_json(sample.tokens, tokenizer)}};
}

Json source_json(const Source& source) {
  return {{"path", source.path},
          {"format", source.format},
          {"weight", source.weight},
          {"files", source.files},
          {"bytes", source.bytes},
          {"looked_at", source.bytes_looked_at ? Json(*source.bytes_looked_at) : Json(nullptr)},
          {"shown", source.shown},
          {"to_the_end", source.to_the_end}};
}

Json page_json(const Preview& preview) {
  Vocabulary vocabulary(preview.vocabulary);
  Json sources = Json::array(), samples = Json::array(), rows = Json::array(),
       special = Json::array();
  for (const auto& source : preview.sources) sources.push_back(source_json(source));
  for (const auto& sample : preview.samples)
    samples.push_back(sample_json(sample, preview.vocabulary, vocabulary));
  for (const auto& row : preview.rows)
    rows.push_back({{"samples", row.samples}, {"tokens", row.tokens}, {"patches", row.patches}});
  if (preview.vocabulary)
    for (const auto& token : preview.vocabulary->added_tokens()) special.push_back(token.id);
  return {{"config", preview.config},
          {"evaluation", preview.evaluation},
          {"named", preview.named},
          {"processor", preview.processor_type},
          {"tokenizer", preview.tokenizer},
          {"vocabulary_size", preview.vocabulary ? preview.vocabulary->vocab_size() : 0},
          {"packing", preview.packing ? Json(*preview.packing) : Json(nullptr)},
          {"row_length", preview.row_length},
          {"row_patches", preview.row_patches},
          {"open_rows", preview.open_rows},
          {"shuffle", preview.shuffle},
          {"sources", sources},
          {"sources_left_out", preview.sources_left_out},
          {"rows", rows},
          {"samples", samples},
          {"special", special},
          {"mask", preview.mask_token ? Json(*preview.mask_token) : Json(nullptr)},
          {"vocabulary", vocabulary.texts},
          {"bytes", vocabulary.hexes}};
}

}  // namespace

std::string render_page(const Preview& preview) {
  const std::string data =
      page_json(preview).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return report::html::page({.kind = "preview",
                             .title = preview.config.empty() ? "config" : preview.config,
                             .css = embedded::preview_page_css,
                             .json = data,
                             .scripts = {embedded::preview_page_js}});
}

}  // namespace lmms::inspect::preview
