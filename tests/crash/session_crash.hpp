#pragma once
/// The fixture of the crash tests of persistent sessions: the files that survive their sides, and their URLs.

#include <fcntl.h>
#include <unistd.h>

#include "crash_test.hpp"
#include "os/session_store.hpp"
#include "session_book.hpp"
#include "testing/raw_tcp.hpp"
#include "testing/tls_authority.hpp"

namespace ferry::test {

/// A `What`, zeros at first, in a file that sides map too and that outlives them.
template <class What>
class mapped_file {
 public:
  explicit mapped_file(std::string path) : path_(std::move(path)) {
    const os::unique_fd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (::ftruncate(fd.get(), sizeof(What)) != 0) throw std::runtime_error("no room for " + path_);
    at_ = os::mapping::of(fd.get(), sizeof(What), true).value();
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] What& operator*() const { return *reinterpret_cast<What*>(at_.data()); }
  [[nodiscard]] What* operator->() const { return &**this; }

 private:
  std::string path_;
  os::mapping at_;
};

class session_crash : public crash {
 protected:
  session_crash() {
    for (const auto* side : {"client", "server"}) std::filesystem::create_directory(dir.path() / side);
    // Valid at whatever time of day a side believes it is.
    constexpr long k_decades = 35l * 365 * 24 * 3600;
    tls_authority("test CA", k_decades).issue(dir.file("host.pem"), {.from = -k_decades, .to = k_decades});
  }
  /// @param whose  client or server @param more  "&name=value" ... @param as  its name; empty: the same
  [[nodiscard]] std::string url(std::string_view scheme, const std::string& whose, const std::string& more = "",
                                const std::string& as = "") const {
    std::string all = scheme == "shm"   ? "shm://meeting"
                      : scheme == "ipc" ? "ipc://" + dir.file("meeting.sock")
                      : scheme == "tls" ? "tls://127.0.0.1:" + std::to_string(tls_port.number())
                                        : "tcp://127.0.0.1:" + std::to_string(port.number());
    all += "?session=persistent&ring_bytes=64KiB&as=" + (as.empty() ? whose : as) + "&dir=" + dir.file(whose) + more;
    if (scheme == "tls")
      all += whose == "client" ? "&tls_ca=" + dir.file("host.pem.ca") : "&tls_certificate=" + dir.file("host.pem");
    if (whose == "client") all += "&reconnect=on&reconnect_base=2ms&reconnect_max=2ms";
    return all;
  }
  [[nodiscard]] std::unique_ptr<child> start_side(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), FERRY_SESSION_PEER);
    return std::make_unique<child>(std::move(arguments),
                                   child_options{{"RUNTIME_DIRECTORY=" + dir.path().string()}, {}});
  }
  [[nodiscard]] static std::string last_words(child& of) {
    of.kill(SIGKILL);
    of.read_all();
    return of.error_output();
  }
  /// What `own` has committed in its session with `peer`, as the files say; nobody has them open.
  [[nodiscard]] side_counts committed(const std::string& own, const std::string& peer) const {
    side_counts counts;
    const auto files = os::session_store::open(dir.file(own), {own, peer}, {});
    if (!files) {
      ADD_FAILURE() << files.error().text();
      return counts;
    }
    const bytes state = (*files)->session().state();
    EXPECT_EQ(state.size(), sizeof counts);
    if (state.size() == sizeof counts) std::memcpy(&counts, state.data(), sizeof counts);
    return counts;
  }
  [[nodiscard]] static bool has_ended(child& who) { return who.wait(child::duration{0}).has_value(); }

  reserved_port port, tls_port;
};

}  // namespace ferry::test
