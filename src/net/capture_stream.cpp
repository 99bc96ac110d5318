#include "net/capture_stream.hpp"

#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

#include "net/lingers.hpp"
#include "net/posted_attempt.hpp"
#include "net/stream_above.hpp"

namespace ferry::net {
namespace {

using codec::flow_side;

std::uint64_t wall_clock() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

// "127.0.0.1:80", "[fe80::1%eth0]:80"; nothing for addresses that are no IP.
std::optional<codec::flow_address> parsed(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  codec::flow_address at;
  const auto port = text.substr(colon + 1);
  if (const auto read = std::from_chars(port.data(), port.data() + port.size(), at.port);
      read.ec != std::errc() || read.ptr != port.data() + port.size())
    return std::nullopt;
  auto host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::system::error_code failed;
  const auto ip = boost::asio::ip::make_address(host, failed);
  if (failed) return std::nullopt;
  const auto keep = [&at](const auto& raw) {
    std::transform(raw.begin(), raw.end(), at.ip.begin(), [](unsigned char c) { return std::byte{c}; });
  };
  if (ip.is_v4()) {
    keep(ip.to_v4().to_bytes());
  } else if (ip.to_v6().is_v4_mapped()) {
    keep(boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, ip.to_v6()).to_bytes());
  } else {
    at.v6 = true;
    keep(ip.to_v6().to_bytes());
  }
  return at;
}

// Of TEST-NET-1 (RFC 5737), which nobody has: the side is the last number.
codec::flow_address made_up(flow_side side, std::uint32_t number, captured_protocol first) {
  constexpr std::uint16_t k_server_port = 9000, k_http_port = 80, k_first_port = 1024;
  codec::flow_address at;
  at.ip = {std::byte{192}, std::byte{0}, std::byte{2}, side == flow_side::client ? std::byte{1} : std::byte{2}};
  const auto client_port = static_cast<std::uint16_t>(k_first_port + number % (65'536 - k_first_port));
  at.port = side == flow_side::client ? client_port : first == captured_protocol::http ? k_http_port : k_server_port;
  return at;
}

codec::pcap_flow flow_between(const stream& seen, flow_side own, std::uint32_t number, captured_protocol first) {
  auto here = parsed(seen.local_address());
  auto there = parsed(seen.peer().address);
  if (!here || !there) {
    here = made_up(own, number, first);
    there = made_up(codec::other(own), number, first);
  }
  return own == flow_side::client ? codec::pcap_flow(*here, *there) : codec::pcap_flow(*there, *here);
}

class capture_stream final : public stream_above, public lingers {
 public:
  capture_stream(context& where, std::shared_ptr<stream> seen, std::shared_ptr<capture_file> file, flow_side own,
                 captured_protocol first)
      : stream_above(std::move(seen)),
        where_(where),
        file_(std::move(file)),
        own_(own),
        flow_(flow_between(below(), own, file_->next_number(), first)) {
    if (first == captured_protocol::http) blanker_.emplace();
    file_->append(where_, [this](auto& out) { flow_.open(wall_clock(), out); });
  }
  ~capture_stream() override { close(); }

  void attach(stream_events& events, std::shared_ptr<void> owner) override {
    stream_above::attach(events, std::move(owner));
    attach_below();
  }

  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override {
    auto n = below().try_read(into);
    seen_read(n, into);
    return n;
  }

  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override {
    const auto n = below().try_write(from);
    if (!n) return n;
    std::size_t left = *n;
    std::array<bytes, k_parts> taken;
    // More parts than that are the caller's gathering, and come to one packet after the other.
    for (auto part = from.begin(); part != from.end() && left != 0;) {
      std::size_t used = 0;
      for (; used < taken.size() && part != from.end() && left != 0; ++part) {
        taken[used++] = part->first(std::min(left, part->size()));
        left -= taken[used - 1].size();
      }
      write_down(own_, std::span(taken).first(used));
    }
    return n;
  }

  void async_read(mutable_bytes into) override {
    into_ = into;
    below().async_read(into);
  }

  result<void> shutdown_write() override {
    auto done = below().shutdown_write();
    if (done) file_->append(where_, [this](auto& out) { flow_.end(own_, wall_clock(), out); });
    return done;
  }

  void close() noexcept override {
    if (std::exchange(closed_, true)) return;
    const auto self = weak_from_this().lock();
    stream_above::close();
    // Where the peer has ended, closing is the end of our direction; else it cuts both.
    file_->append(where_, [this](auto& out) {
      if (flow_.ended(codec::other(own_)))
        flow_.end(own_, wall_clock(), out);
      else
        flow_.reset(own_, wall_clock(), out);
    });
  }

  void keep_place(std::shared_ptr<void> place) override { net::keep_place(below(), std::move(place)); }

 private:
  static constexpr std::size_t k_parts = 16;

  // stream_events of the stream below
  void on_read(result<std::size_t> outcome) override {
    seen_read(outcome, into_);
    stream_above::on_read(std::move(outcome));
  }

  void seen_read(const result<std::size_t>& outcome, mutable_bytes into) noexcept {
    const auto peer = codec::other(own_);
    if (outcome) {
      const bytes data = into.first(*outcome);
      return write_down(peer, {&data, 1});
    }
    if (outcome.error() == errc::would_block) return;
    file_->append(where_, [&](auto& out) {
      if (outcome.error() == errc::end_of_stream)
        flow_.end(peer, wall_clock(), out);
      else
        flow_.reset(peer, wall_clock(), out);
    });
  }

  void write_down(flow_side from, std::span<const bytes> parts) noexcept {
    file_->append(where_, [&](std::vector<std::byte>& out) {
      if (!blanker_) return flow_.data(from, parts, wall_clock(), out);
      // HTTP's heads are few and small: they are copied, so that the caller's bytes stay as they are.
      std::vector<std::byte> copy;
      for (const auto& part : parts) copy.insert(copy.end(), part.begin(), part.end());
      blanker_->blank(from, copy);
      const bytes all = copy;
      flow_.data(from, {&all, 1}, wall_clock(), out);
      if (blanker_->over()) blanker_.reset();
    });
  }

  context& where_;
  std::shared_ptr<capture_file> file_;
  flow_side own_;
  codec::pcap_flow flow_;
  std::optional<codec::http_blanker> blanker_;  // as long as HTTP is spoken
  mutable_bytes into_;                          // of the read that is under way
  bool closed_ = false;
};

class capture_acceptor final : public acceptor {
 public:
  capture_acceptor(context& where, std::unique_ptr<acceptor> below, std::shared_ptr<capture_file> file,
                   captured_protocol first)
      : where_(where), below_(std::move(below)), file_(std::move(file)), first_(first) {}

  [[nodiscard]] result<std::shared_ptr<stream>> try_accept() override {
    auto arrived = below_->try_accept();
    if (!arrived) return arrived;
    return std::shared_ptr<stream>(
        std::make_shared<capture_stream>(where_, std::move(*arrived), file_, flow_side::server, first_));
  }
  void async_wait(std::function<void()> ready) override { below_->async_wait(std::move(ready)); }
  result<void> refuse_new() override { return below_->refuse_new(); }
  void close() noexcept override { below_->close(); }
  [[nodiscard]] std::string local_url() const override { return below_->local_url(); }

 private:
  context& where_;
  std::unique_ptr<acceptor> below_;
  std::shared_ptr<capture_file> file_;
  captured_protocol first_;
};

class captured_transport final : public stream_transport {
 public:
  captured_transport(std::shared_ptr<stream_transport> below, std::shared_ptr<capture_files> files,
                     captured_protocol first)
      : below_(std::move(below)), files_(std::move(files)), first_(first) {}

  [[nodiscard]] result<std::unique_ptr<acceptor>> listen(context& where, const endpoint& at,
                                                         const options& with) override {
    auto from = below_->listen(where, at, with);
    if (!from || with.capture.empty()) return from;
    return make_captured(where, std::move(*from), *files_, with, first_);
  }

  [[nodiscard]] std::unique_ptr<connect_attempt> connect(context& where, const endpoint& to, const options& with,
                                                         connect_handler done) override {
    if (with.capture.empty()) return below_->connect(where, to, with, std::move(done));
    auto file = files_->find(with);
    if (!file) return std::make_unique<posted_attempt>(where.io(), file.error(), std::move(done));
    return below_->connect(where, to, with,
                           [&where, file = std::move(*file), first = first_,
                            done = std::move(done)](result<std::shared_ptr<stream>> made) {
                             if (!made) return done(std::move(made));
                             done(std::shared_ptr<stream>(std::make_shared<capture_stream>(
                                 where, std::move(*made), file, flow_side::client, first)));
                           });
  }

  [[nodiscard]] stream_shape shape() const noexcept override { return below_->shape(); }

 private:
  std::shared_ptr<stream_transport> below_;
  std::shared_ptr<capture_files> files_;
  captured_protocol first_;
};

}  // namespace

std::shared_ptr<stream_transport> make_captured(std::shared_ptr<stream_transport> below,
                                                std::shared_ptr<capture_files> files, captured_protocol first) {
  if (!below) return nullptr;
  return std::make_shared<captured_transport>(std::move(below), std::move(files), first);
}

result<std::unique_ptr<acceptor>> make_captured(context& where, std::unique_ptr<acceptor> below, capture_files& files,
                                                const options& with, captured_protocol first) {
  if (with.capture.empty()) return below;
  auto file = files.find(with);
  if (!file) return file.error();
  return std::unique_ptr<acceptor>(
      std::make_unique<capture_acceptor>(where, std::move(below), std::move(*file), first));
}

}  // namespace ferry::net
