// What the instances of one entity do to the files, locks and sockets in their directory, and the others do not notice.
#include <ferry/sidecar.hpp>

#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "os/file_id.hpp"
#include "os/file_lock.hpp"
#include "os/unique_fd.hpp"
#include "sidecar/sidecar.hpp"
#include "testing/forked.hpp"
#include "testing/kept_log.hpp"
#include "testing/service_by_hand.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::sidecar {
namespace {

using namespace std::chrono_literals;
using codec::sidecar::registration_answer;
using test::run_until;
using test::service_by_hand;

class neighbours : public ::testing::Test {
 protected:
  neighbours() {
    for (const std::uint32_t entity : {101u, 201u}) with.entities.push_back(test::small_entity(dir, entity, 3));
    with.message_age = {};
  }
  void open() {
    it.reset();
    auto made = daemon::open(where, with);
    ASSERT_TRUE(made) << made.error().text();
    it.emplace(std::move(*made));
  }
  [[nodiscard]] service_by_hand service(std::size_t index, std::uint32_t pipe = 0) {
    return service_by_hand(io, with.entities[index], pipe);
  }
  [[nodiscard]] pipe_view view(std::size_t index, std::uint32_t pipe = 0) const {
    return it->pipes()[3 * index + pipe];
  }
  [[nodiscard]] std::string file(const std::string& name) const { return with.entities[0].directory + "/" + name; }
  /// The other entity is served as if nothing was.
  [[nodiscard]] ::testing::AssertionResult other_is_well() {
    auto one = service(1), two = service(1, 1);
    if (one.enter().code != 0 || two.enter().code != 0) return ::testing::AssertionFailure() << "not registered";
    if (!two.send(to_entity{201}, "as ever")) return ::testing::AssertionFailure() << "no room";
    if (one.receive().body != "as ever") return ::testing::AssertionFailure() << "another message";
    one.unlock(), two.unlock();
    return ::testing::AssertionSuccess();
  }
  template <class Done>
  [[nodiscard]] ::testing::AssertionResult comes(Done done, std::string_view what) {
    return run_until(io, done, what);
  }

  const test::temp_dir dir;
  test::kept_log log;
  boost::asio::io_context io{1};
  context where{io, {.log = &log}};
  settings with;
  std::optional<daemon> it;
};

TEST_F(neighbours, who_hold_the_lock_of_its_socket_keep_only_their_own_entity_away) {
  ASSERT_NO_FATAL_FAILURE(open());
  it.reset();
  auto held = os::file_lock::try_acquire(file("sidecar.sock.lock"));
  ASSERT_TRUE(held);
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(it->entities(), 1u);
  const auto all = it->change(with);
  ASSERT_EQ(all.size(), 1u) << "a reload waits for nobody either";
  EXPECT_NE(all[0].find("somebody else holds the lock"), std::string::npos) << all[0];
  held = error(errc::closed);
  EXPECT_TRUE(it->change(with).empty());
  EXPECT_EQ(it->entities(), 2u);
  held = os::file_lock::try_acquire(file("sidecar.sock.lock"));
  ASSERT_TRUE(held);
  it.reset();  // nor does its end
  held = error(errc::closed);
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(it->entities(), 2u);
}

TEST_F(neighbours, who_remove_its_socket_find_another_one_there) {
  ASSERT_NO_FATAL_FAILURE(open());
  const auto path = file("sidecar.sock");
  std::filesystem::remove(path);
  ASSERT_TRUE(comes([&] { return std::filesystem::is_socket(path); }, "another socket"));
  EXPECT_EQ(log.count("entity 101: its socket was removed, and is made again"), 1);
  auto a = service(0);
  EXPECT_EQ(a.enter().code, 0);

  std::filesystem::remove(path);
  std::ofstream(path) << "no socket";
  ASSERT_TRUE(comes([&] { return log.count("cannot be made again") != 0; }, "why there is none"));
  EXPECT_TRUE(std::filesystem::is_regular_file(path)) << "it is left alone";
  EXPECT_TRUE(other_is_well());
  std::filesystem::remove(path);
  ASSERT_TRUE(comes([&] { return std::filesystem::is_socket(path); }, "a socket after all"));
  auto b = service(0, 1);
  EXPECT_EQ(b.enter().code, 0);
  it.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(neighbours, who_come_in_too_great_numbers_fill_no_log) {
  ASSERT_NO_FATAL_FAILURE(open());
  constexpr std::uint64_t k_above = 60;
  std::deque<service_by_hand> all;
  for (std::uint64_t i = 0; i < session::service_registry_limits().links_per_entity + k_above; ++i) {
    all.emplace_back(io, with.entities[0]).connect();
    test::run_ready(io);
  }
  ASSERT_TRUE(comes([&] { return it->stats().turned_away == k_above; }, "those above the limit"));
  EXPECT_GE(log.count("control connections, the limit"), 1);
  EXPECT_LT(log.count("control connections, the limit"), static_cast<long>(k_above) / 2);
  EXPECT_TRUE(other_is_well());
}

TEST_F(neighbours, whose_directory_cannot_be_used_keep_only_their_own_entity_away) {
  std::ofstream(with.entities[0].directory) << "no directory";
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(it->entities(), 1u);
  EXPECT_EQ(log.count("it is tried again"), 1);
  EXPECT_TRUE(other_is_well());
  std::filesystem::remove(with.entities[0].directory);
  EXPECT_TRUE(it->change(with).empty());
  auto a = service(0);
  EXPECT_EQ(a.enter().code, 0);
}

TEST_F(neighbours, without_any_entity_that_can_be_used_there_is_no_sidecar) {
  for (const auto& one : with.entities) std::ofstream(one.directory) << "no directory";
  const auto made = daemon::open(where, with);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().text().find("entity 101"), std::string::npos) << made.error().text();
  for (const auto& one : with.entities) EXPECT_EQ(log.count("entity " + std::to_string(one.entity) + ": "), 1);
  EXPECT_EQ(log.count("it is tried again"), 0) << "nobody is left to do that";
}

TEST_F(neighbours, who_damage_their_pipes_again_and_again_put_nobodys_deadline_off) {
  with.registration_timeout = 100ms;
  ASSERT_NO_FATAL_FAILURE(open());
  auto silent = service(1);
  silent.connect();
  for (std::uint32_t pipe = 0; pipe < 3; ++pipe) {
    auto hostile = service(0, pipe);
    ASSERT_EQ(hostile.enter().code, 0);
    const auto end = std::chrono::steady_clock::now() + 200ms;
    std::memset(hostile.sent_memory().data() + 12, 0xee, 4);
    ASSERT_TRUE(comes([&] { return view(0, pipe).where == pipe::state::damaged; }, "the damage"));
    while (std::chrono::steady_clock::now() < end) test::run_ready(io);
  }
  test::run_ready(io);
  EXPECT_TRUE(silent.has_ended());
}

// Whoever comes next would wait for messages in files that nobody writes to.
TEST_F(neighbours, who_replace_their_files_or_write_our_positions_get_new_files_when_the_lock_is_free) {
  ASSERT_NO_FATAL_FAILURE(open());
  const auto remove = [&](const std::string& name) { return [this, name] { std::filesystem::remove(file(name)); }; };
  const auto scribble = [&](const std::string& name, std::streamoff at) {
    return [this, name, at] {
      std::fstream all(file(name), std::ios::in | std::ios::out | std::ios::binary);
      all.seekp(at);
      all.write("\1\0\0\0", 4);
    };
  };
  const std::function<void()> ways[] = {remove("recv.shm"), remove("send.shm"), scribble("recv.shm", 12),
                                        scribble("send.shm", 8), [&] {
                                          const auto was = with.entities[0].send_bytes + 1024;
                                          std::filesystem::remove(file("send.shm"));
                                          std::ofstream(file("send.shm")) << std::string(was, '\0');
                                        }};
  for (const auto& do_it : ways) {
    SCOPED_TRACE(&do_it - ways);
    auto a = service(0);
    a.lock();
    a.map();
    do_it();
    a.connect();
    a.tell(a.said());
    const auto answer = a.hear<registration_answer>();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->code, 5);
    EXPECT_NE(answer->reason.find("was replaced or removed"), std::string::npos) << answer->reason;
    a.unlock();
    auto next = service(0);  // without the lock: it is refused, but the files are made anew
    next.connect();
    next.tell(next.said());
    EXPECT_EQ(next.hear<registration_answer>()->reason, "nobody holds the lock of pipe 0");
    EXPECT_EQ(view(0).where, pipe::state::idle);
    auto last = service(0);
    ASSERT_EQ(last.enter().code, 0);
    ASSERT_TRUE(last.send(to_entity{101}, "well again"));
    EXPECT_EQ(last.receive().body, "well again");
    last.control.close();
    ASSERT_TRUE(comes([&] { return view(0).where == pipe::state::idle; }, "its end"));
  }
  EXPECT_TRUE(other_is_well());
}

TEST_F(neighbours, whose_files_have_another_size_get_new_ones_when_the_lock_is_free) {
  ASSERT_NO_FATAL_FAILURE(open());
  for (const std::uintmax_t size : {0u, 1024u, 5000u, 200'000u}) {
    SCOPED_TRACE(size);
    auto a = service(0);
    a.lock();
    it.reset();
    std::filesystem::resize_file(file("send.shm"), size);
    ASSERT_NO_FATAL_FAILURE(open());
    EXPECT_EQ(view(0).where, pipe::state::damaged) << "while somebody has it";
    EXPECT_TRUE(other_is_well());
    a.unlock();
    auto b = service(0);
    it.reset();
    ASSERT_NO_FATAL_FAILURE(open());
    EXPECT_EQ(view(0).where, pipe::state::idle);
    EXPECT_EQ(std::filesystem::file_size(file("send.shm")), (64u << 10) + 1024);
    ASSERT_EQ(b.enter().code, 0);
    it.reset();
  }
}

TEST_F(neighbours, who_find_anything_in_their_lock_files_or_in_their_place_take_a_pipe_that_can_be_locked) {
  ASSERT_NO_FATAL_FAILURE(open());
  service_options options;
  options.number = 1;
  options.entity = 101;
  options.directory = with.entities[0].directory;
  options.pipes = 3;
  const auto takes = [&](std::uint32_t pipe) {
    auto one = service::make(where, options).value();
    if (const auto started = one.start(); !started) return ::testing::AssertionFailure() << started.error().text();
    if (one.pipe() != pipe) return ::testing::AssertionFailure() << "another pipe";
    return comes([&] { return one.state() == service_state::registered; }, "the registration");
  };
  for (const auto& content :
       {std::string("garbage"), std::string(1 << 20, '9'), std::string("7 -1"), std::string(80, '\0'),
        std::string("18446744073709551616 1"), std::string("\xff\xfe 9")}) {
    for (const char* name : {"client.lock0", "client.lock1", "client.lock2"}) std::ofstream(file(name)) << content;
    EXPECT_TRUE(takes(2));
  }
  std::filesystem::remove(file("client.lock2"));
  std::filesystem::create_directory(file("client.lock2"));
  EXPECT_TRUE(takes(1));
  std::filesystem::remove(file("client.lock1"));
  std::filesystem::create_symlink("/dev/null", file("client.lock1"));
  EXPECT_TRUE(takes(0));
  EXPECT_TRUE(other_is_well());
}

// A process of that user that registers and sends itself a message. @return 0: that came
int serve_as(uid_t user, const entity_settings& of) {
  if (::setgroups(0, nullptr) != 0 || ::setgid(user) != 0 || ::setuid(user) != 0) return 3;
  boost::asio::io_context io{1};
  context where{io};
  service_options options;
  options.number = of.service;
  options.entity = of.entity;
  options.directory = of.directory;
  auto it = service::make(where, options).value();
  if (!it.start()) return 1;
  std::string got;
  it.on_message([&](const service_message& what) { got = as_text(what.body); });
  if (!run_until(
          io, [&] { return it.rings() == service_rings::native; }, "native rings"))
    return 2;
  if (!it.send({.to = to_entity{of.entity}}, {}, as_bytes("to itself"))) return 2;
  return run_until(
             io, [&] { return got == "to itself"; }, "its message")
             ? 0
             : 2;
}

TEST_F(neighbours, who_are_allowed_besides_the_owner_get_in_and_nobody_else) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  with.entities[0].allowed_uids = {12345};
  ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);
  ASSERT_NO_FATAL_FAILURE(open());
  if (it->entities() != 2) GTEST_SKIP() << "no access lists in this file system";
  const auto outcome_of = [&](uid_t user) {
    const auto child = ::fork();
    if (child == 0) ::_exit(serve_as(user, with.entities[0]));
    int status = 0;
    EXPECT_TRUE(comes([&] { return ::waitpid(child, &status, WNOHANG) == child; }, "the end of a process"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  EXPECT_EQ(outcome_of(12345), 0);
  EXPECT_EQ(outcome_of(12346), 1);
  it.reset();
  ASSERT_NO_FATAL_FAILURE(open());  // which closes the directory again, but for them
  EXPECT_EQ(outcome_of(12345), 0);
  with.entities[0].allowed_uids.clear();
  it.reset();
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_EQ(outcome_of(12345), 1);
}

// A process of its own that starts an instance, stops itself once that is registered, and afterwards sends whatever it
// can until it is killed.
class stopping_instance {
 public:
  explicit stopping_instance(const entity_settings& of) : child_([&] { run(of); }) { told_[1].reset(); }
  /// It has told us one more thing.
  [[nodiscard]] bool has_told() const {
    pollfd one{told_[0].get(), POLLIN, 0};
    char what = 0;
    return ::poll(&one, 1, 0) == 1 && ::read(told_[0].get(), &what, 1) == 1;
  }
  [[nodiscard]] bool is_stopped() const {
    siginfo_t what{};
    return ::waitid(P_PID, static_cast<id_t>(child_.pid()), &what, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
           what.si_pid == child_.pid();
  }
  void go_on() const { ::kill(child_.pid(), SIGCONT); }

 private:
  static std::array<os::unique_fd, 2> make_pipe() {
    int both[2]{-1, -1};
    (void)!::pipe(both);
    return {os::unique_fd(both[0]), os::unique_fd(both[1])};
  }
  void run(const entity_settings& of) const {
    boost::asio::io_context io{1};
    context where{io};
    service_options options;
    options.number = of.service;
    options.entity = of.entity;
    options.directory = of.directory;
    options.retry_interval = 10ms;
    options.rings = service_rings::compatible;
    auto it = service::make(where, options).value();
    if (!it.start() || !run_until(
                           io, [&] { return it.state() == service_state::registered; }, "the registration"))
      return;
    (void)!::write(told_[1].get(), "r", 1);
    ::raise(SIGSTOP);
    for (bool has_said = false;;) {
      io.run_one_for(10ms);
      (void)it.send({.to = to_entity{201}}, {}, as_bytes("of the old one"));
      if (it.stats().failed_attempts < 3 || std::exchange(has_said, true)) continue;
      (void)!::write(told_[1].get(), "t", 1);
    }
  }

  std::array<os::unique_fd, 2> told_ = make_pipe();  // to read; to write, by the child
  const test::forked child_;
};

TEST_F(neighbours, who_are_stopped_lose_their_pipe_when_their_lease_is_over_and_what_they_write_is_never_read) {
  with.entities[0].pipes = 1;
  with.heartbeat_timeout = 300ms;
  with.lease = 400ms;
  ASSERT_NO_FATAL_FAILURE(open());
  const stopping_instance old(with.entities[0]);
  ASSERT_TRUE(comes([&] { return old.has_told(); }, "an instance that has its pipe"));
  ASSERT_TRUE(comes([&] { return old.is_stopped(); }, "an instance that is stopped"));
  const auto lock = os::id_at(file("client.lock0")), ring = os::id_at(file("send.shm"));
  ASSERT_TRUE(comes([&] { return it->pipes()[0].where == pipe::state::idle; }, "the end of its registration"));
  EXPECT_TRUE(it->pipes()[0].is_held);
  ASSERT_TRUE(comes([&] { return !it->pipes()[0].is_held; }, "the end of its lease"));
  EXPECT_NE(os::id_at(file("send.shm")), ring);
  EXPECT_NE(os::id_at(file("client.lock0")), lock);
  with.heartbeat_timeout = 1h;
  (void)it->change(with);
  auto fresh = service(0), receiver = service(1);
  EXPECT_EQ(fresh.enter().code, 0);
  EXPECT_EQ(receiver.enter().code, 0);
  old.go_on();
  ASSERT_TRUE(comes([&] { return old.has_told(); }, "the old one not getting in any more"));
  ASSERT_TRUE(fresh.send(to_entity{201}, "of the new one"));
  EXPECT_EQ(receiver.receive().body, "of the new one");
  EXPECT_FALSE(receiver.take());
  EXPECT_EQ(it->pipes()[0].counts.received, 1u);
  EXPECT_FALSE(fresh.has_ended());
}

}  // namespace
}  // namespace ferry::sidecar
