#pragma once
/// WebSocket peers of other people's making as child processes, and an echoing listener for them.

#include <ferry/listener.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "testing/child.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {

/// Why a test that needs this file of a package cannot run; nothing: it can.
[[nodiscard]] inline std::string missing(const std::string& file) {
  return std::filesystem::exists(file) ? "" : "there is no " + file + ": scripts/setup.sh test installs what it is in";
}

/// The library `library` ("websockets", "autobahn", "ws") in the role that the arguments begin with. Debian's own
/// Python is asked for, since its packages hold the libraries.
[[nodiscard]] inline std::vector<std::string> websocket_peer(const std::string& library,
                                                             const std::vector<std::string>& arguments) {
  const std::string here = FERRY_SOURCE_DIR "/tests/interop/";
  std::vector<std::string> all{"/usr/bin/python3", here + "websocket_peer.py", library};
  if (library == "ws") all = {"node", here + "websocket_peer.js"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

/// The browser, on a page that connects to `url`.
[[nodiscard]] inline std::vector<std::string> browser_peer(const std::string& url,
                                                           const std::vector<std::string>& arguments = {}) {
  std::vector<std::string> all{"/usr/bin/python3", FERRY_SOURCE_DIR "/tests/interop/browser_peer.py", url};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

/// An event loop, a certificate for localhost, and a listener that echoes.
class among_peers : public ::testing::Test {
 protected:
  among_peers() {
    tls_authority().issue(certificate, {});
    with.max_message = 32u << 20;
    with.send_queue_bytes = 64u << 20;
  }

  void listen(const std::string& at) {
    if (at.starts_with("wss")) with.tls_certificate = certificate;
    auto made = listener::open(where, at, with);
    ASSERT_TRUE(made) << made.error().text();
    listening = *made;
    listening.on_error([this](const error& why) { refusals.push_back(why.text()); });
    listening.on_channel([this](channel arrived) {
      held.push_back(arrived);
      const std::size_t at_index = held.size() - 1;
      arrived.on_message([this, at_index](const message_view& m) {
        EXPECT_TRUE(held[at_index].try_send(m.payload, m.kind)) << "an echo";
      });
      arrived.on_down([this, at_index](const down_info& info) {
        downs.push_back(info.reason);
        notes.push_back(held[at_index].peer_close_note().value_or(close_note{0, "none"}));
      });
    });
  }
  /// The listener's URL, with the scheme and the host that are wished.
  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const {
    std::string all = listening.url();
    const auto at = all.find("127.0.0.1");
    return at == std::string::npos ? all : all.replace(at, 9, host);
  }
  [[nodiscard]] std::string port() const {
    const std::string all = listening.url();
    const auto at = all.rfind(':') + 1;
    return all.substr(at, all.find('/', at) - at);
  }

  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult turn(Predicate done, std::string_view awaited) {
    return run_until(io, std::move(done), awaited);
  }
  /// Turns our side until the peer has ended.
  [[nodiscard]] ::testing::AssertionResult run(child& peer, int expected = 0) {
    std::optional<int> status;
    const auto ended = turn([&] { return (status = peer.wait(child::duration(0))).has_value(); }, "the peer's end");
    peer.read_all();
    if (!ended) return ended;
    if (status == expected) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "status " << *status << ": " << peer.output() << peer.error_output();
  }

  temp_dir dir;
  const std::string certificate = dir.file("host.pem");
  boost::asio::io_context io;
  context where{io};
  options with;
  listener listening;
  std::vector<channel> held;
  std::vector<error> downs;
  std::vector<close_note> notes;  ///< what the peers said at the end
  std::vector<std::string> refusals;
};

}  // namespace ferry::test
