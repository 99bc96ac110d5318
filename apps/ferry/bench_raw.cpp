#include "apps/ferry/bench_raw.hpp"

#include <ferry/stream.hpp>
#include <ferry/url.hpp>

#include <algorithm>
#include <utility>
#include <vector>

#include "apps/ferry/bench_payload.hpp"
#include "codec/typed_framing.hpp"
#include "codec/u32_framing.hpp"
#include "codec/varint_framing.hpp"

namespace ferry::app {
namespace {

constexpr std::size_t k_buffer = 1u << 20;
constexpr int k_calls_per_turn = 64;  // then the event loop has its turn

template <class Framing>
void append_frame(std::vector<std::byte>& to, const message_view& m) {
  std::byte header[Framing::k_max_header];
  const auto size = Framing::encode_header(header, m);
  to.insert(to.end(), header, header + size);
  to.insert(to.end(), m.payload.begin(), m.payload.end());
}

std::vector<std::byte> framed_messages(std::size_t size, framing_kind framing) {
  bench_pattern pattern(size);
  std::vector<std::byte> all;
  const auto messages = raw_messages(size);
  all.reserve(messages * (size + codec::varint_framing::k_max_header));
  for (std::uint64_t sequence = 0; sequence < messages; ++sequence) {
    const message_view m{pattern.stamp(sequence)};
    switch (framing) {
      case framing_kind::automatic:
      case framing_kind::varint: append_frame<codec::varint_framing>(all, m); break;
      case framing_kind::u32: append_frame<codec::u32_framing>(all, m); break;
      case framing_kind::typed: append_frame<codec::typed_framing>(all, m); break;
    }
  }
  return all;
}

class raw_stream final : public raw_peer, private stream_events {
 public:
  raw_stream(context& where, std::unique_ptr<acceptor> arrivals, task what, std::vector<std::byte> buffer)
      : where_(where), arrivals_(std::move(arrivals)), task_(what), buffer_(std::move(buffer)) {}
  ~raw_stream() override {
    if (stream_) stream_->close();
    arrivals_->close();
  }

  void wait() {
    arrivals_->async_wait([this] {
      auto arrived = arrivals_->try_accept();
      if (!arrived) return wait();
      stream_ = std::move(*arrived);
      stream_->attach(*this, nullptr);
      move();
    });
  }

  [[nodiscard]] std::string url() const override { return arrivals_->local_url(); }
  [[nodiscard]] std::uint64_t moved() const override { return moved_; }

 private:
  void move() { task_ == task::discard ? read_some() : write_some(); }

  void read_some() {
    for (int i = 0; i < k_calls_per_turn; ++i) {
      const auto n = stream_->try_read(buffer_);
      if (n) {
        moved_ += *n;
        continue;
      }
      if (n.error() != errc::would_block) return end();
      break;
    }
    stream_->async_read(buffer_);
  }

  void write_some() {
    for (int i = 0; i < k_calls_per_turn; ++i) {
      const bytes rest = bytes(buffer_).subspan(at_);
      const auto n = stream_->try_write({&rest, 1});
      if (n) {
        moved_ += *n;
        at_ = (at_ + *n) % buffer_.size();
        continue;
      }
      if (n.error() != errc::would_block) return end();
      break;
    }
    stream_->async_wait_writable();
  }

  void on_read(result<std::size_t> outcome) override {
    if (!outcome) return end();
    moved_ += *outcome;
    read_some();
  }
  void on_writable() override { write_some(); }

  void end() {
    std::exchange(stream_, nullptr)->close();
    where_.io().stop();
  }

  context& where_;
  std::unique_ptr<acceptor> arrivals_;
  task task_;
  std::vector<std::byte> buffer_;
  std::size_t at_ = 0;  // of the next byte to write
  std::uint64_t moved_ = 0;
  std::shared_ptr<stream> stream_;
};

}  // namespace

std::uint64_t raw_messages(std::size_t size) { return std::max<std::uint64_t>(1, k_buffer / size); }

result<std::unique_ptr<raw_peer>> raw_peer::open(context& where, const std::string& url, const options& with, task what,
                                                 std::size_t size) {
  options all = with;
  const auto schemes = where.schemes();
  const auto at = parse_url(url, all, schemes);
  if (!at) return at.error();
  auto arrivals = where.transport(at->scheme)->listen(where, *at, all);
  if (!arrivals) return arrivals.error();
  auto buffer = what == task::discard ? std::vector<std::byte>(k_buffer) : framed_messages(size, all.framing);
  auto made = std::make_unique<raw_stream>(where, std::move(*arrivals), what, std::move(buffer));
  made->wait();
  return std::unique_ptr<raw_peer>(std::move(made));
}

}  // namespace ferry::app
