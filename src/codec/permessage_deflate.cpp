#include "codec/permessage_deflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

namespace ferry::codec {
namespace {

// What a flush ends with: an empty stored block. Left out at the end of a message.
constexpr std::array k_tail{std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}};
// The first byte of that block, for a message that has nothing to flush.
constexpr std::byte k_empty_message{0};

constexpr std::size_t k_most_at_once = std::numeric_limits<uInt>::max();
// zlib cannot compress into 256 bytes of window. With 512 it refers to at most 250 bytes back, as it keeps 262 free for
// looking ahead, so that what it makes can be inflated with 256.
constexpr int k_least_window_bits = 9;

int raw_bits(const deflate_direction& direction) noexcept {
  return -std::clamp(direction.window_bits, k_least_window_bits, MAX_WBITS);
}

z_stream& as_stream(void* stream) noexcept { return *static_cast<z_stream*>(stream); }
Bytef* zlib_bytes(const std::byte* data) noexcept {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data));  // NOLINT(*-const-cast): zlib only reads its input
}
uInt as_much(std::size_t size) noexcept { return static_cast<uInt>(std::min(size, k_most_at_once)); }

}  // namespace

namespace detail {
void end_deflate::operator()(void* stream) const noexcept {
  ::deflateEnd(static_cast<z_stream*>(stream));
  delete static_cast<z_stream*>(stream);
}
void end_inflate::operator()(void* stream) const noexcept {
  ::inflateEnd(static_cast<z_stream*>(stream));
  delete static_cast<z_stream*>(stream);
}
}  // namespace detail

bool message_deflater::start() noexcept {
  if (stream_) return true;
  if (broken_) return false;
  stream_.reset(new (std::nothrow) z_stream{});
  broken_ = !stream_ || ::deflateInit2(&as_stream(stream_.get()), settings_.level, Z_DEFLATED, raw_bits(direction_),
                                       settings_.memory_level, Z_DEFAULT_STRATEGY) != Z_OK;
  if (broken_) stream_.reset();
  return !broken_;
}

result<std::size_t> message_deflater::deflate(bytes part, bool last, mutable_bytes out) noexcept {
  if (!start()) return errc::no_memory;
  z_stream& z = as_stream(stream_.get());
  std::size_t written = 0;
  // An empty part has nothing to flush: what was compressed before it has been flushed already.
  if (!part.empty()) {
    std::size_t used = 0;
    do {
      z.next_in = zlib_bytes(part.data() + used);
      z.avail_in = as_much(part.size() - used);
      z.next_out = zlib_bytes(out.data() + written);
      z.avail_out = as_much(out.size() - written);
      const uInt in_before = z.avail_in;
      const uInt out_before = z.avail_out;
      const int outcome = ::deflate(&z, Z_SYNC_FLUSH);
      used += in_before - z.avail_in;
      written += out_before - z.avail_out;
      // With room of bound() bytes it is never full; a caller that gave less hears so instead of a cut message.
      if (outcome != Z_OK || (z.avail_out == 0 && written == out.size())) {
        stream_.reset();
        broken_ = true;
        return errc::no_memory;
      }
    } while (used != part.size() || z.avail_out == 0);
    if (last) written -= k_tail.size();
  }
  if (!last) return written;
  if (written == 0) out[written++] = k_empty_message;
  if (!direction_.take_over) ::deflateReset(&z);
  return written;
}

bool message_inflater::start() noexcept {
  switch (state_) {
    case state::broken: return false;
    case state::inside: return true;
    case state::after_final: resume_after_final(); return true;
    case state::between: break;
  }
  if (!stream_) {
    auto fresh = std::unique_ptr<z_stream>(new (std::nothrow) z_stream{});
    out_of_memory_ = !fresh || ::inflateInit2(fresh.get(), raw_bits(direction_)) != Z_OK;
    if (out_of_memory_) return false;
    stream_.reset(fresh.release());
  }
  tail_used_ = 0;
  enter(state::inside);
  return true;
}

// After a block with BFINAL zlib is at its end. More blocks may follow, in this message or the next one, and refer to
// what came before: the stream starts anew and keeps its window. Copying the window out and in, as the documented
// functions would, costs microseconds for each two bytes of a malicious peer.
void message_inflater::resume_after_final() noexcept {
  ::inflateResetKeep(&as_stream(stream_.get()));
  enter(state::inside);
}

result<message_inflater::progress> message_inflater::inflate(bytes in, mutable_bytes out) noexcept {
  z_stream& z = as_stream(stream_.get());
  z.next_in = zlib_bytes(in.data());
  z.avail_in = as_much(in.size());
  z.next_out = zlib_bytes(out.data());
  z.avail_out = as_much(out.size());
  const uInt in_before = z.avail_in;
  const uInt out_before = z.avail_out;
  const int outcome = ::inflate(&z, Z_SYNC_FLUSH);
  const progress made{in_before - z.avail_in, out_before - z.avail_out};
  if (outcome == Z_STREAM_END) enter(state::after_final);
  out_of_memory_ = outcome == Z_MEM_ERROR;
  // Z_BUF_ERROR: it wants more input or more room.
  const bool good = outcome == Z_OK || outcome == Z_STREAM_END || outcome == Z_BUF_ERROR;
  return good ? result<progress>(made) : fail(made);
}

result<message_inflater::progress> message_inflater::feed(bytes in, mutable_bytes out) noexcept {
  if (in.empty() && state_ == state::after_final) return progress{};
  return start() ? inflate(in, out) : fail({});
}

result<message_inflater::progress> message_inflater::finish(mutable_bytes out) noexcept {
  progress made;
  if (state_ == state::between) return made;  // no payload at all, where one byte of 0 should be: harmless
  // Where a message ends with a block that has BFINAL, nothing was left out.
  if (state_ != state::after_final || tail_used_ != 0) {
    if (!start()) return fail({});
    auto step = inflate(bytes(k_tail).subspan(tail_used_), out);
    if (!step || step->corrupt) return step;
    tail_used_ = static_cast<std::uint8_t>(tail_used_ + step->consumed);
    made.produced = step->produced;
    if (made.produced == out.size()) return made;  // there may be more
    constexpr int k_between_blocks = 128;
    if (state_ != state::inside || tail_used_ != k_tail.size() ||
        (as_stream(stream_.get()).data_type & k_between_blocks) == 0)
      return fail(made);
  }
  if (state_ == state::after_final) resume_after_final();
  if (!direction_.take_over) ::inflateReset(&as_stream(stream_.get()));
  enter(state::between);
  return made;
}

result<message_inflater::progress> message_inflater::fail(progress so_far) noexcept {
  enter(state::broken);
  stream_.reset();
  if (out_of_memory_) return errc::no_memory;
  so_far.corrupt = true;
  return so_far;
}

}  // namespace ferry::codec
