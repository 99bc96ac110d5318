#pragma once
/// Resumable streams where they are begun: who loses the connection makes another one and goes on. Source:
/// docs/gateway.md.

#include <ferry/stream.hpp>

#include <memory>

#include "gateway/resumable.hpp"

namespace ferry::gateway {

/// Of the last stream that it made, and, how often they went on, of all.
class resuming_transport : public stream_transport, public resuming {};

/// Streams over connections of `below`, to where accept_resumable() is at the other end. The first connection and its
/// handshake are the attempt, which fails with what they fail with | unsupported: a token, and no TLS 1.3. A stream
/// breaks with timeout: no other connection within `with.wait` | refused, protocol, truncated: the other end does not
/// go on | what the last attempt failed with, if the options allow so many only.
/// Between two attempts it waits as options::reconnect_... say; the first one after a loss comes at once.
[[nodiscard]] std::shared_ptr<resuming_transport> resuming_over(std::shared_ptr<stream_transport> below,
                                                                const resume_settings& with);

}  // namespace ferry::gateway
