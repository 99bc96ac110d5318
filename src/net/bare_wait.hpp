#pragma once

namespace ferry::net {

/// Who waits for bytes without a buffer of its own.
class bare_reader {
 public:
  /// There may be something to be read. It may turn out that there is not. Whose stream it is kept alive meanwhile.
  virtual void on_readable() = 0;
  /// That comes next: what it will touch may be fetched into the cache.
  virtual void expect() const noexcept {}

 protected:
  ~bare_reader() = default;
};

/// What some streams can besides: tell that there may be something to be read, while nobody holds a buffer for it.
/// Found by dynamic_cast.
class bare_wait {
 public:
  /// Instead of stream::async_read: one on_readable() follows, or an on_read that says why there will be none.
  /// @param whom  until then, or until close(); the one of attach() @return false: it cannot be done, and nothing
  /// follows
  [[nodiscard]] virtual bool async_wait_readable(bare_reader& whom) = 0;

 protected:
  ~bare_wait() = default;
};

}  // namespace ferry::net
