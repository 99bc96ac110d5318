#include <ferry/ring.hpp>
#include <ferry/ring_file.hpp>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <atomic>
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <future>
#include <optional>

#include "apps/ferry/inspect_maps.hpp"
#include "apps/ferry/program_under_test.hpp"
#include "os/mapping.hpp"
#include "ring/ring_layout.hpp"

namespace {

using namespace std::chrono_literals;
using namespace ferry::app::test;
using ferry::bytes;
using ferry::app::parse_maps_line;
using ferry::test::temp_dir;

TEST(maps_line, tells_where_which_bytes_of_which_file_are_mapped) {
  const auto part =
      parse_maps_line("7f00a000-7f00b000 rw-s 00001000 00:01 4711                       /memfd:ferry:news (deleted)");
  ASSERT_TRUE(part);
  EXPECT_EQ(part->begin, 0x7f00a000u);
  EXPECT_EQ(part->end, 0x7f00b000u);
  EXPECT_EQ(part->offset, 0x1000u);
  EXPECT_TRUE(part->writable);
  EXPECT_EQ(part->device, "00:01");
  EXPECT_EQ(part->inode, 4711u);
  EXPECT_EQ(part->path, "/memfd:ferry:news (deleted)");
}

TEST(maps_line, is_nothing_where_no_file_is_mapped_or_the_line_is_another) {
  for (const char* line :
       {"7f00a000-7f00b000 rw-p 00000000 00:00 0 ", "7f00a000-7f00b000 rw-p 00000000 00:00 0 [heap]", "", "nonsense",
        "7f00a000-7f00b000", "7f00b000-7f00a000 r--s 00000000 00:01 1 /a", "7f00a000-7f00b000 r--s zz 00:01 1 /a"})
    EXPECT_FALSE(parse_maps_line(line)) << line;
}

boost::json::object json_of(const outcome& of) {
  boost::system::error_code wrong;
  auto value = boost::json::parse(of.out, wrong);
  EXPECT_FALSE(wrong) << of.out << of.err;
  return wrong ? boost::json::object{} : value.as_object();
}

std::string text(const boost::json::object& in, const char* key) { return std::string(in.at(key).as_string()); }

const boost::json::object& ring_of(const boost::json::object& direction, std::size_t number = 0) {
  return direction.at("rings").as_array().at(number).as_object();
}

// A connection -------------------------------------------------------------------------------------

/// Names are seen in the whole system: each test has one of its own.
class inspect_endpoint : public ::testing::Test {
 protected:
  // Where only a parent may look at its children, the program may look at us.
  void SetUp() override { ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); }
  void TearDown() override { ::prctl(PR_SET_PTRACER, 0, 0, 0, 0); }

  [[nodiscard]] const std::string& name() {
    static int tests = 0;
    if (name_.empty()) name_ = "inspect-" + std::to_string(::getpid()) + "-" + std::to_string(++tests);
    return name_;
  }
  [[nodiscard]] std::string url() { return "shm://" + name() + "?runtime_dir=" + dir.path().string(); }
  struct pair {
    ferry::ring_connection client, server;
  };
  [[nodiscard]] pair connect(const std::string& options = "") {
    auto at = ferry::ring_listener::open(url());
    auto client = std::async(std::launch::async, [&] { return ferry::ring_connection::connect(url() + options); });
    auto server = at.accept(60s);
    if (!server) throw std::runtime_error("nobody connected");
    return {client.get(), std::move(*server)};
  }
  /// The direction that this process, or another one, produces and has put records into.
  [[nodiscard]] boost::json::object inspect_one(std::uint64_t ring_bytes) {
    const auto seen = run_ferry({"inspect", name(), "--json"});
    EXPECT_EQ(seen.status, 0) << seen.err;
    const auto found = json_of(seen);
    for (const auto& one : found.at("directions").as_array())
      if (one.as_object().at("ring_bytes").to_number<std::uint64_t>() == ring_bytes) return one.as_object();
    ADD_FAILURE() << seen.out;
    return {};
  }

  temp_dir dir;
  std::string name_;
};

TEST_F(inspect_endpoint, shows_what_is_unread_in_each_direction_and_changes_nothing) {
  auto both = connect("&ring_bytes=64KiB");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(both.client.try_push(ferry::as_bytes("hello")));
  const auto seen = run_ferry({"inspect", name(), "--json"});
  ASSERT_EQ(seen.status, 0) << seen.err;
  EXPECT_EQ(json_of(seen).at("directions").as_array().size(), 2u) << "each memory once, though mapped twice";
  const auto there = inspect_one(64 << 10);
  EXPECT_EQ(text(there, "name"), name());
  EXPECT_EQ(there.at("version"), 1);
  EXPECT_EQ(there.at("producer_pid"), ::getpid());
  EXPECT_EQ(there.at("producer_uid"), ::geteuid());
  EXPECT_TRUE(there.at("producer_alive").as_bool());
  EXPECT_EQ(text(there, "consumer"), "awake");
  EXPECT_EQ(there.at("mapped_by").as_array().size(), 2u) << seen.out;
  EXPECT_EQ(ring_of(there).at("unread_records"), 3);
  EXPECT_EQ(ring_of(there).at("unread_bytes"), 15);
  EXPECT_EQ(ring_of(there).at("tail"), 48);
  EXPECT_EQ(ring_of(there).at("position"), 0);
  EXPECT_EQ(text(ring_of(there), "state"), "open");
  EXPECT_EQ(ring_of(inspect_one(1 << 20)).at("unread_records"), 0);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(ferry::as_text(both.server.front().body()), "hello");
    both.server.pop();
  }
  EXPECT_FALSE(both.server.front());
  EXPECT_EQ(ring_of(inspect_one(64 << 10)).at("unread_records"), 0);
  EXPECT_EQ(ring_of(inspect_one(64 << 10)).at("position"), 48);
}

TEST_F(inspect_endpoint, says_that_a_direction_has_ended) {
  auto both = connect("&ring_bytes=8KiB");
  ASSERT_TRUE(both.client.try_push(ferry::as_bytes("the last")));
  both.client.end();
  const auto there = inspect_one(8 << 10);
  EXPECT_EQ(text(ring_of(there), "state"), "ended");
  EXPECT_EQ(ring_of(there).at("unread_records"), 1);
}

TEST_F(inspect_endpoint, counts_records_around_the_end_of_the_ring_and_more_than_it_reads_at_once) {
  auto both = connect("&ring_bytes=1GiB");
  const std::string large(100'000, 'x');
  std::uint64_t unread = 0;
  for (; unread < 40; ++unread) ASSERT_TRUE(both.client.try_push(ferry::as_bytes(large)));
  auto there = inspect_one(1 << 30);
  EXPECT_EQ(ring_of(there).at("unread_records"), unread);
  EXPECT_EQ(ring_of(there).at("unread_bytes"), unread * large.size());
  auto small = connect("&ring_bytes=4KiB");
  // Until what is unread begins near the end and goes on at the start.
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(small.client.try_push(ferry::as_bytes(std::string(700, 'y'))));
    if (i < 7) {
      ASSERT_TRUE(small.server.front());
      small.server.pop();
      EXPECT_FALSE(small.server.front());
    }
  }
  there = inspect_one(4 << 10);
  EXPECT_EQ(ring_of(there).at("unread_records"), 3);
  EXPECT_EQ(ring_of(there).at("unread_bytes"), 2100);
}

TEST_F(inspect_endpoint, never_takes_a_ring_that_is_being_used_for_a_damaged_one) {
  auto both = connect("&ring_bytes=4KiB");
  std::atomic<bool> stop{false};
  auto producer = std::async(std::launch::async, [&] {
    while (!stop) static_cast<void>(both.client.try_push(ferry::as_bytes("some forty bytes that wander through it")));
  });
  // Slower than the producer, so that the ring is full and each record that is read is soon overwritten.
  auto consumer = std::async(std::launch::async, [&] {
    while (!stop) {
      if (both.server.front()) both.server.pop();
      for (int i = 0; i < 4; ++i) ferry::ring_pause();
    }
  });
  for (int i = 0; i < 30; ++i) EXPECT_NE(text(ring_of(inspect_one(4 << 10)), "state"), "damaged");
  stop = true;
}

TEST_F(inspect_endpoint, shows_a_table_that_lines_up) {
  auto both = connect("&ring_bytes=64KiB");
  ASSERT_TRUE(both.client.try_push(ferry::as_bytes("hello")));
  const auto seen = run_ferry({"inspect", url()});
  ASSERT_EQ(seen.status, 0) << seen.err;
  const auto lines = lines_of(seen.out);
  ASSERT_GE(lines.size(), 15u) << seen.out;
  EXPECT_EQ(lines[0], "shm://" + name() + ", direction 1 of 2");
  const std::string head = "ring  written  read  unread  bytes  ended  waits for";
  EXPECT_NE(std::find(lines.begin(), lines.end(), head), lines.end()) << seen.out;
  EXPECT_NE(seen.out.find("\n   0       16     0       1      5  no             -\n"), seen.out.npos) << seen.out;
  EXPECT_NE(seen.out.find("\nproducer  " + std::to_string(::getpid()) + " "), seen.out.npos) << seen.out;
  EXPECT_NE(seen.out.find("(running), not waiting for room\n"), seen.out.npos) << seen.out;
}

TEST_F(inspect_endpoint, needs_no_help_of_a_process_that_is_stopped) {
  listening_program listener(ferry_call({"listen", url(), "--output", "none"}));
  auto client = ferry::ring_connection::connect(url() + "&ring_bytes=64KiB");
  const pid_t pid = listener.process().pid();
  ASSERT_TRUE(listener.process().kill(SIGSTOP));
  siginfo_t stopped{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &stopped, WSTOPPED | WNOWAIT), 0);
  ASSERT_TRUE(client.try_push(ferry::as_bytes("unheard")));
  const auto there = inspect_one(64 << 10);
  EXPECT_EQ(ring_of(there).at("unread_records"), 1);
  bool told = false;
  for (const auto& one : there.at("mapped_by").as_array())
    if (one.as_object().at("pid") == pid) {
      told = true;
      EXPECT_EQ(text(one.as_object(), "state"), "stopped");
      EXPECT_EQ(text(one.as_object(), "role"), "consumer");
      EXPECT_EQ(text(one.as_object(), "program"), "ferry");
    }
  EXPECT_TRUE(told);
  listener.process().kill(SIGCONT);
  client.end();
  EXPECT_EQ(listener.stop().status, 0);
}

TEST_F(inspect_endpoint, says_that_the_producer_is_gone_and_what_it_left) {
  auto at = ferry::ring_listener::open(url());
  ferry::test::child client(ferry_call({"send", url() + "&ring_bytes=64KiB", "--file", "-"}));
  auto server = at.accept(60s);
  ASSERT_TRUE(server);
  ASSERT_TRUE(client.write("one\ntwo\n"));
  const auto both_are_there = [&] { return ring_of(inspect_one(64 << 10)).at("unread_records").to_number<int>() == 2; };
  while (!both_are_there()) ASSERT_TRUE(server->wait(60s));
  ASSERT_TRUE(client.kill(SIGKILL));
  ASSERT_EQ(client.finish(), 128 + SIGKILL);
  const auto there = inspect_one(64 << 10);
  EXPECT_FALSE(there.at("producer_alive") == true);
  EXPECT_EQ(ring_of(there).at("unread_records"), 2);
  // Somebody whom we may not look at might have it.
  const auto shown = run_ferry({"inspect", name()}).out;
  EXPECT_TRUE(shown.find("producer  gone: no process has it mapped for writing\n") != shown.npos ||
              shown.find("producer  unknown: none that we may look at, and ") != shown.npos)
      << shown;
}

TEST_F(inspect_endpoint, says_what_is_at_the_socket_when_nobody_is_connected) {
  const auto said = [&] {
    const auto seen = run_ferry({"inspect", url()});
    EXPECT_EQ(seen.status, 1);
    EXPECT_EQ(seen.out, "");
    return seen.err;
  };
  const std::string path = dir.file(name() + ".shm");
  EXPECT_NE(said().find("; there is no socket " + path + ": start the listener"), std::string::npos) << said();
  {
    const auto at = ferry::ring_listener::open(url());
    EXPECT_NE(said().find("; somebody listens at " + path + ", and nobody is connected"), std::string::npos) << said();
  }
  sockaddr_un address{AF_UNIX, {}};
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  const ferry::os::unique_fd left(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(left.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_NE(said().find("nobody in this network namespace listens on it"), std::string::npos) << said();
}

TEST_F(inspect_endpoint, says_what_another_user_may_not_see) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  auto both = connect();
  const auto program = ferry_call({"inspect", url()});
  arguments call{"setpriv", "--reuid", "65534", "--clear-groups"};
  call.insert(call.end(), program.begin(), program.end());
  ferry::test::child other(call);
  const auto status = other.finish();
  if (status >= 126 && status <= 127) GTEST_SKIP() << "no setpriv, or the program is out of reach for others";
  EXPECT_EQ(status, 1);
  EXPECT_NE(other.error_output().find("processes may not be looked at: run as root"), std::string::npos)
      << other.error_output();
}

TEST(inspect, says_which_names_there_are) {
  for (const char* target : {"", ".hidden", "ipc://@news", "shm://a/b", "shm://news?colour=red"}) {
    const auto seen = run_ferry({"inspect", target});
    EXPECT_EQ(seen.status, 2) << target << ": " << seen.err;
    EXPECT_NE(seen.err, "") << target;
  }
}

// A file -------------------------------------------------------------------------------------------

class inspect_file : public ::testing::Test {
 protected:
  void SetUp() override {
    const ferry::ring::geometry sizes{8192, 2, 4096};
    auto fd = ferry::os::create_file(path, sizes.total());
    ASSERT_TRUE(fd);
    auto at = ferry::os::mapping::of(fd->get(), sizes.total(), true);
    ASSERT_TRUE(at);
    memory = std::move(*at);
    ferry::ring::format(memory.span(), sizes, {"kept", 0xabcdef, 1'700'000'000'000'000'000, 4711, 1000});
    shared().rings[1].position.store(0);
    ferry::ring_producer second(memory.span().subspan(sizes.ring_offset(1), sizes.ring_bytes), shared().rings[1]);
    ASSERT_TRUE(second.try_push(ferry::as_bytes("kept")));
  }
  [[nodiscard]] ferry::ring::shared_page& shared() const {
    return *reinterpret_cast<ferry::ring::shared_page*>(memory.data() + 4096);
  }
  [[nodiscard]] outcome inspect(const arguments& more = {}) const {
    arguments words{"inspect", path};
    words.insert(words.end(), more.begin(), more.end());
    return run_ferry(words);
  }
  void expect_refused(const std::string& said) const {
    const auto seen = inspect();
    EXPECT_EQ(seen.status, 1);
    EXPECT_EQ(seen.out, "");
    EXPECT_NE(seen.err.find(said), std::string::npos) << seen.err;
    EXPECT_NE(seen.err.find(path), std::string::npos) << seen.err;
  }

  temp_dir dir;
  std::string path = dir.file("kept.ring");
  ferry::os::mapping memory;
};

TEST_F(inspect_file, shows_header_rings_and_who_has_it_mapped) {
  shared().records.sleeps = 1;
  shared().room.sleeps = 2;
  shared().rings[1].wake_at = 4096;
  const auto there = json_of(inspect({"--json"})).at("directions").as_array().at(0).as_object();
  EXPECT_EQ(text(there, "name"), "kept");
  EXPECT_EQ(text(there, "epoch"), "0000000000abcdef");
  EXPECT_EQ(there.at("producer_pid"), 4711);
  EXPECT_TRUE(there.at("producer_alive").as_bool()) << "we have it mapped for writing";
  EXPECT_EQ(text(there, "consumer"), "asleep on a futex");
  EXPECT_EQ(text(there, "producer"), "waiting for room in an event loop");
  EXPECT_EQ(ring_of(there, 0).at("unread_records"), 0);
  EXPECT_EQ(ring_of(there, 1).at("unread_records"), 1);
  EXPECT_EQ(ring_of(there, 1).at("wake_at"), 4096);
  EXPECT_NE(inspect().out.find("created 2023-11-14 22:13:20 UTC by process 4711 of user 1000"), std::string::npos)
      << inspect().out;
  memory = {};
  EXPECT_EQ(inspect().out.find("producer  " + std::to_string(::getpid())), std::string::npos) << inspect().out;
  EXPECT_FALSE(json_of(inspect({"--json"})).at("directions").as_array().at(0).at("producer_alive") == true);
}

TEST_F(inspect_file, tells_who_writes_and_reads_it) {
  memory = {};
  std::filesystem::remove(path);
  std::optional writer(ferry::ring_writer::open(path));
  ASSERT_TRUE(writer->try_push(ferry::as_bytes("kept")));
  auto seen = inspect().out;
  EXPECT_NE(seen.find("\nproducer  " + std::to_string(::getpid()) + " "), seen.npos) << seen;
  EXPECT_NE(seen.find("\nconsumer  gone: no process has it mapped for reading\n"), seen.npos) << seen;
  EXPECT_NE(seen.find("\n   0       16     0       1      4  no             -\n"), seen.npos) << seen;
  const auto reader = ferry::ring_reader::open(path);
  writer.reset();
  seen = inspect().out;
  EXPECT_NE(seen.find("\nproducer  gone: no process has it mapped for writing\n"), seen.npos) << seen;
  EXPECT_NE(seen.find("\nconsumer  " + std::to_string(::getpid()) + " "), seen.npos) << seen;
}

TEST_F(inspect_file, tells_a_damaged_ring_from_one_that_is_whole) {
  const std::uint64_t word = ~std::uint64_t{0};
  std::memcpy(memory.data() + 8192, &word, sizeof word);
  const auto seen = inspect({"--json"});
  EXPECT_EQ(seen.status, 1);
  const auto there = json_of(seen).at("directions").as_array().at(0).as_object();
  EXPECT_EQ(text(ring_of(there, 0), "state"), "damaged");
  EXPECT_EQ(text(ring_of(there, 1), "state"), "open");
  shared().rings[1].position = 12;
  EXPECT_EQ(inspect().status, 1);
}

TEST_F(inspect_file, says_what_is_wrong_with_a_header) {
  auto& header = *reinterpret_cast<ferry::ring::ring_header*>(memory.data());
  header.version = 7;
  expect_refused("a ring of version 7, this program knows version 1: use the same release on both sides");
  header.version = 1;
  header.ring_bytes = 5000;
  expect_refused("damaged");
  header.ring_bytes = 1 << 20;
  expect_refused("it was cut off");
  header.magic = 1;
  expect_refused("it does not start with FERRYRNG");
}

TEST_F(inspect_file, says_what_is_wrong_with_a_file) {
  memory = {};
  std::filesystem::resize_file(path, 9000);
  expect_refused("it was cut off");
  std::filesystem::resize_file(path, 3);
  expect_refused("has at least 12KiB, this has 3 bytes");
  std::filesystem::resize_file(path, 0);
  expect_refused("this has 0 bytes");
  std::filesystem::remove(path);
  expect_refused("No such file");
  std::filesystem::create_directory(path);
  EXPECT_NE(inspect().err.find("is not a file"), std::string::npos) << inspect().err;
}

TEST_F(inspect_file, says_who_may_read_the_file_of_another_user) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  std::filesystem::permissions(dir.path(), std::filesystem::perms::others_exec, std::filesystem::perm_options::add);
  arguments call{"setpriv", "--reuid", "65534", "--clear-groups"};
  const auto program = ferry_call({"inspect", path});
  call.insert(call.end(), program.begin(), program.end());
  ferry::test::child other(call);
  const auto status = other.finish();
  if (status >= 126 && status <= 127) GTEST_SKIP() << "no setpriv, or the program is out of reach for others";
  EXPECT_EQ(status, 1);
  EXPECT_NE(other.error_output().find("Permission denied: run as its owner or as root"), std::string::npos)
      << other.error_output();
}

}  // namespace
