#pragma once
/// The built-in stream transports.

#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <cstdint>
#include <memory>

namespace ferry::net {

/// ipc:///PATH and ipc://@ABSTRACT
[[nodiscard]] std::shared_ptr<stream_transport> make_unix_transport();
/// tcp://HOST:PORT
[[nodiscard]] std::shared_ptr<stream_transport> make_tcp_transport();
/// tls://HOST:PORT. Contexts that share this object share the TLS sessions that connecting ends may resume.
/// @param below  what carries the records; null: TCP
[[nodiscard]] std::shared_ptr<stream_transport> make_tls_transport(std::shared_ptr<stream_transport> below = nullptr);
/// Reads the files that the options name, as one does who listens. @return as tls_context::make | unsupported
[[nodiscard]] result<void> check_tls_files(const options& with);
/// Whether there is an HTTP upgrade before the frames.
enum class ws_start : std::uint8_t { upgrade, raw };
/// ws://HOST:PORT/PATH and its kin: WebSocket over what `below` carries. shape(): messages.
[[nodiscard]] std::shared_ptr<stream_transport> make_ws_transport(std::shared_ptr<stream_transport> below,
                                                                  ws_start start);
/// inproc://NAME. Its names are known to this object: contexts that share it reach each other.
[[nodiscard]] std::shared_ptr<stream_transport> make_inproc_transport();

/// A Unix socket that listens already and belongs to somebody else (a service manager): takes the descriptor, leaves
/// its file alone. @return misuse if the descriptor is not a listening Unix stream socket |
/// busy if none is left for the event loop.
[[nodiscard]] result<std::unique_ptr<acceptor>> adopt_unix_acceptor(context& where, int listening_fd,
                                                                    const options& with);

}  // namespace ferry::net
