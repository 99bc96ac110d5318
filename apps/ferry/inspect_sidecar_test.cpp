#include "apps/ferry/inspect_sidecar.hpp"

#include <atomic>
#include <boost/json.hpp>
#include <cstring>
#include <filesystem>
#include <thread>

#include "apps/ferry/program_under_test.hpp"
#include "os/mapping.hpp"
#include "os/pipe_lock.hpp"
#include "os/private_files.hpp"
#include "ring/sidecar_ring.hpp"
#include "sidecar/body_finder.hpp"
#include "sidecar/message_forms.hpp"
#include "sidecar/native_plane.hpp"
#include "sidecar/shared_bodies.hpp"

namespace {

using namespace ferry;
using namespace ferry::app::test;

constexpr std::uint64_t k_sent_ms = 1'700'000'000'000;  // 2023-11-14 22:13:20
constexpr std::size_t k_queue = 8192;

boost::json::object json_of(const outcome& of) {
  boost::system::error_code wrong;
  const auto value = boost::json::parse(of.out, wrong);
  EXPECT_FALSE(wrong) << of.out << of.err;
  return wrong ? boost::json::object{} : value.as_object();
}

/// A ring file as a sidecar makes it, which we write to.
class inspect_sidecar : public ::testing::Test {
 protected:
  inspect_sidecar() {
    write_file(path, std::string(ring::k_sidecar_control_bytes + k_queue, '\0'));
    const auto file = os::open_file(path, true).value();
    memory = os::mapping::of(file.get(), ring::k_sidecar_control_bytes + k_queue, true).value();
    ring::sidecar_ring_memory::format(memory.span());
    out = ring::sidecar_ring_producer::attach(ring::sidecar_ring_memory::open(memory.span()).value()).value();
  }

  void put(std::span<const bytes> parts, std::size_t head_bytes) {
    std::string whole;
    for (const auto part : parts) whole.append(as_text(part));
    auto* const to = out.reserve(whole.size());
    ASSERT_NE(to, nullptr);
    std::memcpy(to, whole.data(), whole.size());
    out.publish(whole.size(), head_bytes, k_sent_ms);
  }
  void send(const service_destination& to, std::string_view id, std::string_view body) {
    sidecar::message_former former;
    service_package package;
    package.message_id = id;
    const auto made =
        former.form(service_rings::compatible, {.from = 101, .to = to}, package, as_bytes(body), k_sent_ms);
    ASSERT_TRUE(made) << made.error().text();
    put(made->parts(), made->head_bytes);
  }
  [[nodiscard]] outcome inspect(const std::string& what, bool json = false) const {
    return run_ferry(json ? arguments{"inspect", what, "--json"} : arguments{"inspect", what});
  }

  test::temp_dir dir;
  std::string path = dir.file("recv.shm");
  os::mapping memory;
  ring::sidecar_ring_producer out;
};

TEST_F(inspect_sidecar, shows_what_is_unread_in_a_ring_and_changes_nothing) {
  send(to_entity{201}, "Question", "what");
  send(to_any{2}, "", "");
  send(to_other_instance{1}, "Handed\x1b[2J on", "0123456789");
  const auto before = content_of(path);
  const auto seen = inspect(path);
  EXPECT_EQ(seen.status, 0) << seen.err;
  for (const char* part :
       {": a compatible ring of a sidecar\n", "\nqueue          8KiB\n", "\nread up to     0\n",
        "\nunread         3 messages, ", "2023-11-14 22:13:20 UTC   101  201                 Question           4\n",
        "101  any of service 2                       0\n", "the other instance  Handed?[2J on     10\n"})
    EXPECT_NE(seen.out.find(part), std::string::npos) << part << "\nis not in\n" << seen.out;
  const auto there = json_of(inspect(path, true));
  EXPECT_EQ(there.at("kind"), "sidecar_ring");
  EXPECT_EQ(there.at("queue_bytes"), k_queue);
  EXPECT_EQ(there.at("unread_messages"), 3);
  EXPECT_EQ(there.at("unread_bytes"), there.at("tail"));
  EXPECT_TRUE(there.at("damage").is_null());
  EXPECT_EQ(there.at("mapped_by").as_array().size(), 1u) << "we have it";
  const auto& first = there.at("messages").as_array().at(0).as_object();
  EXPECT_EQ(first.at("sent_ms"), k_sent_ms);
  EXPECT_EQ(first.at("from"), 101);
  EXPECT_EQ(first.at("to"), "201");
  EXPECT_EQ(first.at("bytes"), 4);
  EXPECT_EQ(content_of(path), before);
}

TEST_F(inspect_sidecar, shows_whose_bodies_a_file_has) {
  const auto file = sidecar::shared_bodies::make(dir.path(), 42, 64 << 10, os::own_uid()).value();
  const auto there = dir.file(sidecar::k_bodies_file);
  const auto seen = inspect(there);
  EXPECT_EQ(seen.status, 0) << seen.err;
  for (const char* part : {": bodies that several of a service get from a sidecar\n", "\nservice     42\n",
                           "\nsize        64KiB\n", "\nmapped by   "})
    EXPECT_NE(seen.out.find(part), std::string::npos) << part << "\nis not in\n" << seen.out;
  const auto object = json_of(inspect(there, true));
  EXPECT_EQ(object.at("kind"), "sidecar_bodies");
  EXPECT_EQ(object.at("service"), 42);
  EXPECT_EQ(object.at("size"), 64 << 10);
  EXPECT_EQ(object.at("mapped_by").as_array().size(), 1u) << "we have it";
  std::filesystem::resize_file(there, 8192);
  const auto cut = inspect(there);
  EXPECT_EQ(cut.status, 1);
  EXPECT_NE(cut.err.find("65536 bytes of shared bodies that has 4096"), std::string::npos) << cut.err;
  std::filesystem::resize_file(there, 0);
  EXPECT_EQ(inspect(there).status, 1);
}

TEST_F(inspect_sidecar, shows_the_oldest_messages_of_many) {
  for (int i = 0; i < 20; ++i) send(to_all{2}, "Number" + std::to_string(i), "x");
  const auto seen = inspect(path);
  EXPECT_NE(seen.out.find("Number15"), std::string::npos) << seen.out;
  EXPECT_EQ(seen.out.find("Number16"), std::string::npos) << seen.out;
  EXPECT_TRUE(seen.out.ends_with("\nand 4 more\n")) << seen.out;
}

TEST_F(inspect_sidecar, says_of_a_message_that_it_cannot_be_understood_and_shows_the_next_one) {
  const std::string nonsense(40, '\xff');
  const bytes part = as_bytes(nonsense);
  put(std::span(&part, 1), 7);
  send(to_entity{201}, "After", "it");
  const auto seen = inspect(path);
  EXPECT_EQ(seen.status, 0);
  EXPECT_NE(seen.out.find("cannot be understood"), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find("After"), std::string::npos) << seen.out;
  EXPECT_TRUE(json_of(inspect(path, true)).at("messages").as_array().at(0).as_object().contains("error"));
}

TEST_F(inspect_sidecar, says_where_a_ring_is_damaged_and_what_was_before_that) {
  send(to_entity{201}, "Whole", "x");
  const auto second = json_of(inspect(path, true)).at("tail").to_number<std::size_t>();
  send(to_entity{201}, "Damaged", "x");
  memory.data()[ring::k_sidecar_control_bytes + second] = std::byte{0};
  const auto seen = inspect(path);
  EXPECT_EQ(seen.status, 1);
  EXPECT_NE(seen.out.find("\ndamaged        who reads it will say: no message"), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find("\nbefore that    1 message\n"), std::string::npos) << seen.out;
  EXPECT_TRUE(json_of(inspect(path, true)).at("damage").is_string());
}

TEST_F(inspect_sidecar, bears_a_wrong_value_of_every_byte_that_it_looks_at) {
  send(to_entity{201}, "First", "one");
  send(to_entity{201}, "Second", "two");
  const auto end = ring::k_sidecar_control_bytes + 60;
  for (std::size_t at = 0; at < end; at = at == 15 ? ring::k_sidecar_control_bytes : at + 1) {
    const auto right = std::exchange(memory.data()[at], ~memory.data()[at]);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const auto status = app::inspect_sidecar(path, false);
    const auto said = ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
    memory.data()[at] = right;
    ASSERT_TRUE(status == 0 || status == 1) << "byte " << at;
    ASSERT_FALSE(said.empty()) << "byte " << at;
  }
}

TEST_F(inspect_sidecar, never_takes_a_ring_that_is_being_used_for_a_damaged_one) {
  std::atomic<bool> over = false;
  std::thread both_sides([&] {
    auto in = ring::sidecar_ring_consumer::attach(ring::sidecar_ring_memory::open(memory.span()).value()).value();
    while (!over) {
      send(to_entity{201}, "Message", "some bytes");
      if (in.unread_bytes() < k_queue / 2) continue;
      while (in.front(0).value()) in.pop();
    }
  });
  for (int i = 0; i < 10; ++i) {
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const auto status = app::inspect_sidecar(path, false);
    const auto out_text = ::testing::internal::GetCapturedStdout();
    const auto err_text = ::testing::internal::GetCapturedStderr();
    EXPECT_TRUE(status == 0 || err_text.find("it was read on at each of 8 attempts") != err_text.npos)
        << out_text << err_text;
    EXPECT_EQ(out_text.find("cannot be understood"), out_text.npos) << out_text;
  }
  over = true;
  both_sides.join();
}

TEST_F(inspect_sidecar, says_what_to_do_about_a_file_that_was_cut_off) {
  memory = {};
  for (const std::size_t left : {ring::k_sidecar_control_bytes + 5000, ring::k_sidecar_control_bytes, std::size_t{16},
                                 std::size_t{3}, std::size_t{0}}) {
    std::filesystem::resize_file(path, left);
    const auto seen = inspect(path);
    EXPECT_EQ(seen.status, 1) << left;
    EXPECT_EQ(seen.out, "");
    EXPECT_NE(seen.err.find(path + ": a ring file of "), std::string::npos) << seen.err;
    EXPECT_NE(seen.err.find("stop the service, then start the sidecar again"), std::string::npos) << seen.err;
  }
}

TEST_F(inspect_sidecar, shows_a_native_ring_as_it_does_others) {
  auto made = sidecar::native_ring::make(path, k_queue, os::own_uid());
  ASSERT_TRUE(made) << made.error().text();
  const auto writer = sidecar::native_writer::attach(std::move(*made), true);
  ASSERT_TRUE(writer) << writer.error().text();
  sidecar::message_former former;
  const auto message = former.form(service_rings::native, {.from = 101, .to = to_entity{201}}, {}, {}, k_sent_ms);
  ASSERT_TRUE((*writer)->write(message->parts(), message->head_bytes, k_sent_ms));
  const auto seen = inspect(path + ".ring", true);
  EXPECT_EQ(seen.status, 0) << seen.err;
  const auto there = json_of(seen).at("directions").as_array().at(0).as_object();
  EXPECT_EQ(there.at("rings").as_array().at(0).as_object().at("unread_records"), 1);
}

TEST_F(inspect_sidecar, shows_who_has_a_pipe_and_until_when) {
  const auto lock_path = dir.file("client.lock0");
  auto lock = std::optional(os::pipe_lock::try_acquire(lock_path).value());
  const auto pid = std::to_string(::getpid());
  auto seen = inspect(lock_path);
  EXPECT_EQ(seen.status, 0) << seen.err;
  EXPECT_NE(seen.out.find(": the lock of a pipe of a sidecar\nlock   held by process " + pid + "\n"), std::string::npos)
      << seen.out;
  EXPECT_NE(seen.out.find("\nlease  none was written yet\n"), std::string::npos) << seen.out;
  ASSERT_TRUE(lock->write("17 1700000000"));
  const auto there = json_of(inspect(lock_path, true));
  EXPECT_EQ(there.at("kind"), "sidecar_lock");
  EXPECT_EQ(there.at("held_by"), ::getpid());
  EXPECT_EQ(there.at("version"), 17);
  EXPECT_EQ(there.at("expires"), 1'700'000'000);
  lock.reset();
  seen = inspect(lock_path);
  EXPECT_NE(seen.out.find("\nlock     free"), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find("\nlease    ends 2023-11-14 22:13:20 UTC, "), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find(" s ago\n"), std::string::npos) << seen.out;
  for (const char* wrong : {"17", "17 x", "-1 5", "99999999999999999999999 1", "\x1b[2J"}) {
    write_file(lock_path, wrong);
    EXPECT_EQ(inspect(lock_path).status, 1) << wrong;
  }
  write_file(lock_path, "18446744073709551615 9223372036854775807");
  EXPECT_EQ(inspect(lock_path).status, 0);
}

TEST_F(inspect_sidecar, says_which_files_there_are_in_a_directory_of_an_entity) {
  write_file(dir.file("entity"), "2 201 1\n");
  const auto seen = inspect(dir.path().string());
  EXPECT_EQ(seen.status, 2);
  EXPECT_NE(seen.err.find("is a directory of an entity of a sidecar: name one of its files: recv.shm\n"),
            std::string::npos)
      << seen.err;
}

}  // namespace
