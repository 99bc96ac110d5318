#pragma once
/// Writes what goes through a stream to a capture file. The stream itself stays as it is.

#include <ferry/stream.hpp>

#include <cstdint>
#include <memory>

#include "net/capture_file.hpp"

namespace ferry::net {

/// What the streams begin with.
enum class captured_protocol : std::uint8_t {
  any,   ///< bytes, which are written down as they are
  http,  ///< an HTTP request and its answer, whose secrets are blanked out; then anything
};

/// Streams of `below` that are captured where options::capture is set, and are below's own where it is not. Has to lie
/// above TLS, so that what is captured can be read, and below WebSocket, so that its frames are seen.
/// @param below  null gives null
[[nodiscard]] std::shared_ptr<stream_transport> make_captured(std::shared_ptr<stream_transport> below,
                                                              std::shared_ptr<capture_files> files,
                                                              captured_protocol first = captured_protocol::any);
/// The same for an acceptor that is there already.
[[nodiscard]] result<std::unique_ptr<acceptor>> make_captured(context& where, std::unique_ptr<acceptor> below,
                                                              capture_files& files, const options& with,
                                                              captured_protocol first = captured_protocol::any);

}  // namespace ferry::net
