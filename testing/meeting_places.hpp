#pragma once
/// Where the two ends of a session meet in a test, over any transport that carries one.

#include <ferry/options.hpp>

#include <map>
#include <string>
#include <utility>

#include "testing/raw_tcp.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"

namespace ferry::test {

/// Places of one transport. Whoever looks for one by its name finds the same one again, also after nobody listened
/// there for a while.
class meeting_places {
 public:
  /// @param scheme  shm, ipc, tcp or tls @param dir  for sockets and certificates
  meeting_places(std::string scheme, const temp_dir& dir) : scheme_(std::move(scheme)), dir_(dir) {
    if (scheme_ == "tls") tls_authority().issue(certificate(), {});
  }

  [[nodiscard]] std::string url(const std::string& name) {
    if (scheme_ == "shm") return "shm://" + name;
    if (scheme_ == "ipc") return "ipc://" + dir_.file(name + ".sock");
    return scheme_ + "://127.0.0.1:" + std::to_string(ports_[name].number());
  }
  /// What either end needs to listen there or to connect.
  void equip(options& end) const {
    if (scheme_ != "tls") return;
    end.tls_certificate = certificate();
    end.tls_ca = certificate() + ".ca";
  }

 private:
  [[nodiscard]] std::string certificate() const { return dir_.file("host.pem"); }

  std::string scheme_;
  const temp_dir& dir_;
  std::map<std::string, reserved_port> ports_;
};

}  // namespace ferry::test
