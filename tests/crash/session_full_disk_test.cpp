// Persistent sessions on a disk of one megabyte that is full: making a session fails, clearly; one that is made lacks
// nothing.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session_crash.hpp"
#include "session_side.hpp"
#include "testing/small_disk.hpp"

namespace ferry::test {
namespace {

/// Takes all the room that there is.
class filler {
 public:
  explicit filler(std::string path) : path_(std::move(path)) {}
  void fill() const { fill_disk(path_); }
  void empty() const { ::unlink(path_.c_str()); }

 private:
  std::string path_;
};

class full_disk {
 public:
  explicit full_disk(std::string directory) : dir_(std::move(directory)), rest_(dir_ + "/filler") {}

  void run() {
    rest_.fill();
    const auto refused = channel::open(where_, url("client"));
    if (refused) give_up("a session was made on a full disk");
    if (refused.error() != errc::no_memory || refused.error().text().find(dir_) == std::string::npos)
      give_up("not a clear error: " + refused.error().text());
    rest_.empty();

    // The client's is made, the server's cannot be.
    open_client();
    rest_.fill();
    open_listener();
    wait([&] { return !listener_errors_.empty(); }, "the listener's error");
    if (listener_errors_[0] != errc::no_memory) give_up("not a clear error: " + listener_errors_[0].text());
    if (server_) give_up("a session was made on a full disk");
    rest_.empty();
    wait([&] { return server_ && client_->of().state() == channel_state::up; }, "a connection");
    rest_.fill();
    exchange();

    // Both come back, and recover, with no room for anything.
    for (auto* one : {client_, server_}) one->of().cut();
    at_.close();
    client_ = server_ = nullptr;
    io_.restart();
    io_.poll();
    open_listener();
    open_client();
    exchange();
    rest_.empty();
  }

 private:
  [[nodiscard]] std::string url(const std::string& as) const {
    return "ipc://" + dir_ + "/at.sock?session=persistent&ring_bytes=64KiB&dir=" + dir_ + "&as=" + as +
           (as == "client" ? "&reconnect=on&reconnect_base=2ms&reconnect_max=2ms" : "");
  }
  void open_client() {
    client_ = keep({must(channel::open(where_, url("client")), "open"), asked_, session_role::client});
  }
  void open_listener() {
    at_ = must(listener::open(where_, url("server")), "listen");
    at_.on_channel([this](channel one) { server_ = keep({std::move(one), answered_, session_role::server}); });
    at_.on_error([this](const error& why) { listener_errors_.push_back(why); });
  }
  struct maker {
    channel of;
    session_book& book;
    session_role role;
  };
  session_side* keep(maker m) {
    sides_.push_back(std::make_unique<session_side>(std::move(m.of), m.book, m.role, session_style::transactions));
    sides_.back()->on_trouble = [](const error&) {};
    return sides_.back().get();
  }
  void exchange() {
    const std::uint64_t enough = answered_.committed + 2000;
    wait([&] { return answered_.committed > enough; }, "steps on a full disk");
  }
  template <class Predicate>
  void wait(Predicate done, const char* awaited) {
    if (const auto waited = run_until(io_, done, awaited, std::chrono::seconds(30)); !waited) give_up(waited.message());
  }

  const std::string dir_;
  const filler rest_;
  session_book asked_{};
  session_book answered_{};
  boost::asio::io_context io_;
  context where_{io_};
  listener at_;
  std::vector<std::unique_ptr<session_side>> sides_;
  session_side* client_ = nullptr;
  session_side* server_ = nullptr;
  std::vector<error> listener_errors_;
};

TEST(session_on_a_full_disk, is_not_made_and_goes_on_if_it_was_made_before) {
  const temp_dir dir;
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const os::unique_fd reads(ends[0]);
  os::unique_fd writes(ends[1]);
  const pid_t in_there = ::fork();
  ASSERT_GE(in_there, 0);
  if (in_there == 0) {
    std::string why;
    if (!mount_small_disk(dir.path(), "size=1m")) ::_exit(k_no_namespaces);
    try {
      std::make_unique<full_disk>(dir.path())->run();
    } catch (const std::exception& failed) {
      why = failed.what();
      (void)!::write(writes.get(), why.data(), why.size());
    }
    ::_exit(why.empty() ? 0 : 1);
  }
  writes.reset();
  std::string why(4096, '\0');
  const ssize_t n = ::read(reads.get(), why.data(), why.size());
  why.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  int status = 0;
  ASSERT_EQ(::waitpid(in_there, &status, 0), in_there);
  if (WIFEXITED(status) && WEXITSTATUS(status) == k_no_namespaces) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(status, 0) << why;
}

}  // namespace
}  // namespace ferry::test
