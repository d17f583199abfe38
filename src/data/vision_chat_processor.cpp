#include "data/vision_chat_processor.h"

#include <algorithm>

#include "core/format.h"

namespace lmms::data {

namespace {

/// A tag of the record that stands for a file which it does not name.
std::optional<Fault> without_file(const UnfiledTag& tag, const Origin& record) {
  if (!tag.placeholder && tag.likely.empty()) return std::nullopt;
  std::string what = fmt::format("{}: {} without a file: the record names none in '{}'", tag.where,
                                 tag.tag, tag.column);
  if (!tag.likely.empty()) what += fmt::format("; did you mean '{}'?", tag.likely);
  return Fault{record.text(), std::move(what),
               tag.likely.empty()
                   ? fmt::format("name its file in '{}', or take the tag out", tag.column)
                   : fmt::format("rename '{}' to '{}'", tag.likely, tag.column)};
}

/// Puts the only medium inside a text of a message in front of the text, without the line break
/// between them.
void take_out_of_text(std::vector<Part>& parts, size_t at) {
  Part medium = std::move(parts[at]);
  medium.in_text = false;
  parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at));
  const bool goes_on = at < parts.size() && parts[at].kind == Part::Kind::text && parts[at].in_text;
  const bool begun = at > 0 && parts[at - 1].kind == Part::Kind::text;
  if (goes_on && parts[at].text.starts_with('\n')) {
    parts[at].text.erase(0, 1);
  } else if (begun && parts[at - 1].text.ends_with('\n')) {
    parts[at - 1].text.pop_back();
  }
  if (goes_on && begun) {
    parts[at - 1].text += parts[at].text;
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at));
  } else if (goes_on) {
    parts[at].in_text = false;
  }
  parts.insert(parts.begin() + static_cast<std::ptrdiff_t>(goes_on || begun ? 0 : at),
               std::move(medium));
}

/// TurnLayout::media_first: images, then videos, then texts. Of tags in texts a single one goes in
/// front; several stay where they stand.
void put_media_first(std::vector<Part>& parts) {
  const auto inside = [](const Part& part) {
    return part.in_text && part.kind != Part::Kind::text;
  };
  if (std::ranges::count_if(parts, inside) == 1) {
    const auto only = std::ranges::find_if(parts, inside);
    take_out_of_text(parts, static_cast<size_t>(only - parts.begin()));
  }
  std::ranges::stable_sort(parts, {}, [](const Part& part) {
    return part.in_text || part.kind == Part::Kind::text ? 3 : static_cast<int>(part.kind);
  });
}

}  // namespace

struct VisionChatProcessor::Undecoded {
  Sample sample;
  std::vector<Medium> media;
};

Result<VisionChatProcessor::Undecoded> VisionChatProcessor::lay_out(const Record& record) const {
  auto conversation = conversation_of(record);
  if (!conversation) return conversation.fault();
  return lay_out(*std::move(conversation), Form::training);
}

Result<VisionChatProcessor::Undecoded> VisionChatProcessor::lay_out(Conversation conversation,
                                                                    Form form) const {
  Undecoded made;
  made.sample.origin = conversation.origin;
  if (conversation.unfiled) {
    if (auto fault = without_file(*conversation.unfiled, conversation.origin))
      return *std::move(fault);
    notices_.notice_quoted(*conversation.unfiled, conversation.origin);
  }
  MediaContext context;
  if (conversation.data_folder) context.data_folder = *conversation.data_folder;
  for (Message& message : conversation.messages) {
    if (chat_.layout().media_first) put_media_first(message.parts);
    for (const Part& part : message.parts) {
      context.images += part.kind == Part::Kind::image;
      context.videos += part.kind == Part::Kind::video;
    }
  }
  const auto chat =
      chat_of(conversation, [&](const Part& part) -> Result<std::vector<text::PadRun>> {
        auto medium = format_->open(part, context);
        if (!medium) return medium.fault();
        made.media.push_back(*std::move(medium));
        return made.media.back().pads;
      });
  if (!chat) return chat.fault();
  if (chat->messages.empty()) return made;
  notices_.notice_layouts(*chat, chat_.tool_layout(), conversation.origin);
  ScratchPool::Lease scratch(scratch_);
  TextPart& text = made.sample.text;
  if (form == Form::training) {
    const auto labelled = chat_.encode(*chat, *scratch);
    if (!labelled) return of_record(conversation.origin, labelled.fault());
    notices_.notice_rewritten(labelled->rewritten, conversation.origin);
    text.labels = labelled->shifted_labels();
    text.input_ids = labelled->ids;
  } else {
    auto ids = chat_.encode_prompt(*chat, *scratch);
    if (!ids) return of_record(conversation.origin, ids.fault());
    text.input_ids = *std::move(ids);
    text.labels.assign(text.input_ids.size(), kIgnore);
  }
  text.position_ids = format_->positions(text.input_ids, made.media, conversation.origin.text());
  if (made.media.empty()) return made;
  MediaPart& part = made.sample.media[format_->kind()];
  for (const Medium& medium : made.media) {
    part.grids.push_back(medium.grid);
    if (medium.layout) part.layouts.push_back(*medium.layout);
  }
  for (size_t t = 0; t < text.input_ids.size(); ++t) {
    if (format_->is_pad(text.input_ids[t])) part.tokens.push_back(static_cast<int32_t>(t));
  }
  return made;
}

Result<Sample> VisionChatProcessor::with_pixels(Result<Undecoded> made) const {
  if (!made) return made.fault();
  if (made->media.empty()) return std::move(made->sample);
  const auto values = static_cast<size_t>(format_->patch_values());
  size_t patches = 0;
  for (const Medium& medium : made->media) patches += static_cast<size_t>(medium.grid.patches());
  std::vector<float>& out = made->sample.media[format_->kind()].values;
  out.resize(patches * values);
  size_t begin = 0;
  for (const Medium& medium : made->media) {
    const size_t count = static_cast<size_t>(medium.grid.patches()) * values;
    const auto fault = format_->write(medium, std::span(out).subspan(begin, count));
    if (fault) return of_record(made->sample.origin, *fault);
    begin += count;
  }
  return std::move(made->sample);
}

Result<Measured> VisionChatProcessor::measure(const Record& record) const {
  auto made = lay_out(record);
  if (!made) return made.fault();
  for (const Medium& medium : made->media) {
    if (!measure_pixels_) break;
    if (const auto fault = format_->check_pixels(medium)) return of_record(record.origin, *fault);
  }
  return measure_sample(std::move(made->sample), /*decoded=*/made->media.empty());
}

Result<Sample> VisionChatProcessor::process(const Record& record) const {
  return with_pixels(lay_out(record));
}

Result<Sample> VisionChatProcessor::prompt(const Conversation& conversation) const {
  return with_pixels(lay_out(conversation, Form::prompt));
}

std::vector<MediumView> VisionChatProcessor::view_media(const Record& record, Pixels pixels) const {
  auto made = lay_out(record);
  std::vector<MediumView> out;
  if (!made) return out;
  const auto values = static_cast<size_t>(format_->patch_values());
  for (Medium& medium : made->media) {
    MediumView& view = out.emplace_back(MediumView{std::move(medium), {}});
    if (pixels == Pixels::none) continue;
    std::vector<float> patches(static_cast<size_t>(view.medium.grid.patches()) * values);
    if (!format_->write(view.medium, patches))
      view.views = format_->tower_views(view.medium, patches);
  }
  return out;
}

}  // namespace lmms::data
