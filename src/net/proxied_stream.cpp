#include "net/proxied_stream.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/utf8.hpp"

namespace ferry::net {

struct proxied_stream::reading {
  codec::proxy_header_decoder decoder;
  header_handler done;
  std::array<std::byte, 256> buffer{};
  [[nodiscard]] mutable_bytes room() { return mutable_bytes(buffer).first(std::min(buffer.size(), decoder.wanted())); }
};

proxied_stream::proxied_stream(std::shared_ptr<stream> below) : below_(std::move(below)), peer_(below_->peer()) {}

proxied_stream::~proxied_stream() { close(); }

void proxied_stream::async_header(header_handler done) {
  reading_ = std::make_unique<reading>();
  reading_->done = std::move(done);
  below_->attach(*this, shared_from_this());
  below_->async_read(reading_->room());
}

void proxied_stream::read_on(result<std::size_t> outcome) {
  for (;;) {
    if (!outcome && outcome.error() == errc::would_block) return below_->async_read(reading_->room());
    if (!outcome && outcome.error() == errc::end_of_stream)
      return header_over(error(errc::truncated, "the connection ended before its PROXY header was whole"));
    if (!outcome) return header_over(outcome.error());
    const auto got = reading_->decoder.feed(bytes(reading_->buffer).first(*outcome));
    if (!got) return header_over(got.error());
    if (got->whole) return header_over({});
    outcome = below_->try_read(reading_->room());
  }
}

void proxied_stream::header_over(const result<void>& outcome) {
  const auto over = std::exchange(reading_, nullptr);
  const auto& header = over->decoder.header();
  if (outcome && header.family != codec::proxied_family::none) {
    peer_.through = std::exchange(peer_.address, printable(header.text(header.source)));
    peer_.process.reset();  // the balancer's
  }
  over->done(outcome);
}

void proxied_stream::attach(stream_events& events, std::shared_ptr<void> owner) {
  events_ = &events;
  owner_ = std::move(owner);
}

void proxied_stream::on_read(result<std::size_t> outcome) {
  const auto self = shared_from_this();
  if (reading_) return read_on(std::move(outcome));
  if (events_ == nullptr) return;
  const auto keep = owner_;
  events_->on_read(std::move(outcome));
}

void proxied_stream::on_writable() {
  if (events_ == nullptr) return;
  const auto self = shared_from_this();
  const auto keep = owner_;
  events_->on_writable();
}

void proxied_stream::close() noexcept {
  const auto self = weak_from_this().lock();  // the stream below lets go of us
  events_ = nullptr;
  reading_.reset();
  below_->close();
  owner_.reset();
}

}  // namespace ferry::net
