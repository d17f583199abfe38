#include "models/overwrite.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/error.h"
#include "core/format.h"
#include "core/nearest.h"

namespace lmms::models {
namespace {

using nlohmann::json;
using std::string;

constexpr std::array kSections = {"text_config", "vision_config"};

// Keys of transformers' configs (PreTrainedConfig, what generation once kept there, the families'
// own) that change nothing in training here; what model_type and quantization_config say is read
// before the model is made.
constexpr std::array kWithoutUse = {
    "model_type", "quantization_config",
    // about the files and the class
    "_name_or_path", "name_or_path", "_commit_hash", "architectures", "auto_map",
    "transformers_version", "tokenizer_class", "dtype", "torch_dtype", "torchscript",
    // how transformers computes
    "use_cache", "attn_implementation", "_attn_implementation", "experts_implementation",
    "_experts_implementation", "output_attentions", "output_hidden_states", "return_dict",
    "use_return_dict", "use_bfloat16", "chunk_size_feed_forward", "tf_legacy_loss",
    "gradient_checkpointing",
    // other heads and tasks
    "id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "task_specific_params",
    "is_decoder", "is_encoder_decoder", "add_cross_attention", "cross_attention_hidden_size",
    "tie_encoder_decoder", "pruned_heads", "prefix",
    // tokens
    "bos_token_id", "eos_token_id", "sep_token_id", "decoder_start_token_id",
    "vision_start_token_id", "vision_end_token_id", "vision_token_id",
    // generation
    "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
    "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty",
    "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids",
    "num_return_sequences", "output_scores", "return_dict_in_generate", "forced_bos_token_id",
    "forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty",
    "suppress_tokens", "begin_suppress_tokens"};

// Read under some settings only.
constexpr std::array kConditional = {"sliding_window",        "max_window_layers",
                                     "layer_types",           "rope_theta",
                                     "rope_scaling",          "rope_parameters",
                                     "partial_rotary_factor", "original_max_position_embeddings",
                                     "tie_word_embeddings",   "image_token_id",
                                     "video_token_id"};
constexpr std::array kConditionalInRope = {"rope_type",        "type",
                                           "rope_theta",       "partial_rotary_factor",
                                           "factor",           "original_max_position_embeddings",
                                           "attention_factor", "beta_fast",
                                           "beta_slow",        "mscale",
                                           "mscale_all_dim",   "truncate",
                                           "mrope_section",    "mrope_interleaved",
                                           "short_factor",     "long_factor",
                                           "low_freq_factor",  "high_freq_factor"};

bool holds(const auto& list, const string& key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

// "" and the paths of the sections.
std::vector<string> places() {
  std::vector<string> all{""};
  for (const char* section : kSections) all.push_back(string(section) + ".");
  return all;
}

class KeyCheck {
 public:
  explicit KeyCheck(const KeysRead& read) : read_(read) {}

  void keys_of(const json& map, const string& place) {
    const bool rope = place.ends_with("rope_scaling.") || place.ends_with("rope_parameters.");
    for (const auto& [key, value] : map.items()) {
      const string path = place + key;
      const bool is_section = place.empty() && holds(kSections, key);
      const bool is_rope = key == "rope_scaling" || key == "rope_parameters";
      if (read_.contains(path)) {
        if (value.is_object() && (is_section || is_rope)) keys_of(value, path + ".");
      } else if (rope) {
        key_of_rope(key, value, place);
      } else if (!holds(kWithoutUse, key)) {
        key_not_read(key, value, place);
      }
    }
  }

  // The flag in text_config counts where that at the top is false.
  void head_of(const json& overwrite, bool tied) {
    if (tied && overwrite.value("tie_word_embeddings", json()) == false) {
      idle("tie_word_embeddings: has no effect: text_config.tie_word_embeddings is true");
    }
  }

  std::vector<KeyFault> faults() && { return std::move(faults_); }

 private:
  void idle(string text) { faults_.push_back({std::move(text), /*unknown=*/false}); }

  void key_of_rope(const string& key, const json& value, const string& place) {
    if (!holds(kConditionalInRope, key)) {
      unknown(key, place, {kConditionalInRope.begin(), kConditionalInRope.end()});
    } else if (!value.is_null() && key != "type") {
      idle(place + key + ": has no effect with this rope_type");
    }
  }

  void key_not_read(const string& key, const json& value, const string& place) {
    string elsewhere;
    for (const string& other : places()) {
      if (other != place && read_.contains(other + key))
        elsewhere += (elsewhere.empty() ? "" : " or ") + other + key;
    }
    if (!elsewhere.empty()) {
      idle(fmt::format("{}{}: has no effect: this model's config keeps it as {}", place, key,
                       elsewhere));
    } else if (!holds(kConditional, key)) {
      unknown(key, place, {});
    } else if (!value.is_null()) {
      idle(fmt::format("{}{}: has no effect: {}", place, key, reason(key)));
    }
  }

  static string reason(const string& key) {
    if (key == "rope_theta") return "the rope_theta of rope_parameters or rope_scaling is taken";
    if (key == "rope_parameters") return "rope_scaling stands beside it and is taken";
    if (key == "sliding_window" || key == "max_window_layers")
      return "use_sliding_window is not true";
    return "this model does not ask for it";
  }

  void unknown(const string& key, const string& place, std::vector<string> names) {
    for (const string& path : read_) {
      const string rest = path.starts_with(place) ? path.substr(place.size()) : string();
      if (!rest.empty() && rest.find('.') == string::npos) names.push_back(rest);
    }
    if (place.find("rope_") == string::npos)
      names.insert(names.end(), kWithoutUse.begin(), kWithoutUse.end());
    auto nearest = nearest_name(key, names);
    for (const string& other : places()) {  // a mistyped key of another section
      if (nearest) break;
      names.clear();
      for (const string& path : read_) {
        if (path.starts_with(other) && path.find('.', other.size()) == string::npos)
          names.push_back(path.substr(other.size()));
      }
      if (nearest = nearest_name(key, names); nearest) nearest = other + *nearest;
    }
    faults_.push_back({fmt::format("{}{}: unknown key{}", place, key,
                                   nearest ? "; did you mean '" + *nearest + "'?" : ""),
                       /*unknown=*/true});
  }

  const KeysRead& read_;
  std::vector<KeyFault> faults_;
};

}  // namespace

json overwritten(json config, const json& overwrite, const string& where) {
  for (const auto& [key, value] : overwrite.items()) {
    if (!holds(kSections, key) || !value.is_object()) {
      config[key] = value;
      continue;
    }
    json& section = config[key];
    if (section.is_null() && key == "text_config" && config.contains("hidden_size")) {
      throw Error(where,
                  "text_config: this model's config keeps the keys of the text model at its "
                  "top",
                  "write them without text_config");
    }
    if (!section.is_object()) section = json::object();
    section.update(value);
  }
  return config;
}

std::vector<KeyFault> key_faults(const json& keys, const Model& model) {
  KeyCheck check(model.keys_read());
  check.keys_of(keys, "");
  check.head_of(keys, model.params().tied());
  return std::move(check).faults();
}

void check_overwrite(const json& overwrite, const Model& model, const string& where) {
  const std::vector<KeyFault> faults = key_faults(overwrite, model);
  if (faults.empty()) return;
  string text = faults.size() == 1 ? faults.front().text : "keys that change nothing:";
  if (faults.size() > 1) {
    for (const KeyFault& fault : faults) text += "\n    " + fault.text;
  }
  throw Error(where, text, "correct these keys or leave them out");
}

}  // namespace lmms::models
