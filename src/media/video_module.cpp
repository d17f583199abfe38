/// liblmms_video.so: containers and codecs by FFmpeg.
///
/// Opening reads every packet once, for an index: which packets there are, in which order their
/// frames are shown, which are key frames. FFmpeg's own seeking is not used: a decoder gets packets
/// of the index, from the key frame that a wanted frame needs. Each packet goes in under its number
/// instead of its time, and the frame comes out with that number: no time can be ambiguous.
#include "media/video_module.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace {

template <auto Free>
struct FreeBy {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(&p);
  }
};
using Packet = std::unique_ptr<AVPacket, FreeBy<av_packet_free>>;
using Frame = std::unique_ptr<AVFrame, FreeBy<av_frame_free>>;
using Decoder = std::unique_ptr<AVCodecContext, FreeBy<avcodec_free_context>>;
using Parameters = std::unique_ptr<AVCodecParameters, FreeBy<avcodec_parameters_free>>;
struct FreeSws {
  void operator()(SwsContext* p) const noexcept { sws_freeContext(p); }
};
using Scaler = std::unique_ptr<SwsContext, FreeSws>;

/// Ends what is being done; becomes the message of a fault at the border.
struct Stop {
  std::string what;
};

__attribute__((format(printf, 1, 2))) std::string text(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  return line;
}

std::string reason(int code) {
  char line[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, line, sizeof line);
  return line;
}

/// The bytes of a file as FFmpeg reads one.
class Input {
 public:
  Input(const uint8_t* bytes, size_t size) : bytes_(bytes), size_(int64_t(size)) {
    constexpr int kBuffer = 1 << 16;
    auto* buffer = static_cast<uint8_t*>(av_malloc(kBuffer));
    context_ = avio_alloc_context(buffer, kBuffer, 0, this, read, nullptr, seek);
    if (!context_) {
      av_free(buffer);
      throw Stop{"no memory"};
    }
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input() {
    av_freep(&context_->buffer);
    avio_context_free(&context_);
  }
  AVIOContext* context() { return context_; }

 private:
  static int read(void* self, uint8_t* to, int count) {
    auto& input = *static_cast<Input*>(self);
    const int64_t some = std::min<int64_t>(count, input.size_ - input.at_);
    if (some <= 0) return AVERROR_EOF;
    std::memcpy(to, input.bytes_ + input.at_, size_t(some));
    input.at_ += some;
    return int(some);
  }
  static int64_t seek(void* self, int64_t offset, int whence) {
    auto& input = *static_cast<Input*>(self);
    if (whence & AVSEEK_SIZE) return input.size_;
    whence &= ~AVSEEK_FORCE;
    const int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? input.at_ : input.size_;
    if (offset < -from || offset > input.size_ - from) return AVERROR(EINVAL);
    return input.at_ = from + offset;
  }

  const uint8_t* bytes_;
  int64_t size_, at_ = 0;
  AVIOContext* context_ = nullptr;
};

/// One packet of the stream. Its bytes are looked up in the file where they lie there in one piece.
struct Entry {
  int64_t time = AV_NOPTS_VALUE;  // when it is shown, in units of the stream
  int64_t duration = 0;
  int64_t offset = -1;  // in the file
  int size = 0;
  bool key = false;
  bool hidden = false;  // decoded for others, never shown
  bool spare = false;   // no other frame refers to it
  int64_t index = -1;   // of its frame among those shown
  Packet kept;          // where the file does not hold the bytes in one piece
};

/// Where the bytes of a packet lie in the file; -1: not in one piece, or elsewhere. Containers put
/// a few bytes before them.
int64_t place_of(const AVPacket& packet, const uint8_t* bytes, size_t size) {
  constexpr int64_t kMostBefore = 32;
  if (packet.pos < 0 || packet.size < 8 || packet.side_data_elems > 0) return -1;
  for (int64_t before = 0; before <= kMostBefore; ++before) {
    const int64_t at = packet.pos + before;
    if (at > int64_t(size) - packet.size) return -1;
    if (!std::memcmp(bytes + at, packet.data, size_t(packet.size))) return at;
  }
  return -1;
}

/// A VP8 packet may hold a frame that is only referred to.
bool never_shown(AVCodecID codec, const AVPacket& packet) {
  return codec == AV_CODEC_ID_VP8 && packet.size > 0 && !(packet.data[0] & 0x10);
}

/// How many bytes tell the length of each unit of an H.264 packet; 0: the units are told apart
/// otherwise.
int unit_length_bytes(const AVCodecParameters& stream) {
  const bool counted =
      stream.codec_id == AV_CODEC_ID_H264 && stream.extradata_size >= 7 && stream.extradata[0] == 1;
  return counted ? (stream.extradata[4] & 3) + 1 : 0;
}

/// An H.264 packet to which no other refers: slices with nal_ref_idc 0, and nothing that outlives
/// it (ISO 14496-10, 7.4.1). Without it every other frame has the same pixels.
bool referred_by_none(const AVPacket& packet, int length_bytes) {
  if (!length_bytes) return false;
  enum { kSlice = 1, kMessage = 6, kDelimiter = 9, kFiller = 12 };
  bool slices = false;
  for (int64_t at = 0; at + length_bytes < packet.size;) {
    int64_t length = 0;
    for (int i = 0; i < length_bytes; ++i) length = length << 8 | packet.data[at++];
    const int type = packet.data[at] & 31, importance = packet.data[at] >> 5 & 3;
    if (type == kSlice && importance == 0)
      slices = true;
    else if (type != kMessage && type != kDelimiter && type != kFiller)
      return false;
    at += length;
  }
  return slices;
}

const int32_t* display_matrix(const AVStream& stream) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
  const AVCodecParameters& p = *stream.codecpar;
  const AVPacketSideData* data =
      av_packet_side_data_get(p.coded_side_data, p.nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  return data && data->size >= 36 ? reinterpret_cast<const int32_t*>(data->data) : nullptr;
#else
  size_t size = 0;
  const uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return data && size >= 36 ? reinterpret_cast<const int32_t*>(data) : nullptr;
#endif
}

/// The nearest of EXIF's eight orientations, as FFmpeg's own player turns frames.
int orientation_of(const AVStream& stream) {
  const int32_t* matrix = display_matrix(stream);
  if (!matrix) return 1;
  const double angle = -av_display_rotation_get(matrix);
  if (std::isnan(angle)) return 1;
  switch ((int(std::lround(angle / 90)) % 4 + 4) % 4) {
    case 1:
      return matrix[3] > 0 ? 5 : 6;
    case 3:
      return matrix[3] < 0 ? 7 : 8;
    default:
      return matrix[0] < 0 ? (matrix[4] < 0 ? 3 : 2) : (matrix[4] < 0 ? 4 : 1);
  }
}

}  // namespace

struct LmmsVideo {
  LmmsVideo(const uint8_t* bytes, size_t size, int64_t max_pixels)
      : bytes_(bytes), size_(size), max_pixels_(max_pixels) {
    if (!read_container(Probing::none)) read_container(Probing::decoder);
    order();
  }

  LmmsVideoInfo info() const { return info_; }

  void decode(const int64_t* indices, size_t count, const LmmsVideoSink& sink) {
    for (size_t i = 0; i < count; ++i)
      if (indices[i] < 0 || indices[i] >= info_.frames || (i && indices[i] <= indices[i - 1]))
        throw Stop{text("frame %lld of %lld", (long long)indices[i], (long long)info_.frames)};
    wanted_.assign(entries_.size(), false);
    if (!count) return;
    open_decoder();
    if (by_arrival_)
      decode_by_arrival(indices, count, sink);
    else
      decode_from_key_frames(indices, count, sink);
  }

 private:
  /// What is done beyond reading headers. FFmpeg decodes up to 20 frames to learn what MP4 and
  /// Matroska say anyway, or what the index tells: that would be half of the work for a few frames
  /// of a film.
  enum class Probing { none, decoder };

  /// False if this much probing does not tell enough.
  bool read_container(Probing probing) {
    entries_.clear();
    keys_.clear();
    Input input(bytes_, size_);
    AVFormatContext* raw = avformat_alloc_context();
    if (!raw) throw Stop{"no memory"};
    raw->pb = input.context();
    raw->flags |= AVFMT_FLAG_CUSTOM_IO;
    if (const int code = avformat_open_input(&raw, nullptr, nullptr, nullptr); code < 0)
      throw Stop{code == AVERROR_INVALIDDATA ? "no known container, or a broken one"
                                             : "the container: " + reason(code)};
    const std::unique_ptr<AVFormatContext, FreeBy<avformat_close_input>> format(raw);
    if (probing == Probing::none) {
      const std::string_view name = raw->iformat->name;
      if (!name.starts_with("mov,") && !name.starts_with("matroska,")) return false;
    } else if (const int code = avformat_find_stream_info(raw, nullptr); code < 0) {
      throw Stop{"the streams: " + reason(code)};
    }
    const int best = av_find_best_stream(raw, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
    if (best < 0) {
      if (probing == Probing::none) return false;
      throw Stop{best == AVERROR_STREAM_NOT_FOUND ? "it holds no video stream"
                                                  : "its video stream: " + reason(best)};
    }
    const AVStream& stream = *raw->streams[best];
    if (probing == Probing::none && (stream.codecpar->width < 1 || stream.codecpar->height < 1))
      return false;
    parameters_.reset(avcodec_parameters_alloc());
    if (!parameters_ || avcodec_parameters_copy(parameters_.get(), stream.codecpar) < 0)
      throw Stop{"no memory"};
    if (!avcodec_find_decoder(parameters_->codec_id))
      throw Stop{
          text("this FFmpeg has no decoder for %s", avcodec_get_name(parameters_->codec_id))};
    info_.orientation = orientation_of(stream);
    time_base_ = stream.time_base;
    const AVRational rate = stream.avg_frame_rate.num ? stream.avg_frame_rate : stream.r_frame_rate;
    header_fps_ = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;

    for (unsigned i = 0; i < raw->nb_streams; ++i)
      raw->streams[i]->discard = int(i) == best ? AVDISCARD_DEFAULT : AVDISCARD_ALL;
    const Packet packet(av_packet_alloc());
    if (!packet) throw Stop{"no memory"};
    int code = 0;
    for (; (code = av_read_frame(raw, packet.get())) >= 0; av_packet_unref(packet.get())) {
      if (packet->stream_index != best || packet->size <= 0) continue;
      if (entries_.empty() && probing == Probing::none) size_by_stream(*packet);
      add(*packet);
      if (probing == Probing::none && entries_.back().time == AV_NOPTS_VALUE) return false;
    }
    if (code != AVERROR_EOF)
      throw Stop{text("after %zu frames: %s", entries_.size(), reason(code).c_str())};
    if (entries_.empty()) throw Stop{"its video stream holds no frames"};
    info_.width = parameters_->width;
    info_.height = parameters_->height;
    check_size(info_.width, info_.height);
    return true;
  }

  /// The size that the stream itself names, where its parser tells: the container's may be another.
  void size_by_stream(const AVPacket& packet) {
    const Decoder context(avcodec_alloc_context3(nullptr));
    AVCodecParserContext* parser = av_parser_init(parameters_->codec_id);
    if (parser && context && avcodec_parameters_to_context(context.get(), parameters_.get()) >= 0) {
      parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
      uint8_t* data = nullptr;
      int size = 0;
      av_parser_parse2(parser, context.get(), &data, &size, packet.data, packet.size, packet.pts,
                       packet.dts, packet.pos);
      if (parser->width > 0 && parser->height > 0) {
        parameters_->width = parser->width;
        parameters_->height = parser->height;
      }
    }
    av_parser_close(parser);
  }

  void add(AVPacket& packet) {
    Entry entry;
    entry.time = packet.pts;
    if (entry.time == AV_NOPTS_VALUE && parameters_->video_delay == 0) entry.time = packet.dts;
    entry.duration = std::max<int64_t>(packet.duration, 0);
    entry.key = packet.flags & AV_PKT_FLAG_KEY;
    entry.hidden =
        (packet.flags & AV_PKT_FLAG_DISCARD) || never_shown(parameters_->codec_id, packet);
    if (packet.flags & AV_PKT_FLAG_CORRUPT)
      throw Stop{text("the file ends within frame %zu, or it is damaged there", entries_.size())};
    entry.spare = referred_by_none(packet, unit_length_bytes(*parameters_));
    if (entry.key) keys_.push_back(entries_.size());
    entry.size = packet.size;
    entry.offset = place_of(packet, bytes_, size_);
    if (entry.offset < 0) {
      entry.kept.reset(av_packet_clone(&packet));
      if (!entry.kept) throw Stop{"no memory"};
    }
    entries_.push_back(std::move(entry));
  }

  /// Which packet holds which frame, and how long the video is.
  void order() {
    shown_.clear();
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].hidden) continue;
      shown_.push_back(i);
      by_arrival_ = by_arrival_ || entries_[i].time == AV_NOPTS_VALUE;
    }
    if (shown_.empty()) throw Stop{"its video stream holds no frames"};
    if (!by_arrival_)
      std::stable_sort(shown_.begin(), shown_.end(),
                       [&](size_t a, size_t b) { return entries_[a].time < entries_[b].time; });
    for (size_t i = 0; i < shown_.size(); ++i) entries_[shown_[i]].index = int64_t(i);
    info_.frames = int64_t(shown_.size());
    if (!by_arrival_) parameters_->video_delay = std::max(parameters_->video_delay, delay());
    const double unit = av_q2d(time_base_);
    double span = 0;
    if (!by_arrival_) {
      const Entry& last = entries_[shown_.back()];
      int64_t end = std::numeric_limits<int64_t>::min();
      for (const size_t i : shown_) end = std::max(end, entries_[i].time + entries_[i].duration);
      span = (double(end) - double(entries_[shown_.front()].time)) * unit;
      // A last frame without a duration lasts as long as the others on average.
      if (!last.duration && info_.frames > 1)
        span *= double(info_.frames) / double(info_.frames - 1);
    }
    const bool known = std::isfinite(span) && span > 0;
    info_.fps = known ? double(info_.frames) / span : header_fps_ > 0 ? header_fps_ : 24;
    info_.seconds = known ? span : double(info_.frames) / info_.fps;
  }

  /// How many frames a decoder must hold back to give them out in order: the most that stand before
  /// another in the file and are shown after it. Equal to the largest distance by which a frame
  /// comes later in the file than it is shown.
  int delay() const {
    constexpr int64_t kMost = 16;  // of H.264 and HEVC
    std::vector<size_t> by_time(entries_.size());
    std::iota(by_time.begin(), by_time.end(), size_t{0});
    std::stable_sort(by_time.begin(), by_time.end(),
                     [&](size_t a, size_t b) { return entries_[a].time < entries_[b].time; });
    int64_t most = 0;
    for (size_t rank = 0; rank < by_time.size(); ++rank)
      most = std::max(most, int64_t(by_time[rank]) - int64_t(rank));
    return int(std::min(most, kMost));
  }

  void check_size(int width, int height) const {
    if (width < 1 || height < 1) throw Stop{text("frames of %d x %d pixels", width, height)};
    if (int64_t{width} * height > max_pixels_)
      throw Stop{
          text("frames of %d x %d pixels, over the limit of %lld that guards against "
               "decompression bombs",
               width, height, (long long)max_pixels_)};
  }

  void open_decoder() {
    const AVCodec* codec = avcodec_find_decoder(parameters_->codec_id);
    decoder_.reset(avcodec_alloc_context3(codec));
    frame_.reset(av_frame_alloc());
    if (!decoder_ || !frame_) throw Stop{"no memory"};
    if (const int code = avcodec_parameters_to_context(decoder_.get(), parameters_.get()); code < 0)
      throw Stop{reason(code)};
    decoder_->thread_count = 1;  // the loader has threads of its own
    decoder_->max_pixels = max_pixels_;
    if (const int code = avcodec_open2(decoder_.get(), codec, nullptr); code < 0)
      throw Stop{text("the decoder of %s: %s", codec->name, reason(code).c_str())};
    sent_ = 0;
    drained_ = false;
  }

  /// The next packet, under its number; at the end, and then once only, none.
  void send() {
    if (sent_ == entries_.size()) return drain();
    const Entry& entry = entries_[sent_];
    if (may_skip_ && entry.spare && !wanted_[sent_]) {
      ++sent_;
      return;
    }
    Packet packet(av_packet_alloc());
    if (!packet) throw Stop{"no memory"};
    if (entry.kept) {
      if (av_packet_ref(packet.get(), entry.kept.get()) < 0) throw Stop{"no memory"};
    } else {
      if (av_new_packet(packet.get(), entry.size) < 0) throw Stop{"no memory"};
      std::memcpy(packet->data, bytes_ + entry.offset, size_t(entry.size));
    }
    packet->pts = packet->dts = int64_t(sent_);
    packet->flags = entry.key ? AV_PKT_FLAG_KEY : 0;
    const int code = avcodec_send_packet(decoder_.get(), packet.get());
    // What a packet breaks is seen by the frame that does not come.
    if (code == AVERROR(ENOMEM)) throw Stop{"no memory"};
    ++sent_;
  }

  void drain() {
    if (!drained_) avcodec_send_packet(decoder_.get(), nullptr);
    drained_ = true;
  }

  void start_at(size_t packet) {
    avcodec_flush_buffers(decoder_.get());
    sent_ = packet;
    drained_ = false;
  }

  /// The next frame of the decoder; false where it wants a packet first or has no more.
  bool receive() {
    for (;;) {
      const int code = avcodec_receive_frame(decoder_.get(), frame_.get());
      if (code >= 0) return true;
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return false;
      if (code == AVERROR(ENOMEM)) throw Stop{"no memory"};
      return false;
    }
  }

  /// The packet to begin with for the frame of another: a key frame before it in the file that is
  /// also shown before it (frames shown before their key frame may refer to what lies before that).
  size_t start_of(size_t packet) const {
    for (auto key = std::upper_bound(keys_.begin(), keys_.end(), packet); key != keys_.begin();)
      if (entries_[*--key].time <= entries_[packet].time) return *key;
    return 0;
  }

  void decode_from_key_frames(const int64_t* indices, size_t count, const LmmsVideoSink& sink) {
    for (size_t i = 0; i < count; ++i) wanted_[shown_[size_t(indices[i])]] = true;
    may_skip_ = true;
    for (size_t i = 0; i < count; ++i) {
      const size_t packet = shown_[size_t(indices[i])];
      if (!wanted_[packet]) continue;  // came before it was asked for
      if (const size_t start = start_of(packet); drained_ || start > sent_) start_at(start);
      // The decoder holds frames back. Where the next one wanted lies behind another key frame, it
      // is told to give them out, instead of being fed what nobody needs.
      const bool last = i + 1 == count || start_of(shown_[size_t(indices[i + 1])]) > packet;
      if (decode_until(packet, last ? packet + 1 : entries_.size(), sink)) continue;
      // Once more from the beginning, with everything.
      may_skip_ = false;
      open_decoder();
      if (!decode_until(packet, entries_.size(), sink)) throw missing(packet);
    }
  }

  /// Feeds packets before `end` until the frame of one has come; false if it does not.
  bool decode_until(size_t packet, size_t end, const LmmsVideoSink& sink) {
    for (;;) {
      while (receive()) deliver(sink);
      if (!wanted_[packet]) return true;
      if (drained_) return false;
      if (sent_ >= end)
        drain();
      else
        send();
    }
  }

  /// Where the container gives no times: the i-th frame is the i-th that comes out.
  void decode_by_arrival(const int64_t* indices, size_t count, const LmmsVideoSink& sink) {
    may_skip_ = false;
    int64_t arrived = 0;
    for (size_t next = 0; next < count;) {
      if (receive()) {
        if (arrived++ == indices[next]) hand_over(sink, indices[next++]);
      } else if (drained_) {
        throw missing(shown_[size_t(indices[next])]);
      } else {
        send();
      }
    }
  }

  Stop missing(size_t packet) const {
    return {text("frame %lld of %lld cannot be decoded", (long long)entries_[packet].index,
                 (long long)info_.frames)};
  }

  void deliver(const LmmsVideoSink& sink) {
    const int64_t packet = frame_->pts;
    if (packet < 0 || packet >= int64_t(wanted_.size()) || !wanted_[size_t(packet)]) return;
    if (frame_->flags & AV_FRAME_FLAG_CORRUPT) return;
    wanted_[size_t(packet)] = false;
    hand_over(sink, entries_[size_t(packet)].index);
  }

  /// RGB by the matrix of the frame's colour space, as torchcodec converts: no filter between
  /// pixels.
  void hand_over(const LmmsVideoSink& sink, int64_t index) {
    const int width = frame_->width, height = frame_->height;
    check_size(width, height);
    make_scaler(width, height);
    uint8_t* pixels = sink.place(sink.self, index, width, height);
    if (!pixels) throw Stop{"stopped"};
    // The vector code of libswscale needs rows with room behind them.
    const int tight = width * 3, roomy = (width + 31) / 32 * 32 * 3;
    uint8_t* to = pixels;
    if (tight != roomy) {
      rows_.resize(size_t(roomy) * size_t(height) + 64);
      to = rows_.data();
    }
    uint8_t* const planes[4] = {to, nullptr, nullptr, nullptr};
    const int steps[4] = {roomy, 0, 0, 0};
    if (sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, height, planes, steps) !=
        height)
      throw Stop{"its colours cannot be converted"};
    if (tight != roomy)
      for (int y = 0; y < height; ++y)
        std::memcpy(pixels + size_t(y) * size_t(tight), to + size_t(y) * size_t(roomy),
                    size_t(tight));
    sink.done(sink.self, index);
  }

  void make_scaler(int width, int height) {
    const ScalerOf wanted{width, height, frame_->format, frame_->colorspace, frame_->color_range};
    if (scaler_ && wanted == scaler_of_) return;
    scaler_.reset(sws_alloc_context());
    if (!scaler_) throw Stop{"no memory"};
    const auto format = AVPixelFormat(frame_->format);
    const AVPixFmtDescriptor* kind = av_pix_fmt_desc_get(format);
    const auto set = [&](const char* name, int64_t value) {
      av_opt_set_int(scaler_.get(), name, value, 0);
    };
    set("srcw", width);
    set("srch", height);
    set("src_format", format);
    set("dstw", width);
    set("dsth", height);
    set("dst_format", AV_PIX_FMT_RGB24);
    set("sws_flags", SWS_BICUBIC);
    // Colours of 4:2:0 lie halfway between two rows, as FFmpeg's filter has it.
    if (kind && kind->log2_chroma_h == 1) set("src_v_chr_pos", 128);
    if (!kind || sws_init_context(scaler_.get(), nullptr, nullptr) < 0) {
      scaler_.reset();
      throw Stop{text("colours of the kind %s cannot be converted", kind ? kind->name : "?")};
    }
    scaler_of_ = wanted;
    int *inverse = nullptr, *table = nullptr, from = 0, to = 0, brightness = 0, contrast = 0,
        saturation = 0;
    if (sws_getColorspaceDetails(scaler_.get(), &inverse, &from, &table, &to, &brightness,
                                 &contrast, &saturation) < 0)
      return;
    if (frame_->color_range == AVCOL_RANGE_JPEG) from = 1;
    const int* matrix = sws_getCoefficients(frame_->colorspace);
    sws_setColorspaceDetails(scaler_.get(), matrix, from, matrix, to, brightness, contrast,
                             saturation);
  }

  struct ScalerOf {
    int width = 0, height = 0, format = -1, space = -1, range = -1;
    bool operator==(const ScalerOf&) const = default;
  };

  const uint8_t* bytes_;
  size_t size_;
  int64_t max_pixels_;
  LmmsVideoInfo info_{};
  Parameters parameters_;
  AVRational time_base_{1, 1};
  double header_fps_ = 0;
  std::vector<Entry> entries_;  // in the order of the file
  std::vector<size_t> keys_;    // packets with key frames
  std::vector<size_t> shown_;   // packets in the order in which their frames are shown
  bool by_arrival_ = false;     // that order is known by decoding alone

  Decoder decoder_;
  Frame frame_;
  Scaler scaler_;
  ScalerOf scaler_of_;
  std::vector<bool> wanted_;  // by packet
  std::vector<uint8_t> rows_;
  size_t sent_ = 0;
  bool drained_ = false, may_skip_ = false;
};

namespace {

/// Nothing but messages leaves through the border.
template <class Work>
bool guarded(LmmsVideoMessage message, Work work) {
  std::string what;
  try {
    work();
    return true;
  } catch (const Stop& stop) {
    what = stop.what;
  } catch (const std::exception& error) {
    what = error.what();
  }
  if (message.room) {
    const size_t count = std::min(what.size(), message.room - 1);
    std::memcpy(message.text, what.data(), count);
    message.text[count] = 0;
  }
  return false;
}

LmmsVideo* open(const uint8_t* bytes, size_t size, int64_t max_pixels, LmmsVideoInfo* info,
                LmmsVideoMessage message) {
  std::unique_ptr<LmmsVideo> video;
  guarded(message, [&] {
    video = std::make_unique<LmmsVideo>(bytes, size, max_pixels);
    *info = video->info();
  });
  return video.release();
}

int32_t decode(LmmsVideo* video, const int64_t* indices, size_t count, LmmsVideoSink sink,
               LmmsVideoMessage message) {
  return guarded(message, [&] { video->decode(indices, count, sink); }) ? 0 : 1;
}

void close(LmmsVideo* video) {
  delete video;
}

}  // namespace

__attribute__((visibility("default"))) const LmmsVideoApi* lmms_video_api() {
  static const LmmsVideoApi api = [] {
    av_log_set_level(AV_LOG_QUIET);  // what is wrong with a file is told by a fault
    return LmmsVideoApi{kLmmsVideoVersion, open, decode, close};
  }();
  return &api;
}
