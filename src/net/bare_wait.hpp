#pragma once

namespace ferry::net {

/// What some streams can besides: tell that there may be something to be read, while nobody holds a buffer for it.
/// Found by dynamic_cast.
class bare_wait {
 public:
  /// Instead of stream::async_read: one on_read follows, of 0 bytes, or why there will be none. It may turn out that
  /// there is nothing to be read. @return false: it cannot be done, and nothing follows
  [[nodiscard]] virtual bool async_wait_readable() = 0;

 protected:
  ~bare_wait() = default;
};

}  // namespace ferry::net
