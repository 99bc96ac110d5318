#pragma once
/// A stream whose first bytes are a PROXY header, which a balancer sends in front of everything else.

#include <ferry/stream.hpp>

#include <functional>
#include <memory>

#include "codec/proxy_header.hpp"

namespace ferry::net {

/// Reads exactly the header, then hands everything through; its peer is the one that the header names.
///   reading --whole header--> open --close()--> closed;  reading --close()--> closed
class proxied_stream final : public stream, private stream_events, public std::enable_shared_from_this<proxied_stream> {
 public:
  using header_handler = std::function<void(result<void>)>;

  explicit proxied_stream(std::shared_ptr<stream> below);
  ~proxied_stream() override;

  /// Begins; once, before anything else. `done` is called once, never from inside this call, and not after close().
  /// @return through `done`: nothing | protocol, corrupt: as proxy_header_decoder::feed | truncated | why it broke
  void async_header(header_handler done);

  void attach(stream_events& events, std::shared_ptr<void> owner) override;
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override { return below_->try_read(into); }
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override {
    return below_->try_write(from);
  }
  void async_read(mutable_bytes into) override { below_->async_read(into); }
  void async_wait_writable() override { below_->async_wait_writable(); }
  result<void> shutdown_write() override { return below_->shutdown_write(); }
  result<void> shutdown_read() override { return below_->shutdown_read(); }
  [[nodiscard]] std::size_t unread() const noexcept override { return below_->unread(); }
  void close() noexcept override;
  [[nodiscard]] peer_info peer() const override { return peer_; }
  [[nodiscard]] std::string local_address() const override { return below_->local_address(); }

 private:
  struct reading;  // what is needed for the header only

  // stream_events of the stream below
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override;

  void read_on(result<std::size_t> outcome);
  void header_over(const result<void>& outcome);

  std::shared_ptr<stream> below_;
  peer_info peer_;
  std::unique_ptr<reading> reading_;  // null unless reading
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
};

}  // namespace ferry::net
