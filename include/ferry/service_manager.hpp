#pragma once
/// Whoever started this process and watches it, such as systemd; <ferry/systemd.hpp> has that one.

#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <memory>
#include <string>

namespace ferry {

/// Thread safety: one thread at a time.
class service_manager {
 public:
  virtual ~service_manager() = default;
  /// Where a socket that was wanted at `path` belongs.
  [[nodiscard]] virtual std::string socket_path(const std::string& path) const = 0;
  /// The listening socket that the manager made for this process. @return null: there is none, or it was taken already
  [[nodiscard]] virtual result<std::unique_ptr<acceptor>> take_listener(context& where, const options& with) = 0;
  /// The service works from now on.
  virtual void ready() = 0;
  /// The service begins to end.
  virtual void stopping() = 0;
};

}  // namespace ferry
