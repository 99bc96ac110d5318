#pragma once
/// The built-in stream transports.

#include <ferry/stream.hpp>

#include <memory>

namespace ferry::net {

/// ipc:///PATH and ipc://@ABSTRACT
[[nodiscard]] std::shared_ptr<stream_transport> make_unix_transport();
/// tcp://HOST:PORT
[[nodiscard]] std::shared_ptr<stream_transport> make_tcp_transport();
/// inproc://NAME. Its names are known to this object: contexts that share it reach each other.
[[nodiscard]] std::shared_ptr<stream_transport> make_inproc_transport();

/// A Unix socket that listens already and belongs to somebody else (a service manager): takes the descriptor, leaves
/// its file alone. @return misuse if the descriptor is not a listening Unix stream socket |
/// busy if none is left for the event loop.
[[nodiscard]] result<std::unique_ptr<acceptor>> adopt_unix_acceptor(context& where, int listening_fd,
                                                                    const options& with);

}  // namespace ferry::net
