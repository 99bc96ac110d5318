#pragma once
/// The fixture of tests about TLS.

#include <string>
#include <vector>

#include "testing/listening_world.hpp"
#include "testing/tls_authority.hpp"

namespace ferry::test {

/// A listener with a certificate of its own CA, which echoes, and clients of it.
class tls_world : public listening_world {
 protected:
  tls_world() { authority.issue(file("host"), {}); }

  [[nodiscard]] std::string file(const std::string& name) const { return dir.file(name + ".pem"); }
  [[nodiscard]] std::string ca() const { return file("host") + ".ca"; }

  /// Listens with `with`, and echoes.
  void listen(options with) {
    if (with.tls_certificate.empty()) with.tls_certificate = file("host");
    listen_at(where_to_listen, with);
  }
  void listen() { listen({}); }
  void welcome(channel arrived) override {
    server = arrived;
    arrived.on_message([arrived](const message_view& m) mutable { (void)arrived.try_send(m.payload); });
    arrived.on_down([this](const down_info& info) { server_downs.push_back(info.reason); });
  }
  [[nodiscard]] options trusting() const {
    options with;
    with.tls_ca = ca();
    return with;
  }
  /// Whether a message came back over a connection with `with`; `failed` tells why not.
  bool echoes(const options& with) {
    failed = error();
    auto made = channel::open(where, listening.url(), with);
    if (!made) return (failed = made.error()), false;
    client = *made;
    std::string back;
    client.on_message([&back](const message_view& m) { back = m.text(); });
    client.on_up([this](const peer_info& who) { seen = who; });
    EXPECT_TRUE(client.try_send("hello"));
    EXPECT_TRUE(turn([&] { return !back.empty() || client.state() == channel_state::closed; }, "an answer"));
    failed = client.last_error();
    return back == "hello";
  }
  void close_client() {
    bool closed = false;
    client.async_close([&](error_code why, const close_report&) {
      EXPECT_FALSE(why) << why.message();
      closed = true;
    });
    EXPECT_TRUE(turn([&] { return closed; }, "the end"));
  }

  std::string where_to_listen = "tls://127.0.0.1:0";
  tls_authority authority;
  channel client, server;
  peer_info seen;
  error failed;
  std::vector<error> server_downs;
};

}  // namespace ferry::test
