#include "data/class_image_processor.h"

#include <charconv>
#include <cmath>

#include "core/format.h"
#include "data/latent_cache.h"
#include "data/latents.h"
#include "data/media_format.h"
#include "media/centre_crop.h"
#include "media/source.h"

namespace lmms::data {
namespace {

using media::Image;

Fault of_record(const Record& record, std::string what, std::string fix = "") {
  return {record.origin.text(), std::move(what), std::move(fix)};
}

/// Of a fault whose `where` is the name of a file, or empty.
Fault of_record(const Record& record, const Fault& fault) {
  return of_record(record, fault.where.empty() ? fault.what : fault.where + ": " + fault.what,
                   fault.fix);
}

bool is_latent(const Record& record) {
  return find_member(record.fields, kLatentMean) != nullptr;
}

/// The names of a record's members, for messages.
std::string members_of(const Json& fields) {
  std::string out;
  for (const auto& [name, value] : fields.items()) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "nothing" : out;
}

std::optional<int64_t> whole_number(const Json& value) {
  if (value.is_number_unsigned() || value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (number == std::floor(number) && std::abs(number) < 1e15)
      return static_cast<int64_t>(number);
    return std::nullopt;
  }
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string folder_of(const Record& record) {
  return record.data_folder ? *record.data_folder : "";
}

}  // namespace

std::vector<float> pixel_planes(const Image& image, int64_t channels) {
  const auto values = [](int level) { return (static_cast<float>(level) / 255.0f - 0.5f) / 0.5f; };
  const size_t pixels = size_t(image.width()) * image.height();
  const uint8_t* in = image.pixels().data();
  std::vector<float> out(static_cast<size_t>(channels) * pixels);
  for (size_t i = 0; i < pixels; ++i, in += 3) {
    if (channels == 1) {
      out[i] = values((in[0] * 19595 + in[1] * 38470 + in[2] * 7471 + 0x8000) >> 16);
    } else {
      for (size_t c = 0; c < 3; ++c) out[c * pixels + i] = values(in[c]);
    }
  }
  return out;
}

Result<int64_t> ClassImageProcessor::class_of(const Record& record) const {
  if (options_.classes == 0) return int64_t{-1};
  const Json* value =
      find_member(record.fields, is_latent(record) ? "label" : options_.label_column.c_str());
  if (value == nullptr) {
    return of_record(record,
                     fmt::format("no class: there is no '{}' (the record has {})",
                                 options_.label_column, members_of(record.fields)),
                     "name the column: dataset_config.extra_kwargs: {label_column: ...}");
  }
  std::optional<int64_t> id;
  if (value->is_string()) {
    const auto named = options_.class_names.find(value->get_ref<const std::string&>());
    if (named != options_.class_names.end()) id = named->second;
  }
  if (!id) id = whole_number(*value);
  if (!id) {
    return of_record(
        record,
        fmt::format("{}: expected the number of a class, found {}", options_.label_column,
                    value->is_binary() ? "bytes" : value->dump()),
        "write numbers, or give the model's config.json the names: id2label");
  }
  if (*id < 0 || *id >= options_.classes) {
    return of_record(record,
                     fmt::format("{}: class {} of a model of {} (0 to {})", options_.label_column,
                                 *id, options_.classes, options_.classes - 1),
                     "correct the label, or set num_classes in the model's config");
  }
  return *id;
}

Result<Sample> ClassImageProcessor::lay_out(const Record& record) const {
  const bool latent = is_latent(record);
  if (!latent && options_.no_images) return of_record(record, *options_.no_images);
  const auto id = class_of(record);
  if (!id) return id.fault();
  const int64_t rows = options_.height / options_.patch, columns = options_.width / options_.patch;
  const bool encodes = !latent && options_.stride > 0;
  Sample sample = latent_sample(encodes ? kPixels : kLatents,
                                encodes ? PatchGrid{1, 1, 1} : PatchGrid{1, rows, columns},
                                options_.tokens(), *id);
  sample.origin = record.origin;
  return sample;
}

Result<Measured> ClassImageProcessor::measure(const Record& record) const {
  if (options_.measure_pixels || is_latent(record)) {
    auto sample = process(record);
    if (!sample) return sample.fault();
    return measure_sample(*std::move(sample));
  }
  auto sample = lay_out(record);
  if (!sample) return sample.fault();
  const Json* value = find_member(record.fields, options_.image_column.c_str());
  if (value == nullptr) {
    return of_record(record,
                     fmt::format("no image: there is no '{}' (the record has {})",
                                 options_.image_column, members_of(record.fields)),
                     "name the column: dataset_config.extra_kwargs: {image_column: ...}");
  }
  const auto bytes = media::map_source(*value, folder_of(record));
  if (!bytes) return of_record(record, bytes.fault());
  if (const auto info = media::probe(bytes->bytes()); !info) return of_record(record, info.fault());
  return measure_sample(*std::move(sample), /*decoded=*/false);
}

Result<Image> ClassImageProcessor::crop(const Record& record) const {
  const Json* value = find_member(record.fields, options_.image_column.c_str());
  if (value == nullptr) {
    return of_record(record,
                     fmt::format("no image: there is no '{}' (the record has {})",
                                 options_.image_column, members_of(record.fields)),
                     "name the column: dataset_config.extra_kwargs: {image_column: ...}");
  }
  const auto bytes = media::map_source(*value, folder_of(record));
  if (!bytes) return of_record(record, bytes.fault());
  auto image = media::decode(bytes->bytes(), {.apply_exif = options_.apply_exif});
  if (!image) {
    const std::string name = value->is_string() && value->get_ref<const std::string&>().size() < 500
                                 ? value->get<std::string>()
                                 : options_.image_column;
    return of_record(record, Fault{name, image.fault().what, image.fault().fix});
  }
  // A strip of one pixel would become a plane of a million.
  constexpr int64_t kMostPixels = int64_t{1} << 28;
  const int64_t size = options_.image_size();
  const int64_t shorter = std::min(image->width(), image->height());
  const int64_t longer = std::max(image->width(), image->height());
  if (size * (longer * size / shorter) > kMostPixels) {
    return of_record(record, fmt::format("an image of {} x {} is too narrow for a square crop",
                                         image->width(), image->height()));
  }
  return media::centre_crop(*std::move(image), static_cast<int>(size));
}

std::optional<Fault> ClassImageProcessor::fill_from_image(const Record& record,
                                                          Sample& sample) const {
  const auto image = crop(record);
  if (!image) return image.fault();
  const bool encodes = options_.stride > 0;
  const int64_t size = options_.image_size(), channels = encodes ? 3 : options_.channels;
  const std::vector<float> planes = pixel_planes(*image, channels);
  const auto laid_out = [&](const std::vector<float>& values) {
    return encodes ? values : to_tokens(values, channels, size, size, options_.patch);
  };
  std::vector<float> values = laid_out(planes);
  if (!options_.flip) {
    sample.media[encodes ? kPixels : kLatents].values = std::move(values);
    return std::nullopt;
  }
  const std::vector<float> flipped = laid_out(mirrored(planes, size));
  values.insert(values.end(), flipped.begin(), flipped.end());
  sample.extras[kMean] = std::move(values);
  sample.extras[kVersions] = {2.0f};
  return std::nullopt;
}

std::optional<Fault> ClassImageProcessor::fill_from_latent(const Record& record,
                                                           Sample& sample) const {
  const Json& fields = record.fields;
  const auto shape = fields.at(kLatentShape).get<std::vector<int64_t>>();
  const std::vector<int64_t> wanted = {options_.channels, options_.height, options_.width};
  if (options_.stride == 0 && !options_.no_images) {
    return of_record(record, "a cached latent, and the model takes pixels",
                     "train on the images themselves, or set vae_path in the model's config");
  }
  if (!std::equal(wanted.begin(), wanted.end(), shape.begin() + 1, shape.end())) {
    return of_record(record,
                     fmt::format("a latent of {} x {} x {}, the model takes {} x {} x {}", shape[1],
                                 shape[2], shape[3], wanted[0], wanted[1], wanted[2]),
                     "make the cache again with this model's config");
  }
  const auto dtype = checkpoint::dtype_named(fields.at(kLatentType).get_ref<const std::string&>());
  const double scale = fields.at(kLatentScale), shift = fields.at(kLatentShift);
  const int64_t versions = options_.flip ? shape[0] : 1;
  const size_t V = static_cast<size_t>(wanted[0] * wanted[1] * wanted[2]);
  // What the denoiser sees is scale * (latent - shift): a Gaussian again.
  const auto read = [&](const char* key, double offset, std::vector<float>& out) {
    const auto& bytes = fields.at(key).get_binary();
    std::vector<float> all = floats_of(bytes.data(), V * static_cast<size_t>(versions), *dtype);
    for (float& value : all) value = static_cast<float>(scale * (value - offset));
    for (int64_t v = 0; v < versions; ++v) {
      const auto one = to_tokens(std::span(all).subspan(static_cast<size_t>(v) * V, V), wanted[0],
                                 wanted[1], wanted[2], options_.patch);
      out.insert(out.end(), one.begin(), one.end());
    }
  };
  read(kLatentMean, shift, sample.extras[kMean]);
  read(kLatentDeviation, 0, sample.extras[kDeviation]);
  sample.extras[kVersions] = {static_cast<float>(versions)};
  return std::nullopt;
}

Result<Sample> ClassImageProcessor::process(const Record& record) const {
  auto sample = lay_out(record);
  if (!sample) return sample.fault();
  auto fault =
      is_latent(record) ? fill_from_latent(record, *sample) : fill_from_image(record, *sample);
  if (fault) return *std::move(fault);
  return sample;
}

Result<Sample> ClassImageProcessor::prompt(const Conversation& conversation) const {
  return Fault{conversation.origin.text(), "a model of images takes no texts",
               "lmms sample makes images of classes"};
}

std::vector<MediumView> ClassImageProcessor::view_media(const Record& record, Pixels pixels) const {
  if (is_latent(record)) return {};
  MediumView view;
  const Json* value = find_member(record.fields, options_.image_column.c_str());
  if (value == nullptr) return {};
  const auto bytes = media::map_source(*value, folder_of(record));
  if (!bytes) return {};
  const auto info = media::probe(bytes->bytes());
  if (!info) return {};
  view.medium.name = value->is_string() ? value->get<std::string>() : "image in the record";
  view.medium.size = {.height = info->turned() ? info->width : info->height,
                      .width = info->turned() ? info->height : info->width};
  view.medium.grid = {1, options_.height / options_.patch, options_.width / options_.patch};
  view.medium.pads = {};
  if (pixels == Pixels::decoded) {
    if (auto image = crop(record))
      view.views.push_back({.picture = *std::move(image), .label = "as it is cropped"});
  }
  std::vector<MediumView> out;
  out.push_back(std::move(view));
  return out;
}

}  // namespace lmms::data
