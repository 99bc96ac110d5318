#pragma once
/// A stream of bytes that outlives its connections, of the compatible kind: what either end keeps of it. Counts what
/// was written and received, keeps the last bytes written, and says which of them a peer that comes again has not got.
/// Source: docs/gateway.md. The handshakes are in snet_handshake.hpp.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstdint>
#include <vector>

#include "codec/snet_messages.hpp"

namespace ferry::session {

enum class snet_end : std::uint8_t { client, server };

struct snet_options {
  codec::snet::form form = codec::snet::form::newer;
  bool encrypt = false;                 ///< with RC4; both ends need the same
  std::size_t history_bytes = 1 << 15;  ///< of what was written last, for sending again; 1 at least
  friend bool operator==(const snet_options&, const snet_options&) = default;
};

class snet_stream {
 public:
  snet_stream(const snet_options& options, std::uint64_t id, const codec::snet::shared_key& key, snet_end end);

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] const codec::snet::shared_key& key() const noexcept { return key_; }
  [[nodiscard]] const codec::snet::counts& counts() const noexcept { return counts_; }

  /// Bytes for the peer, in order. What of them goes over a connection that then breaks is sent again from the history:
  /// more than history_bytes in flight at that moment is the end of the stream, so who writes should wait while there
  /// is no connection. @param wire  as long as `plain` at least, and may be the same bytes: what is to be sent
  void write(bytes plain, mutable_bytes wire);
  /// Bytes from the peer; deciphered in place. Counted as received, whether somebody reads them or not.
  void receive(mutable_bytes wire) noexcept;

  /// What a peer that comes again has not received: the end of what was written, in two parts, to be sent as it is.
  struct replay {
    bytes first, second;
  };
  /// @param peer  what it says of itself @return protocol: the counts cannot be, with the numbers | truncated: it lacks
  /// more than the history holds, with both numbers. After an error the stream is dead.
  [[nodiscard]] result<replay> resume(const codec::snet::counts& peer) const;

 private:
  std::uint64_t id_;
  codec::snet::shared_key key_;
  bool encrypt_;
  codec::snet::rc4 outgoing_, incoming_;
  codec::snet::counts counts_;
  std::vector<std::byte> history_;  // a ring: byte n of the stream lies at n modulo its limit
  std::size_t limit_;
};

}  // namespace ferry::session
