#pragma once
/// What the outermost structure of a video file tells without a demuxer. For video.cpp alone.
#include "media/codecs.h"

namespace lmms::media {

/// The bytes are those of a container that we know: ISO (MP4, MOV), Matroska, RIFF AVI or GIF.
bool is_container(Bytes bytes);

/// The container says that more bytes follow than there are. Demuxers go on in silence where a file
/// ends, and a film that lost its second half would be taken for a shorter one.
bool ends_early(Bytes bytes);

}  // namespace lmms::media
