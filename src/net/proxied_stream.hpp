#pragma once
/// A stream whose first bytes are a PROXY header, which a balancer sends in front of everything else.

#include <functional>
#include <memory>

#include "codec/proxy_header.hpp"
#include "net/stream_above.hpp"

namespace ferry::net {

/// Reads exactly the header, then hands everything through; its peer is the one that the header names.
///   reading --whole header--> open --close()--> closed;  reading --close()--> closed
class proxied_stream final : public stream_above {
 public:
  using header_handler = std::function<void(result<void>)>;

  explicit proxied_stream(std::shared_ptr<stream> carrier);
  ~proxied_stream() override;

  /// Begins; once, before anything else. `done` is called once, never from inside this call, and not after close().
  /// @return through `done`: nothing | protocol, corrupt: as proxy_header_decoder::feed | truncated | why it broke
  void async_header(header_handler done);

  void close() noexcept override;
  [[nodiscard]] peer_info peer() const override { return peer_; }

 private:
  struct reading;  // what is needed for the header only

  // stream_events of the stream below
  void on_read(result<std::size_t> outcome) override;

  void read_on(result<std::size_t> outcome);
  void header_over(const result<void>& outcome);

  peer_info peer_;
  std::unique_ptr<reading> reading_;  // null unless reading
};

}  // namespace ferry::net
