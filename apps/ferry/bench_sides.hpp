#pragma once
/// What measurements of channels between two processes have in common.

#include <ferry/context.hpp>
#include <ferry/url.hpp>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <string>

#include "apps/ferry/transports.hpp"
#include "bench/child.hpp"

namespace ferry::app {

/// The event loop of one side.
struct loop {
  loop() { add_transports(channels); }
  boost::asio::io_context io{1};
  context channels{io};
};

/// Where the server listens; in memory that both sides share.
class meeting_point {
 public:
  /// Once; fails the child if the text is too long.
  void publish(bench::child& me, const std::string& url);
  /// Waits for it.
  [[nodiscard]] std::string url() const;

 private:
  char text_[512] = {};
  std::atomic<bool> there_ = false;
};

[[noreturn]] void give_up(bench::child& me, const error& why);

/// Takes a URL apart and puts its options into `with`, for both sides, as channel::open does.
/// @return errors of the URL
[[nodiscard]] result<endpoint> look_up(const std::string& url, options& with);
/// The same | unsupported: the two ends would be in one process
[[nodiscard]] result<endpoint> look_up_between_processes(const std::string& url, options& with);

/// Where the server listens that a client reaches by `url`, which was looked up: there too; for an entity of a sidecar
/// in its directory, which lies beside the client's.
/// @return not_found: no directory beside the client's is of that entity, with what to do
[[nodiscard]] result<std::string> url_to_listen(const endpoint& at, const std::string& url);

/// Where the URL asks for TLS and no certificate is named, makes one of 127.0.0.1 in `directory`, for both sides.
/// @return errors of the URL, but an unknown scheme is left for later | unsupported: a build without TLS
[[nodiscard]] result<void> bring_certificate(const std::string& url, options& with, const std::string& directory);

/// Where a transport of this scheme listens: a free port, or a name in `directory`, which is also the runtime_dir.
[[nodiscard]] std::string free_url(const std::string& scheme, const std::string& directory);
/// Whether it needs a certificate.
[[nodiscard]] bool speaks_tls(const std::string& scheme);
/// Whether messages of this scheme stay in one process.
[[nodiscard]] bool stays_in_process(const std::string& scheme);

}  // namespace ferry::app
