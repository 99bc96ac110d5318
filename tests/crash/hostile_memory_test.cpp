// A peer that has joined in order and then writes what it likes, while the channel runs: into its own memory, of which
// we read the records, and into ours, of which it was given all.
#include <sys/socket.h>

#include <thread>

#include "crash_test.hpp"
#include "raw_ring_peer.hpp"
#include "testing/raw_unix.hpp"

namespace ferry::test {
namespace {

using ring::hello_kind;

constexpr std::uint64_t k_small_ring = 4096;

// The peer: connected, and with both memories mapped wholly.
struct hostile_peer {
  raw_unix socket;
  raw_ring_memory mine{{k_small_ring, 1, 4096}};
  os::mapping victims;
  ring::geometry victims_sizes;
  std::optional<ring_producer> producer;  // well-behaved as long as it is used
  std::optional<ring_consumer> consumer;

  [[nodiscard]] ring::shared_page& victims_shared() const {
    return *reinterpret_cast<ring::shared_page*>(victims.data() + victims_sizes.shared_offset());
  }
  [[nodiscard]] std::span<std::byte> victims_ring() const {
    return victims.span().subspan(victims_sizes.ring_offset(0), victims_sizes.ring_bytes);
  }
  void wake() const { (void)::send(socket.fd(), "", 1, MSG_NOSIGNAL | MSG_DONTWAIT); }
  void word(std::uint64_t value) const {
    auto& at = *reinterpret_cast<std::uint64_t*>(mine.ring().data() + (producer->tail() & (k_small_ring - 1)));
    std::atomic_ref(at).store(value, std::memory_order_release);
    wake();
  }
};

class hostile_memory : public crash {
 protected:
  void SetUp() override {
    options with = settings();
    with.ring_bytes = k_small_ring;
    at_ = listen(with);
    at_.on_channel([this](channel one) { came_ = std::move(one); });
    honest_ = open(settings());
    ASSERT_TRUE(turn([&] { return came_ && honest_.state() == channel_state::up; }, "an honest pair"));
    bystander_ = came_;
    bystander_.on_message([this](const message_view& m) { heard_ = m.text(); });
  }

  void join(hostile_peer& peer) {
    came_ = {};
    down_.reset();
    received_.clear();
    peer.socket = raw_unix::connect(dir.file("meeting.shm"));
    say_hello(peer.socket.fd(), peer.mine, hello_kind::hello);
    ASSERT_TRUE(turn([&] { return static_cast<bool>(came_); }, "the victim"));
    victim_ = came_;
    victim_.on_down([this](const down_info& info) { down_ = info; });
    victim_.on_message([this](const message_view& m) {
      if (received_.size() < 100) received_.emplace_back(m.text());
    });
    const auto welcome = hear_hello(peer.socket.fd());
    const auto told = welcome.decoded();
    ASSERT_TRUE(told);
    peer.victims_sizes = told->memory;
    peer.victims = os::mapping::of(welcome.fd.get(), told->memory.total(), true).value();
    peer.producer.emplace(peer.mine.ring(), peer.mine.shared().rings[0]);
    peer.consumer.emplace(peer.victims_ring(), peer.victims_shared().rings[0]);
  }

  // Both directions at work, as far as they still are.
  void traffic(hostile_peer& peer, int messages) {
    for (int i = 0; i < messages; ++i) {
      (void)peer.producer->try_push(as_bytes(std::string(static_cast<std::size_t>(i % 60), 'p')));
      if (i % 4 == 0) peer.wake();
      if (victim_ && victim_.state() == channel_state::up)
        (void)victim_.try_send(as_bytes(std::string(static_cast<std::size_t>(i % 90), 'v')));
      run_ready(io);
      if (const auto one = peer.consumer->front(); one && i % 2 == 0) {
        peer.consumer->pop();
        peer.consumer->publish_position();
      }
    }
  }
  void expect_bystanders_unharmed(const std::string& text) {
    heard_.clear();
    ASSERT_TRUE(honest_.try_send(text));
    ASSERT_TRUE(turn([&] { return heard_ == text; }, "a message between others"));
  }
  void expect_end(const std::vector<errc>& any_of) {
    ASSERT_TRUE(turn([&] { return down_.has_value(); }, "the end of the victim's channel"));
    EXPECT_NE(std::find(any_of.begin(), any_of.end(), down_->reason.reason()), any_of.end()) << down_->reason.text();
  }
  // What was written may be harmless. If the channel has not ended by it, it does when the peer goes.
  void expect_end_at_the_latest_when_it_goes(hostile_peer& peer) {
    if (down_) {
      EXPECT_EQ(down_->reason.code(), condition::protocol_violation) << down_->reason.text();
    }
    peer.socket.close();
    ASSERT_TRUE(turn([&] { return down_.has_value(); }, "the end of the victim's channel"));
    victim_ = {};
  }

  listener at_;
  channel honest_, bystander_, came_, victim_;
  std::string heard_;
  std::optional<down_info> down_;
  std::vector<std::string> received_;
};

// Everything that anybody ever writes or reads in the first two pages and at the start of the records.
std::vector<std::size_t> words_of(const ring::geometry& sizes) {
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < sizeof(ring::ring_header); i += 8) at.push_back(i);
  for (std::size_t i = 0; i < 256 + 2 * sizeof(ring_line); i += 8) at.push_back(sizes.shared_offset() + i);
  for (std::size_t i = 0; i < 256; i += 8) at.push_back(sizes.data_offset() + i);
  return at;
}

constexpr std::uint64_t k_values[] = {0,          1,          2,          3,          8,     k_small_ring,
                                      1ull << 31, 1ull << 61, 3ull << 62, 1ull << 63, ~0ull, 0x7fff'ffff'ffff'fff8,
                                      0xffff'fff8};

TEST_F(hostile_memory, that_changes_under_a_running_channel_ends_this_channel_at_most) {
  hostile_peer sample;
  const auto offsets = words_of(sample.mine.sizes);
  std::uint64_t ended = 0;
  std::uint64_t writes = 0;
  for (const bool in_ours : {false, true}) {
    for (const std::size_t offset : offsets) {
      for (const std::uint64_t value : k_values) {
        hostile_peer peer;
        join(peer);
        ASSERT_FALSE(HasFatalFailure());
        traffic(peer, 6);
        // Some that are not read yet.
        for (int i = 0; i < 3; ++i) (void)peer.producer->try_push(as_bytes("unread"));
        std::byte* const memory = in_ours ? peer.victims.data() : peer.mine.at.data();
        std::atomic_ref(*reinterpret_cast<std::uint64_t*>(memory + offset)).store(value);
        traffic(peer, 10);
        ended += down_.has_value();
        writes += 1;
        expect_end_at_the_latest_when_it_goes(peer);
        ASSERT_FALSE(HasFailure()) << (in_ours ? "our" : "its own") << " memory, offset " << offset << ", value "
                                   << std::hex << value;
      }
    }
    expect_bystanders_unharmed(in_ours ? "after ours" : "after theirs");
  }
  EXPECT_GT(ended, 20u) << "of " << writes;
  RecordProperty("writes", std::to_string(writes));
  RecordProperty("channels_ended", std::to_string(ended));
}

TEST_F(hostile_memory, with_a_record_that_cannot_be_ends_the_channel_as_corrupt) {
  constexpr std::uint64_t present = ring_word::k_present;
  const std::uint64_t words[] = {
      1,                                                      // without its mark
      present | (ring_geometry::max_body(k_small_ring) + 1),  // longer than any
      present | ring_word::k_length_mask,
      present | ring_word::k_reserved,
      present | 1ull << 32,                        // another number than the next one
      present | ring_word::k_sequence_mask << 32,  // the one before
      ring_word::k_pad_word,                       // at the start, where nothing can lack room
      ring_word::k_pad_word | 8,                   // with a length
      ring_word::k_end_word | 1,
      present | ring_word::k_tagged | 7,  // no room for its tag
      0x0123'4567'89ab'cdef,
      ~0ull,
  };
  for (const std::uint64_t word : words) {
    hostile_peer peer;
    join(peer);
    ASSERT_FALSE(HasFatalFailure());
    peer.word(word);
    expect_end({errc::corrupt});
    EXPECT_TRUE(received_.empty());
    ASSERT_FALSE(HasFailure()) << std::hex << word;
  }
  expect_bystanders_unharmed("afterwards");
}

TEST_F(hostile_memory, with_a_record_that_reaches_beyond_the_end_of_the_ring_is_corrupt) {
  hostile_peer peer;
  join(peer);
  ASSERT_FALSE(HasFatalFailure());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(peer.producer->try_push(as_bytes(std::string(760, 'x'))));
    peer.wake();
    ASSERT_TRUE(turn([&] { return received_.size() == static_cast<std::size_t>(i + 1); }, "a message"));
  }
  peer.word(ring_word::k_present | 5ull << 32 | 1000);
  expect_end({errc::corrupt});
  expect_bystanders_unharmed("afterwards");
}

struct piece {
  ring_marks marks;
  std::uint16_t reserved;
  std::uint32_t remaining;
  std::size_t size;  // without the tag
};

TEST_F(hostile_memory, with_pieces_that_do_not_fit_together_ends_the_channel) {
  using enum ring_marks;
  const struct {
    const char* what;
    std::vector<piece> pieces;
    errc expected;
  } cases[] = {
      {"more without a tag", {{more, 0, 0, 100}}, errc::protocol},
      {"a tag with reserved bits", {{tagged, 1, 100, 100}}, errc::protocol},
      {"a tag of less than there is", {{tagged, 0, 99, 100}}, errc::protocol},
      {"a tag of more than there is", {{tagged, 0, 101, 100}}, errc::protocol},
      {"more to come of nothing", {{tagged | more, 0, 100, 100}}, errc::protocol},
      {"a message beyond max_message", {{tagged | more, 0, 0xffff'ffff, 100}}, errc::message_too_large},
      {"a tag inside", {{tagged | more, 0, 300, 100}, {tagged, 0, 200, 200}}, errc::protocol},
      {"too long a piece", {{tagged | more, 0, 300, 100}, {none, 0, 0, 201}}, errc::protocol},
      {"an end too early", {{tagged | more, 0, 300, 100}, {none, 0, 0, 100}}, errc::protocol},
      {"an end that does not come", {{tagged | more, 0, 300, 100}, {more, 0, 0, 200}}, errc::protocol},
  };
  for (const auto& one : cases) {
    hostile_peer peer;
    join(peer);
    ASSERT_FALSE(HasFatalFailure());
    for (const piece& p : one.pieces) {
      const std::size_t tag_bytes = has(p.marks, tagged) ? sizeof(ring_tag) : 0;
      std::byte* const at = peer.producer->reserve(tag_bytes + p.size);
      ASSERT_NE(at, nullptr);
      const ring_tag tag{0, p.reserved, p.remaining};
      if (tag_bytes != 0) std::memcpy(at, &tag, sizeof tag);
      peer.producer->publish(tag_bytes + p.size, p.marks);
    }
    peer.wake();
    expect_end({one.expected});
    EXPECT_TRUE(received_.empty());
    ASSERT_FALSE(HasFailure()) << one.what;
  }
  expect_bystanders_unharmed("afterwards");
}

TEST_F(hostile_memory, with_an_end_inside_a_message_is_truncated) {
  hostile_peer peer;
  join(peer);
  ASSERT_FALSE(HasFatalFailure());
  std::byte* const at = peer.producer->reserve(100);
  const ring_tag tag{0, 0, 1000};
  std::memcpy(at, &tag, sizeof tag);
  peer.producer->publish(100, ring_marks::tagged | ring_marks::more);
  peer.producer->end();
  peer.wake();
  expect_end({errc::truncated});
}

TEST_F(hostile_memory, with_an_impossible_position_in_our_ring_ends_the_channel_as_corrupt) {
  for (const std::uint64_t position : {std::uint64_t{4}, std::uint64_t{1} << 20, ~std::uint64_t{7}}) {
    hostile_peer peer;
    join(peer);
    ASSERT_FALSE(HasFatalFailure());
    peer.victims_shared().rings[0].position = position;
    // It is looked at when room is wanted.
    ASSERT_TRUE(turn(
        [&] {
          if (victim_.state() == channel_state::up) (void)victim_.try_send(as_bytes(std::string(500, 'v')));
          return down_.has_value();
        },
        "the end of the victim's channel"));
    EXPECT_EQ(down_->reason, errc::corrupt) << down_->reason.text();
  }
  expect_bystanders_unharmed("afterwards");
}

TEST_F(hostile_memory, written_before_the_welcome_is_found_out_too) {
  const auto listening = raw_unix::listen(dir.file("trap.shm"));
  auto opened = channel::open(where, "shm://trap", settings());
  ASSERT_TRUE(opened);
  ASSERT_TRUE(turn([&] { return listening.ready(); }, "somebody who connects"));
  const auto socket = listening.accept();
  ASSERT_TRUE(turn([&] { return !socket.unread() == false; }, "a hello"));
  const auto asked = hear_hello(socket.fd());
  const auto sizes = asked.decoded().value().memory;
  const auto theirs = os::mapping::of(asked.fd.get(), sizes.total(), true).value();
  reinterpret_cast<ring::shared_page*>(theirs.data() + sizes.shared_offset())->rings[0].position = 64;
  const raw_ring_memory mine;
  say_hello(socket.fd(), mine, hello_kind::welcome);
  ASSERT_TRUE(turn([&] { return opened->state() == channel_state::closed; }, "the end"));
  EXPECT_EQ(opened->last_error(), errc::corrupt) << opened->last_error().text();
}

TEST_F(hostile_memory, that_changes_all_the_time_and_everywhere_harms_nobody_else) {
  std::atomic<std::uint64_t> words{0};
  for (std::uint64_t round = 0; round < rounds(20); ++round) {
    hostile_peer peer;
    join(peer);
    ASSERT_FALSE(HasFatalFailure());
    traffic(peer, 5);
    std::atomic<bool> enough{false};
    std::uint64_t seed = random();
    std::thread storm([&, offsets = words_of(peer.mine.sizes)] {
      std::mt19937_64 any(seed);
      while (!enough) {
        std::byte* const memory = any() % 2 == 0 ? peer.victims.data() : peer.mine.at.data();
        const std::size_t offset =
            any() % 4 == 0 ? any() % peer.mine.sizes.total() / 8 * 8 : offsets[any() % offsets.size()];
        // Often something that a ring could hold, so that it is not over at once.
        std::uint64_t value = any() % 2 == 0 ? k_values[any() % std::size(k_values)] : any();
        if (any() % 2 == 0) value = ring_word::k_present | (any() % 64) << 32 | any() % 1100 | (any() & 7) << 29;
        std::atomic_ref(*reinterpret_cast<std::uint64_t*>(memory + offset)).store(value);
        ++words;
        if (any() % 64 == 0) peer.wake();
      }
    });
    for (const std::uint64_t enough_words = words + 5000; words < enough_words;) traffic(peer, 60);
    expect_bystanders_unharmed("round " + std::to_string(round));
    peer.socket.close();
    // It goes on writing after it has closed its socket: the victim does not depend on what it sees in memory.
    const auto gone = turn([&] { return down_.has_value(); }, "the end of the victim's channel");
    enough = true;
    storm.join();
    ASSERT_TRUE(gone);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  RecordProperty("words", std::to_string(words));
}

TEST_F(hostile_memory, whose_owner_rings_without_end_does_not_keep_others_from_their_turn) {
  hostile_peer peer;
  join(peer);
  ASSERT_FALSE(HasFatalFailure());
  std::atomic<bool> enough{false};
  std::atomic<std::uint64_t> rung{0};
  std::vector<std::thread> ringing;
  for (int i = 0; i < 2; ++i)
    ringing.emplace_back([&] {
      const std::string many(16384, '\0');
      while (!enough) {
        const ssize_t n = ::send(peer.socket.fd(), many.data(), many.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) rung += static_cast<std::uint64_t>(n);
      }
    });
  while (rung < (16u << 20) && !HasFatalFailure()) expect_bystanders_unharmed(std::to_string(rung));
  enough = true;
  for (auto& one : ringing) one.join();
  EXPECT_EQ(victim_.state(), channel_state::up);
}

}  // namespace
}  // namespace ferry::test
