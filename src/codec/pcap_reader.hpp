#pragma once
/// Reads a capture file back: which TCP connections are in it, and which bytes each side sent, in order.

#include <ferry/bytes.hpp>
#include <ferry/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/pcap_writer.hpp"

namespace ferry::codec {

/// Where the packets of a file end, found while it grows: for whoever goes on writing it.
struct pcap_extent {
  std::uint64_t whole = 0;  ///< bytes that hold the header and whole packets
};

/// A piece of one direction. `data` is a view of the file's bytes.
struct flow_piece {
  flow_side from = flow_side::client;
  std::uint64_t time = 0;  ///< nanoseconds since 1970
  bytes data;
};

/// One connection of a capture.
struct captured_flow {
  flow_address client, server;
  std::vector<flow_piece> pieces;           ///< in the order of the file; none is empty
  std::array<std::uint64_t, 2> bytes_of{};  ///< what each side sent, by index_of(side)
  std::array<bool, 2> ended{};              ///< it said that nothing more comes
  bool reset = false;
  bool has_begin = false;  ///< the handshake was captured; if not, who connected is taken from who spoke first
  bool has_gap = false;    ///< bytes are missing: only what comes before them is here
};

struct pcap_limits {
  std::size_t max_flows = 65'536;
};

struct capture_content {
  std::vector<captured_flow> flows;  ///< in the order in which they began
  bool cut_short = false;            ///< the last packet is not whole: the writer died, or still writes
  std::uint64_t ignored = 0;         ///< packets that are no TCP over IPv4 or IPv6, or fragments of them
};

/// @param file  all of it; the result views it. Either byte order, microseconds or nanoseconds, packets of IP or of
/// Ethernet: what Ferry writes, and what tcpdump writes. Repeated and overlapping segments count once.
/// @return truncated: no whole file header | corrupt: no pcap, or a packet longer than the file may have |
/// unsupported: other kinds of packets | busy: more flows than the limit
[[nodiscard]] result<capture_content> read_capture(bytes file, const pcap_limits& limits = {});

/// @param tail  the bytes at `from.whole`, as many as were read; call again with more while it moves
/// @return errc::corrupt: at this place there is no packet of ours
[[nodiscard]] result<void> extend(pcap_extent& from, bytes tail);

}  // namespace ferry::codec
