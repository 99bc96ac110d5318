// Bodies that several instances of one service get: services and the sidecar over real files and sockets.
#include "sidecar/shared_bodies.hpp"

#include <ferry/sidecar.hpp>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "codec/native_message.hpp"
#include "sidecar/body_finder.hpp"
#include "sidecar/message_forms.hpp"
#include "sidecar/native_plane.hpp"
#include "sidecar/sidecar.hpp"
#include "testing/service_by_hand.hpp"
#include "testing/sidecar_by_hand.hpp"
#include "testing/sidecar_entities.hpp"
#include "testing/temp_dir.hpp"
#include "testing/watchdog.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;

std::string body_of(std::size_t size, std::size_t number) {
  std::string made = std::to_string(number) + " ";
  for (std::size_t i = made.size(); i < size; ++i) made += static_cast<char>('a' + (i + number) % 23);
  return made;
}

/// One of service 2 that notes what it gets, from when it is told to.
struct listener {
  service it;
  std::vector<std::string> got{};
  std::vector<errc> faults{};
  void listen() {
    it.on_fault([this](const error& why) { faults.push_back(why.reason()); });
    it.on_message([this](const service_message& what) { got.emplace_back(as_text(what.body)); });
  }
};

/// Entity 101 sends; 201, 202 and 203 are of service 2, 301 of service 3.
class bodies_for_several : public ::testing::Test {
 protected:
  bodies_for_several() {
    for (const std::uint32_t entity : {101u, 201u, 202u, 203u, 301u})
      with.entities.push_back(test::small_entity(dir, entity));
    with.message_age = {};
    with.hold = 1h;
    with.registration_timeout = with.heartbeat_timeout = 1h;
    with.shared_bytes = 1u << 20;
  }
  void open() {
    beside.reset();
    auto made = sidecar::daemon::open(beside_where, with);
    ASSERT_TRUE(made) << made.error().text();
    beside.emplace(std::move(*made));
  }
  [[nodiscard]] service start(std::uint32_t entity, service_rings rings = service_rings::native) {
    auto options = test::small_service(dir, entity);
    options.rings = rings;
    auto made = service::make(where, options).value();
    EXPECT_TRUE(made.start());
    EXPECT_TRUE(until([&] { return made.state() == service_state::registered && made.rings() == rings; }, "a service"));
    return made;
  }
  [[nodiscard]] listener& add(std::uint32_t entity, service_rings rings = service_rings::native) {
    all.push_back({start(entity, rings)});
    all.back().listen();
    return all.back();
  }
  void add_all() {
    for (const std::uint32_t entity : {201u, 202u, 203u}) (void)add(entity);
  }
  [[nodiscard]] std::string say(const service_destination& to, std::size_t size) {
    auto body = body_of(size, ++said);
    EXPECT_TRUE(until([&] { return from.send({.to = to}, {}, as_bytes(body)).has_value(); }, "room"));
    return body;
  }
  template <class Done>
  [[nodiscard]] ::testing::AssertionResult until(Done done, std::string_view awaited) {
    return test::run_until(
        io,
        [&] {
          beside_io.restart();
          beside_io.poll();
          return done();
        },
        awaited);
  }
  [[nodiscard]] ::testing::AssertionResult all_have(const std::vector<std::string>& what) {
    return until([&] { return std::all_of(all.begin(), all.end(), [&](const auto& one) { return one.got == what; }); },
                 "everything, in order");
  }
  [[nodiscard]] sidecar::forwarder_counts counts() const { return beside->stats().data; }
  [[nodiscard]] std::string bodies(std::uint32_t entity) const {
    return dir.file(std::to_string(entity)) + "/" + sidecar::k_bodies_file;
  }

  test::temp_dir dir;
  boost::asio::io_context io, beside_io;
  context where{io}, beside_where{beside_io};
  sidecar::settings with;
  std::optional<sidecar::daemon> beside;
  service from;
  std::deque<listener> all;
  std::size_t said = 0;
};

TEST_F(bodies_for_several, lie_once_and_reach_all_of_them) {
  open();
  from = start(101);
  add_all();
  std::vector<std::string> sent;
  sent.push_back(say(to_all{2}, 5000));
  ASSERT_TRUE(all_have(sent));
  EXPECT_EQ(counts().shared, 1u);
  EXPECT_EQ(counts().references, 3u);
  EXPECT_EQ(counts().forwarded, 3u);
  sent.push_back(say(to_all{2}, sidecar::k_least_shared_body - 1));
  ASSERT_TRUE(all_have(sent));
  EXPECT_EQ(counts().shared, 1u) << "a copy costs no more";
  const std::vector<std::int32_t> some{201, 202, 203, 301};
  sent.push_back(say(to_entities{some}, sidecar::k_least_shared_body));
  ASSERT_TRUE(all_have(sent));
  EXPECT_EQ(counts().shared, 2u);
  EXPECT_EQ(counts().references, 6u);
  EXPECT_EQ(all[0].it.stats().lost_bodies, 0u);
  EXPECT_TRUE(all[0].faults.empty());
}

TEST_F(bodies_for_several, are_copied_for_one_alone_and_for_who_has_compatible_rings) {
  open();
  from = start(101);
  add_all();
  std::vector<std::string> sent;
  for (auto& one : all) {
    const std::vector<std::int32_t> alone{static_cast<std::int32_t>(one.it.with().entity), 301};
    const auto what = say(to_entities{alone}, 5000);
    ASSERT_TRUE(until([&] { return one.got == std::vector{what}; }, "the message"));
    one.got.clear();
  }
  EXPECT_EQ(counts().shared, 0u);
  all.pop_back();
  ASSERT_TRUE(until([&] { return beside->pipes()[3].where == sidecar::pipe::state::idle; }, "its end"));
  (void)add(203, service_rings::compatible);
  sent.push_back(say(to_all{2}, 5000));
  ASSERT_TRUE(all_have(sent));
  EXPECT_EQ(counts().shared, 1u);
  EXPECT_EQ(counts().references, 2u);
}

TEST_F(bodies_for_several, of_a_sender_with_compatible_rings_lie_once_too) {
  open();
  from = start(101, service_rings::compatible);
  add_all();
  const auto what = say(to_all{2}, 5000);
  ASSERT_TRUE(all_have({what}));
  EXPECT_EQ(counts().references, 3u);
}

TEST_F(bodies_for_several, keep_their_order_among_all_other_messages) {
  open();
  from = start(101);
  add_all();
  std::vector<std::string> sent;
  // Copied as they are small, in the file, copied as they are larger than a part of it, and in several records.
  for (std::size_t i = 0; i < 300; ++i)
    for (const std::size_t size : {20u, 1023u, 1024u, 5000u, 16'000u, 35'000u}) {
      if ((i * 7 + size) % 3 != 0) continue;
      sent.push_back(say(to_all{2}, size));
    }
  ASSERT_TRUE(all_have(sent));
  EXPECT_GT(counts().shared, 100u);
  EXPECT_LT(counts().references, counts().forwarded);
  for (const auto& one : all) EXPECT_TRUE(one.faults.empty());
}

TEST_F(bodies_for_several, go_on_to_the_others_while_one_of_them_does_not_read) {
  open();
  from = start(101);
  (void)add(201);
  (void)add(202);
  listener late{start(203)};
  std::vector<std::string> sent;
  // Two in a part, of which it may keep 8; then three copies fill its ring.
  for (int i = 0; i < 19; ++i) {
    sent.push_back(say(to_all{2}, 16'000));
    ASSERT_TRUE(all_have(sent));
  }
  EXPECT_EQ(counts().references, 19u * 2 + 16u);
  EXPECT_EQ(counts().forwarded, 19u * 3);
  late.listen();
  ASSERT_TRUE(until([&] { return late.got == sent; }, "everything, in order"));
  for (int i = 0; i < 3; ++i) sent.push_back(say(to_all{2}, 16'000));
  ASSERT_TRUE(until([&] { return late.got == sent; }, "the last ones"));
  EXPECT_EQ(counts().references, 22u * 2 + 18u) << "it has caught up, which is seen with the next part";
}

TEST_F(bodies_for_several, stay_where_they_are_while_the_sidecar_is_another_one) {
  open();
  from = start(101);
  listener late{start(201)}, later{start(202)};
  std::vector<std::string> sent;
  for (int i = 0; i < 5; ++i) sent.push_back(say(to_all{2}, 16'000));
  ASSERT_TRUE(until([&] { return counts().references == 10; }, "the references"));
  open();
  ASSERT_TRUE(until([&] { return beside->stats().control.registered == 3; }, "all again"));
  for (int i = 0; i < 5; ++i) sent.push_back(say(to_all{2}, 15'000));
  ASSERT_TRUE(until([&] { return counts().references == 10; }, "more references"));
  // One that keeps up, so that the file goes round.
  (void)add(203);
  late.listen();
  std::vector<std::string> to_both;
  for (int i = 0; i < 100; ++i) {
    static const std::vector<std::int32_t> both{201, 203};
    sent.push_back(say(to_entities{both}, 14'000));
    to_both.push_back(sent.back());
    ASSERT_TRUE(all_have(to_both));
  }
  ASSERT_TRUE(until([&] { return late.got == sent; }, "everything, in order"));
  EXPECT_GT(counts().shared, 50u);
  later.listen();
  sent.resize(10);
  ASSERT_TRUE(until([&] { return later.got == sent; }, "what was sent to it, before and after"));
  EXPECT_EQ(late.it.stats().lost_bodies + later.it.stats().lost_bodies, 0u);
}

TEST_F(bodies_for_several, come_to_the_next_instance_whatever_rings_it_has) {
  for (const auto rings : {service_rings::native, service_rings::compatible}) {
    SCOPED_TRACE(rings == service_rings::native ? "native" : "compatible");
    open();
    from = start(101);
    (void)add(201);
    std::vector<std::string> sent;
    {
      const auto gone = start(202);
      for (int i = 0; i < 3; ++i) sent.push_back(say(to_all{2}, 9000));
      ASSERT_TRUE(all_have(sent));
      EXPECT_EQ(counts().references, 6u);
    }
    ASSERT_TRUE(until([&] { return beside->pipes()[2].where == sidecar::pipe::state::idle; }, "its end"));
    auto& next = add(202, rings);
    ASSERT_TRUE(until([&] { return next.got == sent; }, "what the one before has left"));
    all.clear();
    from = {};
  }
}

// It asks for native rings, and knows of no bodies that lie elsewhere.
TEST_F(bodies_for_several, come_translated_to_a_next_instance_that_knows_no_references) {
  open();
  from = start(101);
  (void)add(201);
  std::vector<std::string> sent;
  {
    const auto gone = start(202);
    for (int i = 0; i < 3; ++i) sent.push_back(say(to_all{2}, 9000));
    ASSERT_TRUE(all_have(sent));
  }
  ASSERT_TRUE(until([&] { return beside->pipes()[2].where == sidecar::pipe::state::idle; }, "its end"));
  test::service_by_hand older(beside_io, with.entities[2]);
  older.said().rings = codec::sidecar::k_native_rings;
  EXPECT_EQ(older.enter().rings, 0u) << "it would read references";
  for (const auto& body : sent) EXPECT_EQ(older.receive().body, body);
  EXPECT_EQ(older.enter_again().rings & codec::sidecar::k_native_rings, codec::sidecar::k_native_rings)
      << "nothing is left";
}

TEST_F(bodies_for_several, are_not_believed_of_a_sender) {
  open();
  from = start(101);
  add_all();
  ASSERT_TRUE(all_have({say(to_all{2}, 2000)}));
  const auto ring = sidecar::native_ring::open(with.entities[0].directory + "/send.shm", true).value();
  auto& line = ring.shared().rings[0];
  const auto found = ring_scan(ring.records(), line).value();
  ring_producer by_hand(ring.records(), line, found.tail, found.sequence);
  codec::sidecar::native_head_writer writer;
  const auto head = writer.write({.from = 101, .to = to_entity{201}}, {}, 1).value();
  std::vector<std::byte> whole(head.begin(), head.end());
  codec::sidecar::say_elsewhere(whole.data());
  whole.resize(whole.size() + ring::k_body_reference_bytes);
  ASSERT_TRUE(by_hand.try_push(whole, ring_marks::text));
  os::wake_pipe::open(with.entities[0].directory + "/send.shm.bell").value().ring();
  ASSERT_TRUE(until([&] { return beside->pipes()[0].counts.malformed == 1; }, "its refusal"));
  EXPECT_EQ(all[0].got.size(), 1u);
}

TEST_F(bodies_for_several, that_are_cut_off_are_lost_and_counted_and_the_next_ones_are_there) {
  open();
  from = start(101);
  add_all();
  ASSERT_TRUE(all_have({say(to_all{2}, 5000)}));
  for (auto& one : all) {
    one.it.on_message({});
    one.got.clear();
  }
  (void)say(to_all{2}, 5000);
  ASSERT_TRUE(until([&] { return counts().references == 6; }, "the references"));
  ASSERT_EQ(::truncate(bodies(202).c_str(), 4096), 0);
  for (auto& one : all) one.listen();
  ASSERT_TRUE(until(
      [&] { return std::all_of(all.begin(), all.end(), [](auto& one) { return one.it.stats().lost_bodies == 1; }); },
      "the loss"));
  for (const auto& one : all) {
    EXPECT_EQ(one.faults, std::vector{errc::corrupt});
    EXPECT_TRUE(one.got.empty());
  }
  // The sidecar finds it as it writes, and copies; then it makes another one.
  std::vector<std::string> sent{say(to_all{2}, 5000)};
  ASSERT_TRUE(all_have(sent));
  EXPECT_EQ(counts().references, 6u);
  ASSERT_TRUE(until([&] { return std::filesystem::file_size(bodies(203)) > 4096; }, "another file"));
  sent.push_back(say(to_all{2}, 5000));
  ASSERT_TRUE(all_have(sent));
  EXPECT_EQ(counts().references, 9u);
}

TEST_F(bodies_for_several, are_found_again_where_somebody_has_replaced_the_file) {
  open();
  from = start(101);
  add_all();
  std::vector<std::string> sent;
  for (const std::uint32_t entity : {201u, 202u, 203u}) {
    SCOPED_TRACE(entity);
    sent.push_back(say(to_all{2}, 5000));
    ASSERT_TRUE(all_have(sent)) << "who has it open keeps it";
    ASSERT_EQ(::unlink(bodies(entity).c_str()), 0);
    ASSERT_EQ(::symlink("/dev/zero", bodies(entity).c_str()), 0);
    all.clear();
    sent.clear();
    add_all();
    EXPECT_TRUE(std::filesystem::equivalent(bodies(201), bodies(202)));
    EXPECT_TRUE(std::filesystem::equivalent(bodies(201), bodies(203)));
  }
  const auto before = counts().references;
  sent.push_back(say(to_all{2}, 5000));
  ASSERT_TRUE(all_have(sent));
  EXPECT_EQ(counts().references, before + 3);
}

TEST_F(bodies_for_several, are_copied_where_the_file_cannot_be_made) {
  open();
  std::filesystem::create_directories(bodies(201) + "/in/the/way");
  from = start(101);
  add_all();
  ASSERT_TRUE(all_have({say(to_all{2}, 5000)}));
  EXPECT_EQ(counts().references, 2u) << "the others have one";
}

TEST_F(bodies_for_several, are_copied_where_the_disk_has_no_room) {
  with.shared_bytes = 64u << 20;
  open();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1u << 20, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  from = start(101);
  add_all();
  const auto what = say(to_all{2}, 5000);
  EXPECT_TRUE(all_have({what}));
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(counts().references, 0u);
  EXPECT_FALSE(std::filesystem::exists(bodies(201)));
  EXPECT_FALSE(std::filesystem::exists(bodies(201) + ".new"));
}

TEST_F(bodies_for_several, are_of_one_service_and_only_where_it_has_several_entities) {
  with.entities.push_back(test::small_entity(dir, 302));
  with.entities.push_back(test::small_entity(dir, 401));
  open();
  from = start(101);
  for (const std::uint32_t entity : {201u, 202u, 203u, 301u, 302u, 401u}) (void)add(entity);
  EXPECT_TRUE(std::filesystem::equivalent(bodies(201), bodies(203)));
  EXPECT_TRUE(std::filesystem::equivalent(bodies(301), bodies(302)));
  EXPECT_FALSE(std::filesystem::equivalent(bodies(201), bodies(301)));
  EXPECT_FALSE(std::filesystem::exists(bodies(401)));
  EXPECT_FALSE(std::filesystem::exists(bodies(101)));
  const std::vector<std::int32_t> both{201, 202, 203, 301, 302, 401};
  ASSERT_TRUE(all_have({say(to_entities{both}, 5000)}));
  EXPECT_EQ(counts().shared, 2u) << "in each file";
  EXPECT_EQ(counts().references, 5u);
}

TEST_F(bodies_for_several, are_copied_where_there_shall_be_no_file) {
  with.shared_bytes = 0;
  open();
  from = start(101);
  add_all();
  ASSERT_TRUE(all_have({say(to_all{2}, 5000)}));
  EXPECT_EQ(counts().references, 0u);
  EXPECT_FALSE(std::filesystem::exists(bodies(201)));
}

TEST_F(bodies_for_several, are_read_by_who_polls_from_inside_whose_handler_all_may_be_let_go) {
  open();
  from = start(101);
  add_all();
  const auto what = say(to_all{2}, 5000);
  std::optional<service> last = all[0].it;
  all[0].it = {};
  std::string got;
  last->on_message([&](const service_message& message) {
    last->close();
    last.reset();
    got = as_text(message.body);
  });
  ASSERT_TRUE(until(
      [&] {
        if (last) (void)last->poll();
        return !got.empty();
      },
      "the message"));
  EXPECT_EQ(got, what);
}

// What no sidecar writes, in a ring that the service reads.
TEST(references, to_what_is_not_there_are_losses_that_are_counted_and_the_next_message_follows) {
  boost::asio::io_context io;
  context where{io};
  test::sidecar_by_hand beside(io, service_rings::native);
  beside.make_rings();
  beside.listen();
  const auto directory = std::filesystem::path(beside.file("x")).parent_path().string();
  const auto file = sidecar::shared_bodies::make(directory, 10, 64 << 10, os::own_uid()).value();
  listener one{service::make(where, beside.options_for()).value()};
  one.listen();
  ASSERT_TRUE(one.it.start());
  (void)beside.take_registration();
  ASSERT_TRUE(test::run_until(
      io, [&] { return one.it.rings() == service_rings::native; }, "native rings"));
  codec::sidecar::native_head_writer writer;
  const auto head = writer.write({.from = 1, .to = to_all{10}}, {}, 1).value();
  std::vector<std::byte> elsewhere(head.begin(), head.end());
  codec::sidecar::say_elsewhere(elsewhere.data());
  const auto put = [&](bytes reference) {
    const std::array<bytes, 2> parts{elsewhere, reference};
    ASSERT_TRUE(beside.to_service().write(parts, elsewhere.size(), 1));
  };
  std::array<std::byte, ring::k_body_reference_bytes> reference{};
  const auto right = file->store().put(as_bytes("here it is")).value();
  std::vector<ring::body_reference> wrong(6, right);
  wrong[0].generation += 2;
  wrong[1].offset = 0xffff'ffc0;
  wrong[2].offset += 64;
  wrong[3].length = UINT32_MAX;
  wrong[4].length += 1;
  wrong[5].stamp += 1;
  std::uint64_t lost = 0;
  const auto loses = [&](bytes what) {
    put(what);
    put([&]() -> bytes {
      ring::store(reference.data(), right);
      return reference;
    }());
    lost += 1;
    return test::run_until(
        io, [&] { return one.it.stats().lost_bodies == lost && one.got.size() == lost; }, "the loss, and the next one");
  };
  for (const auto& which : wrong) {
    std::array<std::byte, ring::k_body_reference_bytes> made{};
    ring::store(made.data(), which);
    EXPECT_TRUE(loses(made)) << which.offset;
  }
  EXPECT_TRUE(loses(bytes(reference).first(23)));
  EXPECT_TRUE(loses({}));
  EXPECT_TRUE(loses(std::vector<std::byte>(5000)));
  EXPECT_EQ(one.got, std::vector<std::string>(lost, "here it is"));
  EXPECT_EQ(one.it.stats().malformed, lost);
  EXPECT_EQ(one.faults, std::vector<errc>(lost, errc::corrupt));
}

// Who is stopped for long is not waited for; when it goes on, others may write there.
TEST(references, whose_body_is_written_over_while_a_handler_has_it_are_told) {
  const test::temp_dir dir;
  std::filesystem::create_directories(dir.file("here"));
  const auto file = sidecar::shared_bodies::make(dir.file("here"), 10, 64 << 10, os::own_uid()).value();
  sidecar::body_finder finder(dir.file("here"));
  std::array<std::byte, ring::k_body_reference_bytes> reference{};
  ring::store(reference.data(), file->store().put(as_bytes("as it was")).value());
  ASSERT_EQ(as_text(finder.find(reference).value()), "as it was");
  EXPECT_TRUE(finder.is_still_there());
  ASSERT_EQ(as_text(finder.find(reference).value()), "as it was");
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(file->store().put(as_bytes(std::string(2000, 'x'))));
  EXPECT_FALSE(finder.is_still_there());
  EXPECT_EQ(finder.lost(), 1u);
  EXPECT_EQ(finder.find(reference).error(), errc::corrupt);
  EXPECT_EQ(finder.lost(), 2u);
  EXPECT_TRUE(finder.is_still_there()) << "nothing was found";
}

}  // namespace
}  // namespace ferry
