#include "data/vision_chat_processor.h"

#include <algorithm>

namespace lmms::data {

struct VisionChatProcessor::Laid {
  Sample sample;
  std::vector<Medium> media;
  const Record* record = nullptr;
};

Result<VisionChatProcessor::Laid> VisionChatProcessor::lay_out(const Record& record,
                                                               Form form) const {
  Laid laid;
  laid.record = &record;
  laid.sample.origin = record.origin;
  MediaContext context;
  if (record.data_folder) context.data_folder = *record.data_folder;
  auto conversation = conversation_of(record);
  if (!conversation) return conversation.fault();
  for (Message& message : *conversation) {
    if (chat_.layout().media_first) {
      std::ranges::stable_sort(message.parts, {}, [](const Part& part) {
        return part.kind == Part::Kind::text ? 3 : static_cast<int>(part.kind);
      });
    }
    for (const Part& part : message.parts) {
      context.images += part.kind == Part::Kind::image;
      context.videos += part.kind == Part::Kind::video;
    }
  }
  const auto messages = chat_messages_of(
      record, *std::move(conversation), [&](const Part& part) -> Result<std::vector<text::PadRun>> {
        auto medium = format_->open(part, context);
        if (!medium) return medium.fault();
        laid.media.push_back(*std::move(medium));
        return laid.media.back().pads;
      });
  if (!messages) return messages.fault();
  if (messages->empty()) return laid;
  ScratchPool::Lease scratch(scratch_);
  TextPart& text = laid.sample.text;
  if (form == Form::training) {
    const auto labelled = chat_.encode(*messages, *scratch);
    if (!labelled) return of_record(record, labelled.fault());
    text.labels = labelled->shifted_labels();
    text.input_ids = labelled->ids;
  } else {
    auto ids = chat_.encode_prompt(*messages, *scratch);
    if (!ids) return of_record(record, ids.fault());
    text.input_ids = *std::move(ids);
    text.labels.assign(text.input_ids.size(), kIgnore);
  }
  text.position_ids = format_->positions(text.input_ids, laid.media, record.origin.text());
  SampleVision& vision = laid.sample.vision;
  for (const Medium& medium : laid.media) {
    vision.grids.push_back(medium.grid);
    if (medium.layout) vision.layouts.push_back(*medium.layout);
  }
  for (size_t t = 0; t < text.input_ids.size() && !laid.media.empty(); ++t) {
    if (format_->is_pad(text.input_ids[t])) vision.tokens.push_back(static_cast<int32_t>(t));
  }
  return laid;
}

Result<Sample> VisionChatProcessor::with_pixels(Result<Laid> laid) const {
  if (!laid) return laid.fault();
  const auto values = static_cast<size_t>(format_->patch_values());
  size_t patches = 0;
  for (const Medium& medium : laid->media) patches += static_cast<size_t>(medium.grid.patches());
  std::vector<float>& out = laid->sample.vision.patches;
  out.resize(patches * values);
  size_t begin = 0;
  for (const Medium& medium : laid->media) {
    const size_t count = static_cast<size_t>(medium.grid.patches()) * values;
    const auto fault = format_->write(medium, std::span(out).subspan(begin, count));
    if (fault) return of_record(*laid->record, *fault);
    begin += count;
  }
  return std::move(laid->sample);
}

Result<Measured> VisionChatProcessor::measure(const Record& record) const {
  auto laid = lay_out(record, Form::training);
  if (!laid) return laid.fault();
  Measured measured = measure_text(std::move(laid->sample));
  if (laid->media.empty()) return measured;
  measured.sample = nullptr;  // its pixels come later
  for (const Medium& medium : laid->media) {
    if (!measure_pixels_) break;
    if (const auto fault = format_->check_pixels(medium)) return of_record(record, *fault);
  }
  return measured;
}

Result<Sample> VisionChatProcessor::process(const Record& record) const {
  return with_pixels(lay_out(record, Form::training));
}

Result<Sample> VisionChatProcessor::prompt(const Record& record) const {
  return with_pixels(lay_out(record, Form::prompt));
}

std::vector<MediumView> VisionChatProcessor::look(const Record& record, Pixels pixels) const {
  auto laid = lay_out(record, Form::training);
  std::vector<MediumView> out;
  if (!laid) return out;
  const auto values = static_cast<size_t>(format_->patch_values());
  for (Medium& medium : laid->media) {
    MediumView& view = out.emplace_back(MediumView{std::move(medium), {}});
    if (pixels == Pixels::none) continue;
    std::vector<float> patches(static_cast<size_t>(view.medium.grid.patches()) * values);
    if (!format_->write(view.medium, patches)) view.sights = format_->sights(view.medium, patches);
  }
  return out;
}

}  // namespace lmms::data
