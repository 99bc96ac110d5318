// ferry session and ferry inspect, of tcpshm's files.
#include <sys/mman.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "apps/ferry/old_copy.hpp"
#include "apps/ferry/program_under_test.hpp"
#include "os/mapping.hpp"
#include "os/tcpshm_list.hpp"
#include "ring/tcpshm_ring.hpp"

namespace {

using namespace ferry::app::test;
using ferry::test::temp_dir;
namespace files = ferry::os::tcpshm;

constexpr std::size_t k_queue = 1024;

class tcpshm_command : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path(const std::string& peer = "bob") const {
    return files::queue_path(dir.path(), "alice", peer);
  }
  // A queue that has sent messages of 1, 2, ... bytes, of which none was acknowledged, and consumed as many.
  void make(const std::string& peer, int messages = 2) const {
    const auto file = files::held_file::open(path(peer), ferry::session::tcpshm_queue_file_bytes(k_queue), 4,
                                             ferry::os::k_writer_byte);
    ASSERT_TRUE(file);
    auto queue = ferry::session::tcpshm_queue::begin(file->memory(), k_queue, std::endian::little);
    for (int i = 0; i < messages; ++i) {
      const auto size = static_cast<std::uint16_t>(8 + i + 1);
      ASSERT_NE(queue.alloc(size), nullptr);
      queue.push(7);
      queue.consumed();
    }
  }
  [[nodiscard]] outcome session(arguments words) const {
    words.insert(words.begin(), "session");
    words.insert(words.end(), {"--dir", dir.path()});
    return run_ferry(words);
  }
  [[nodiscard]] static boost::json::object object_of(const outcome& seen) {
    boost::system::error_code wrong;
    auto value = boost::json::parse(seen.out, wrong);
    EXPECT_FALSE(wrong) << seen.out << seen.err;
    return wrong ? boost::json::object{} : value.as_object();
  }

  temp_dir dir;
};

TEST_F(tcpshm_command, session_lists_and_shows_queue_files_and_says_what_they_are) {
  make("bob");
  make("carol");
  std::filesystem::resize_file(path("carol"), 7);
  const auto lines = lines_of(session({"list"}).out);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0], "as     peer   kind    consumed  acknowledged  sent  waiting  bytes  ring  state");
  EXPECT_EQ(lines[1], "alice  bob    tcpshm         2             0     2        2     32  1KiB  free");
  EXPECT_TRUE(lines[2].starts_with("alice  carol  tcpshm ") && lines[2].ends_with("  damaged")) << lines[2];
  EXPECT_TRUE(lines[3].starts_with("alice with carol (tcpshm): " + path("carol") + " has 7 bytes")) << lines[3];
  const auto seen = session({"show", "--peer", "bob"});
  EXPECT_EQ(seen.status, 0);
  for (const std::string line :
       {"alice with bob (tcpshm)\n", "\nwaiting   2 messages, 32 bytes of 1KiB\n", "\nstate     no process has it\n"})
    EXPECT_NE(seen.out.find(line), std::string::npos) << seen.out;
  const auto object = object_of(session({"show", "--peer", "bob", "--json"}));
  EXPECT_EQ(object.at("kind"), "tcpshm");
  EXPECT_EQ(object.at("sent"), 2);
  EXPECT_EQ(session({"show", "--peer", "bob", "--kind", "ferry"}).status, 1);
  EXPECT_EQ(session({"show", "--peer", "bob", "--kind", "tcpshm"}).status, 0);
  EXPECT_NE(session({"list", "--kind", "tcpsh"}).err.find("did you mean 'tcpshm'?"), std::string::npos);
}

TEST_F(tcpshm_command, session_mends_them_after_a_yes_and_says_what_it_costs) {
  make("bob");
  EXPECT_EQ(session({"skip", "3", "--yes"}).status, 0);
  EXPECT_EQ(object_of(session({"show", "--json"})).at("consumed"), 5);
  const auto told = session({"accept-remote", "--remote", "1,4,6", "--yes"});
  EXPECT_EQ(told.status, 0) << told.err;
  EXPECT_EQ(told.err,
            "ferry: accept-remote alice with bob (tcpshm): nothing is lost. It goes on with message 5 of the other "
            "side, and has 0 .. 2 of its own\n");
  const auto asked = session({"reset"});
  EXPECT_EQ(asked.status, 2);
  EXPECT_NE(asked.err.find("2 unacknowledged messages are discarded. Nothing was changed: say --yes"),
            std::string::npos)
      << asked.err;
  EXPECT_EQ(session({"reset", "--yes"}).status, 0);
  EXPECT_EQ(object_of(session({"show", "--json"})).at("sent"), 0);
}

TEST_F(tcpshm_command, session_knows_names_that_are_divided_by_more_than_one_underline) {
  make("bob_2");
  EXPECT_EQ(object_of(session({"show", "--json"})).at("peer"), "bob_2");
  const auto object = object_of(session({"show", "--as", "alice_bob", "--peer", "2", "--json"}));
  EXPECT_EQ(object.at("as"), "alice_bob");
  EXPECT_EQ(session({"show", "--as", "alice_bob"}).status, 0);
  EXPECT_EQ(session({"show", "--peer", "2"}).status, 0);
  EXPECT_EQ(session({"show", "--peer", "bob"}).status, 1);
}

// Programs of tcpshm do not lock their files.
TEST_F(tcpshm_command, session_mends_nothing_that_a_process_has_mapped) {
  make("bob");
  {
    const auto fd = ferry::os::open_file(path(), true);
    ASSERT_TRUE(fd);
    const auto mapped = ferry::os::mapping::of(fd->get(), k_queue, true);
    ASSERT_TRUE(mapped);
    const auto refused = session({"skip", "1", "--yes"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("is in use by process " + std::to_string(::getpid())), std::string::npos) << refused.err;
  }
  EXPECT_EQ(object_of(session({"show", "--json"})).at("consumed"), 2);
  EXPECT_EQ(session({"skip", "1", "--yes"}).status, 0);
}

TEST_F(tcpshm_command, session_accepts_what_the_other_side_told_at_a_login_that_did_not_fit) {
  const auto mine = [&](const std::string& as) {
    return "?session=persistent&compat=tcpshm&as=" + as + "&dir=" + dir.file(as);
  };
  listening_program bob(ferry_call({"listen", "tcp://127.0.0.1:0" + mine("bob"), "--echo"}));
  expect_that_an_old_copy_is_mended(dir, bob, bob.url() + mine("alice"), "the other one: wants 2, has ");
}

TEST_F(tcpshm_command, inspect_shows_names_numbers_and_messages_of_a_queue_file) {
  make("bob", 20);
  const auto seen = run_ferry({"inspect", path()});
  EXPECT_EQ(seen.status, 0) << seen.err;
  for (const std::string line :
       {"alice with bob (tcpshm)\n", "\nmapped by nobody", "\nmessage  type  bytes  acknowledges\n",
        "\n      0     7      1             0\n", "\n     15     7     16            15\n", "\nand 4 more\n"})
    EXPECT_NE(seen.out.find(line), std::string::npos) << line << seen.out;
  const auto object = object_of(run_ferry({"inspect", path(), "--json"}));
  EXPECT_EQ(object.at("session").at("waiting"), 20);
  EXPECT_EQ(object.at("messages").as_array().size(), 16u);
  EXPECT_EQ(object.at("messages").at(2).at("bytes"), 3);
  std::fstream(path(), std::ios::in | std::ios::out | std::ios::binary).seekp(k_queue).put('\xff');
  const auto damaged = run_ferry({"inspect", path()});
  EXPECT_EQ(damaged.status, 1);
  EXPECT_NE(damaged.out.find("is damaged"), std::string::npos) << damaged.out;
  EXPECT_EQ(run_ferry({"inspect", dir.file("no_such.ptcp")}).status, 1);
}

TEST_F(tcpshm_command, inspect_shows_what_is_unread_in_shared_memory) {
  const auto shm = dir.file("alice_bob.shm");
  const std::size_t size = ferry::ring::tcpshm_ring_file_bytes(1024);
  const auto fd = ferry::os::create_file(shm, size);
  ASSERT_TRUE(fd);
  const auto map = ferry::os::mapping::of(fd->get(), size, true);
  ASSERT_TRUE(map);
  const ferry::ring::tcpshm_ring_memory memory(map->span(), 1024);
  ferry::ring::tcpshm_ring_producer to;
  ASSERT_TRUE(to.attach(memory));
  for (std::uint16_t i = 0; i < 3; ++i) {
    std::byte* const at = to.alloc(static_cast<std::uint16_t>(68 + i));
    ASSERT_NE(at, nullptr);
    const std::uint16_t type = 9;
    std::memcpy(at + 2, &type, sizeof type);
    to.push();
  }
  const auto seen = run_ferry({"inspect", shm});
  EXPECT_EQ(seen.status, 0) << seen.err;
  for (const auto& line : {std::string("alice to bob (tcpshm)\n"), std::string("\nwritten    block 6\n"),
                           std::string("\nunread     3 messages, 183 bytes in their bodies\n"),
                           "\nmapped by  " + std::to_string(::getpid()) + " "})
    EXPECT_NE(seen.out.find(line), std::string::npos) << line << seen.out;
  const auto object = object_of(run_ferry({"inspect", shm, "--json"}));
  EXPECT_EQ(object.at("unread_messages"), 3);
  EXPECT_EQ(object.at("messages").at(1).at("bytes"), 61);
  EXPECT_FALSE(object.at("producer_holds_it").as_bool());
  // Whatever its words say, it is shown or called damaged.
  std::size_t damaged = 0;
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{1}, std::size_t{1024}, std::size_t{1025}, std::size_t{1152}}) {
    for (const unsigned flip : {1u, 0x40u, 0x80u}) {
      map->data()[at] ^= static_cast<std::byte>(flip);
      const auto got = run_ferry({"inspect", shm});
      EXPECT_TRUE(got.status == 0 || got.status == 1) << got.status;
      damaged += got.status == 1;
      map->data()[at] ^= static_cast<std::byte>(flip);
    }
  }
  EXPECT_GT(damaged, 5u);
  std::filesystem::resize_file(shm, 1000);
  EXPECT_NE(run_ferry({"inspect", shm}).err.find("has 1000 bytes; a ring of tcpshm"), std::string::npos);
}

}  // namespace
