#pragma once
/// Samples and rows as the model will see them, before anything is trained: what `lmms preview`
/// shows. The renderers (terminal.h, page.h) read these structs and nothing else.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/patch_grid.h"
#include "data/config.h"
#include "data/loader.h"
#include "data/policy.h"
#include "data/processor.h"
#include "models/denoiser.h"
#include "text/tokenizer.h"

namespace lmms::inspect::preview {

/// The data of a run, and what makes samples and rows of them.
struct Input {
  std::string config;  ///< its file
  data::DataConfig data;
  std::vector<data::SourceConfig> sources;  ///< of the training data, or of the evaluation's
  bool evaluation = false;                  ///< of the evaluation data, which is never packed
  /// Finds broken pixels while it measures, whatever the policy: a rotten file is a row that is
  /// told of, and the others are shown.
  std::shared_ptr<const data::Processor> processor;
  std::optional<text::Tokenizer> tokenizer;  ///< none where the records are no texts
  std::string tokenizer_folder;
  data::LoaderOptions loader;  ///< policies, packing, costs, pads and what the objective draws
  /// Of masked diffusion: what stands for a masked token. A drawn sample is shown as one of the
  /// many that training draws of the same record.
  std::optional<int32_t> mask_token = std::nullopt;
  /// Of a denoiser: what its samples are, and the way between noise and data. Samples are then
  /// shown as images, as they are and noised as training draws one of many.
  struct Denoising {
    models::LatentShape shape;
    models::InterpolantPath path = models::InterpolantPath::linear;
  };
  std::optional<Denoising> denoising = std::nullopt;
};

struct Options {
  /// From the front of each; absent: 3, of many sources fewer.
  std::optional<int64_t> rows_per_source = std::nullopt;
  std::vector<std::string> named_rows = {};  ///< instead: as data::NamedRows reads them
  bool pictures = false;                     ///< decode images and videos to show them
};

/// The positions of a sample, exactly as a batch holds them.
struct Tokens {
  std::vector<int32_t> ids;              ///< [n]
  std::vector<int32_t> labels;           ///< [n] target of each position; 0 where it is not trained
  std::vector<float> weights;            ///< [n] of each target in the loss; 0: not trained
  std::vector<int32_t> positions;        ///< [n]; with three axes (M-RoPE) those of time
  std::vector<int32_t> heights, widths;  ///< [n] the other two axes; empty where there is one
  int64_t size() const { return static_cast<int64_t>(ids.size()); }
};

/// A turn of a chat: from <|im_start|> to before the next. What precedes the first is a turn
/// without a role.
struct Turn {
  std::string role;
  int64_t begin = 0, end = 0;  ///< tokens
  int64_t trained = 0;         ///< of its tokens, those that are targets
};

/// Tokens [begin, end) of one kind that take features of an image or video.
struct PadRun {
  int64_t begin = 0, end = 0;
};

/// A frame, tile or image as the vision tower sees it.
struct Picture {
  std::string url;  ///< data:image/..., small
  int width = 0, height = 0;
  int64_t rows = 0, columns = 0;  ///< of the cells that become a token each; 0: none do
  std::string label;
};

struct Medium {
  bool video = false;
  std::string name;           ///< its path, or how many bytes it has
  int width = 0, height = 0;  ///< of the file; 0: not known
  PatchGrid grid;
  int64_t tokens = 0;
  std::vector<PadRun> runs;       ///< together `tokens`
  std::vector<Picture> pictures;  ///< where Options::pictures asks for them; of many some
  int64_t pictures_left_out = 0;
};

/// What training does with a record.
enum class Fate {
  trained,
  cut,      ///< trained, but only its first tokens
  skipped,  ///< counted and left out
  stops,    ///< a policy ends the run here
};

/// Tokens [begin, end) that see each other in one way, where a sample has several.
struct Block {
  int64_t begin = 0, end = 0;
  bool noised = false;  ///< block diffusion: beside it stands the clean one
};

struct Sample {
  int32_t source = 0;  ///< in Preview::sources
  std::string origin;  ///< "chats.jsonl:18233"
  Fate fate = Fate::trained;
  data::SkipReason reason = data::SkipReason::bad;  ///< of `skipped` and `stops`
  std::string policy;                               ///< what decided: "on_overlong: drop"
  Fault fault;                                      ///< why; empty for `trained`
  /// Of records that are not trained, the tokens they have all the same; none if it is broken.
  Tokens tokens;
  int64_t trained_tokens = 0;  ///< targets
  /// Drawn for masked diffusion: the masked tokens are the targets, each of its own position (or of
  /// the one before it).
  bool masked = false;
  std::vector<float> times;  ///< t that were drawn, one for each noised block
  int64_t patches = 0;       ///< of an image or latent: its tokens, which have no ids
  std::optional<int64_t> image_class;
  std::vector<Block> blocks;   ///< none where it is one
  std::vector<Turn> turns;     ///< none for plain text
  std::vector<Medium> media;   ///< in the order of their tokens
  std::optional<int64_t> row;  ///< in Preview::rows; absent: not trained
};

/// Samples that share a row, in their order there.
struct Row {
  std::vector<int64_t> samples;  ///< in Preview::samples
  int64_t tokens = 0;
  int64_t patches = 0;  ///< of images and videos
};

struct Source {
  std::string path, format;
  double weight = 1.0;
  int64_t files = 1;
  int64_t bytes = 0;                       ///< of all its files
  std::optional<int64_t> bytes_looked_at;  ///< of them; absent: unknown
  int64_t shown = 0;                       ///< samples
  bool to_the_end = false;                 ///< it was found to have no more rows
};

struct Preview {
  explicit Preview(std::optional<text::Tokenizer> tokenizer) : vocabulary(std::move(tokenizer)) {}

  std::optional<text::Tokenizer> vocabulary;  ///< none where the records are no texts
  std::string config;                         ///< its file
  std::string processor_type;
  std::string tokenizer;  ///< its folder
  bool evaluation = false;
  bool named = false;  ///< rows that were asked for by name, not the heads
  std::vector<Source> sources;
  int64_t sources_left_out = 0;  ///< behind the last of `sources`
  std::vector<Sample> samples;
  std::vector<Row> rows;
  std::optional<std::string> packing;  ///< the strategy
  int64_t row_length = 0;              ///< with packing
  int64_t row_patches = 0;             ///< with packing_patches
  int64_t open_rows = 1;               ///< with packing: rows that training holds open
  bool shuffle = false;                ///< training takes the records in another order
  std::optional<int32_t> mask_token;   ///< Input::mask_token

  bool is_trained(const Sample& sample, size_t token) const {
    if (sample.masked) return sample.tokens.ids[token] == mask_token;
    return token > 0 && sample.tokens.weights[token - 1] > 0;
  }
};

/// Reads the head of each source, or the named rows, makes samples of them under the policies and
/// packs them, in the order they are shown, as one lane of training does. Loads no weights and
/// makes no index. Throws Error for what would keep training from starting, and for a named row
/// that does not exist; a record that cannot be trained is shown instead, with the reason.
Preview make_preview(const Input& input, const Options& options);

}  // namespace lmms::inspect::preview
