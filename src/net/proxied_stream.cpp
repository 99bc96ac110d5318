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

proxied_stream::proxied_stream(std::shared_ptr<stream> carrier)
    : stream_above(std::move(carrier)), peer_(below().peer()) {}

proxied_stream::~proxied_stream() { close(); }

void proxied_stream::async_header(header_handler done) {
  reading_ = std::make_unique<reading>();
  reading_->done = std::move(done);
  attach_below();
  below().async_read(reading_->room());
}

void proxied_stream::read_on(result<std::size_t> outcome) {
  for (;;) {
    if (!outcome && outcome.error() == errc::would_block) return below().async_read(reading_->room());
    if (!outcome && outcome.error() == errc::end_of_stream)
      return header_over(error(errc::truncated, "the connection ended before its PROXY header was whole"));
    if (!outcome) return header_over(outcome.error());
    const auto got = reading_->decoder.feed(bytes(reading_->buffer).first(*outcome));
    if (!got) return header_over(got.error());
    if (got->whole) return header_over({});
    outcome = below().try_read(reading_->room());
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

void proxied_stream::on_read(result<std::size_t> outcome) {
  if (!reading_) return stream_above::on_read(std::move(outcome));
  const auto self = shared_from_this();
  read_on(std::move(outcome));
}

void proxied_stream::close() noexcept {
  const auto self = weak_from_this().lock();
  reading_.reset();
  stream_above::close();
}

}  // namespace ferry::net
