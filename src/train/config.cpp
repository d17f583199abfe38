#include "train/config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/config/fields.h"

namespace lmms::config {

/// A list of names, or one; `lmms_engine` is all of them.
template <>
struct Codec<train::Compat> {
  static void read(const Node& node, train::Compat& value, const ReadContext& context) {
    std::vector<std::string> names;
    Codec<std::vector<std::string>>::read(node, names, context);
    const auto has = [&](std::string_view name) {
      return std::find(names.begin(), names.end(), name) != names.end() ||
             std::find(names.begin(), names.end(), "lmms_engine") != names.end();
    };
#define LMMS_COMPAT(name, help) value.name = has(#name);
#include "train/compat.def"
#undef LMMS_COMPAT
  }
  static Node write(const train::Compat& value) {
    Node node;
    node.kind = Node::Kind::list;
#define LMMS_COMPAT(name, help) \
  if (value.name) node.items.push_back(to_node(std::string(#name)));
#include "train/compat.def"
#undef LMMS_COMPAT
    return node;
  }
  static std::string type(const Rule& rule) {
    return Codec<std::vector<std::string>>::type(rule);
  }
};

}  // namespace lmms::config

namespace lmms::train {

using config::Built;
using config::EnumName;
using config::Fields;
using config::Name;
using config::Rule;
using config::Type;

std::span<const Name> trainer_type_names() {
#define LMMS_TRAINER_TYPE(name, entry, help) Name{#name, Built::built, help},
#define LMMS_TRAINER_TYPE_LATER(name, help) Name{#name, Built::later, help},
  static const std::array list = {
#include "objectives/trainer_types.def"
  };
#undef LMMS_TRAINER_TYPE
#undef LMMS_TRAINER_TYPE_LATER
  return list;
}

std::span<const Name> compat_names() {
#define LMMS_COMPAT(name, help) Name{#name, Built::built, help},
  static const std::array list = {
#include "train/compat.def"
      Name{"lmms_engine", Built::built, "all of them"},
  };
#undef LMMS_COMPAT
  return list;
}

std::span<const Name> not_built_names() {
#define LMMS_NOT_BUILT(name, what) Name{name, Built::later, what},
  static const std::array list = {
#include "train/not_built.def"
  };
#undef LMMS_NOT_BUILT
  return list;
}

std::span<const EnumName<Every>> enum_names(Every) {
  static constexpr EnumName<Every> list[] = {
      {Every::no, "no"}, {Every::steps, "steps"}, {Every::epoch, "epoch"}};
  return list;
}

std::span<const EnumName<SaveStrategy>> enum_names(SaveStrategy) {
  static constexpr EnumName<SaveStrategy> list[] = {{SaveStrategy::no, "no"},
                                                    {SaveStrategy::steps, "steps"},
                                                    {SaveStrategy::epoch, "epoch"},
                                                    {SaveStrategy::best, "best"}};
  return list;
}

std::span<const EnumName<GradientCheckpointing>> enum_names(GradientCheckpointing) {
  static constexpr EnumName<GradientCheckpointing> list[] = {
      {GradientCheckpointing::off, "false"},
      {GradientCheckpointing::on, "true"},
      {GradientCheckpointing::automatic, "auto"},
  };
  return list;
}

std::span<const EnumName<NumberType>> enum_names(NumberType) {
  static constexpr EnumName<NumberType> list[] = {{NumberType::float32, "float32"},
                                                  {NumberType::bfloat16, "bfloat16"},
                                                  {NumberType::float16, "float16"}};
  return list;
}

int64_t rows_a_step(const TrainerArgs& args) {
  return args.global_rows.value_or(args.per_device_train_batch_size *
                                   args.gradient_accumulation_steps);
}

int64_t micro_steps_of(const TrainerArgs& args, int64_t rows) {
  const int64_t n = args.per_device_train_batch_size;
  return (rows + n - 1) / n;
}

int64_t steps_of(double value, int64_t total_steps) {
  if (value >= 1) return static_cast<int64_t>(value);
  return std::max<int64_t>(
      1, static_cast<int64_t>(std::ceil(value * static_cast<double>(total_steps))));
}

void fields(Fields& f, TrainConfig& c) {
  f("trainer_type", c.trainer_type, "which training loop",
    Rule().one_of(trainer_type_names()).extended_by("trainer_type"));
  f("compat", c.compat, "what is done as the Python project does it",
    Rule().one_of(compat_names()).single_or_list().or_null());
  f("dataset_config", c.dataset, "the data", Rule().required());
  f("model_config", c.model, "the model", Rule().required());
  f("trainer_args", c.trainer, "how it is trained");
  f("monkey_patch", c.monkey_patch, "patches of the model",
    Rule().one_of(models::patch_names()).extended_by("patch").or_null().single_or_list());
  f("plugins", c.plugins,
    "shared libraries that add models, processors, data sets, objectives, optimisers, schedules, "
    "patches and metric sinks",
    Rule().single_or_list().or_null().path());
  f.unbuilt("rl_config", Type::any, {}, "reinforcement learning");
  f.unbuilt("ray_train", Type::any, {}, "many processes under Ray");
  f.unbuilt("rl_runtime", Type::any, {}, "reinforcement learning under Ray");
  f.ignored("extra_kwargs", "nothing reads it");
  f.ignored("config_yaml", "only the command line names the file");
}

}  // namespace lmms::train
