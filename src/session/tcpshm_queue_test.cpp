#include "session/tcpshm_queue.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/endian.hpp"

namespace ferry::session {
namespace {

constexpr auto k_order = std::endian::little;
constexpr std::size_t k_bytes = 256;

struct alignas(16) file {
  std::array<std::byte, k_bytes + 24> bytes{};
  [[nodiscard]] std::span<std::byte> span() { return std::span(bytes).first(tcpshm_queue_file_bytes(k_bytes)); }
  [[nodiscard]] std::uint32_t& word(std::size_t i) {
    return reinterpret_cast<std::uint32_t*>(bytes.data() + k_bytes)[i];
  }
};

// Each store is a step at which a test may look.
struct watched_stores {
  static inline std::function<void()> before = {};
  static void step() {
    if (before) before();
  }
  static void word(std::uint32_t& to, std::uint32_t value) {
    step();
    to = value;
  }
  static void four(std::uint32_t* to, const std::array<std::uint32_t, 4>& values) {
    step();
    std::memcpy(to, values.data(), sizeof values);
  }
  // Byte by byte is worst.
  static void copy(std::byte* to, bytes from) {
    for (std::size_t i = 0; i < from.size(); ++i) {
      step();
      to[i] = from[i];
    }
  }
  static void zero(std::byte* to, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      step();
      to[i] = std::byte{0};
    }
  }
};
using watched_queue = basic_tcpshm_queue<watched_stores>;

template <class Queue>
bool push(Queue& to, std::string_view body, std::uint16_t type = 1) {
  std::byte* const at = to.alloc(static_cast<std::uint16_t>(8 + body.size()));
  if (at == nullptr) return false;
  std::memcpy(at + 8, body.data(), body.size());
  to.push(type);
  return true;
}

// The messages that would be sent, one text each; and their acknowledgements.
template <class Queue>
std::vector<std::string> waiting(const Queue& in) {
  std::vector<std::string> found;
  for (bytes rest = in.unsent(); !rest.empty();) {
    const auto header = codec::tcpshm::load_header(rest.data(), k_order);
    found.push_back(std::to_string(header.ack) + ":" + std::string(as_text(rest.subspan(8, header.size - 8u))));
    rest = rest.subspan(codec::tcpshm::padded(header.size));
  }
  return found;
}

tcpshm_queue recovered(file& from) {
  auto found = tcpshm_queue::recover(from.span(), k_bytes, k_order);
  EXPECT_TRUE(found);
  return found ? *found : tcpshm_queue::begin(from.span(), k_bytes, k_order);
}

TEST(tcpshm_queue, of_a_fresh_file_is_empty_at_number_0) {
  file f;
  const auto q = recovered(f);
  EXPECT_EQ(q.range(), (codec::tcpshm::range{0, 0, 0}));
  EXPECT_TRUE(q.unsent().empty());
}

TEST(tcpshm_queue, holds_messages_as_the_wire_has_them_padded_with_zeros) {
  file f;
  f.bytes.fill(std::byte{0xaa});
  auto q = tcpshm_queue::begin(f.span(), k_bytes, k_order);
  q.consumed();
  ASSERT_TRUE(push(q, "abc", 0x102));
  const auto sent = q.unsent();
  ASSERT_EQ(sent.size(), 16u);
  const unsigned char wanted[16] = {11, 0, 2, 1, 1, 0, 0, 0, 'a', 'b', 'c', 0, 0, 0, 0, 0};
  EXPECT_EQ(std::memcmp(sent.data(), wanted, 16), 0);
  const std::uint32_t indices[5] = {2, 0, 0, 0, 1};
  EXPECT_EQ(std::memcmp(f.bytes.data() + k_bytes, indices, sizeof indices), 0);
}

TEST(tcpshm_queue, has_headers_in_the_order_of_bytes_that_was_agreed_on) {
  file f;
  auto q = tcpshm_queue::begin(f.span(), k_bytes, std::endian::big);
  ASSERT_TRUE(push(q, "abc", 0x102));
  const unsigned char wanted[8] = {0, 11, 1, 2, 0, 0, 0, 0};
  EXPECT_EQ(std::memcmp(q.unsent().data(), wanted, 8), 0);
  q.sent(16);
  EXPECT_TRUE(*q.acknowledge(1));
}

TEST(tcpshm_queue, sends_from_the_first_unacknowledged_message_after_a_login_with_the_acknowledgement_of_the_push) {
  file f;
  auto q = tcpshm_queue::begin(f.span(), k_bytes, k_order);
  for (const char* one : {"a", "b", "c"}) {
    ASSERT_TRUE(push(q, one));
    q.consumed();
  }
  q.sent(q.unsent().size());
  ASSERT_TRUE(push(q, "d"));
  EXPECT_EQ(waiting(q), (std::vector<std::string>{"3:d"}));
  ASSERT_TRUE(*q.acknowledge(1));
  auto again = recovered(f);
  EXPECT_EQ(again.range(), (codec::tcpshm::range{3, 1, 4}));
  ASSERT_TRUE(again.resume(2));
  EXPECT_EQ(waiting(again), (std::vector<std::string>{"2:c", "3:d"}));
  EXPECT_EQ(again.range(), (codec::tcpshm::range{3, 2, 4}));
}

TEST(tcpshm_queue, ignores_an_older_acknowledgement_and_refuses_one_beyond_what_was_sent) {
  file f;
  auto q = tcpshm_queue::begin(f.span(), k_bytes, k_order);
  for (const char* one : {"a", "b", "c"}) ASSERT_TRUE(push(q, one));
  q.sent(16);
  ASSERT_TRUE(*q.acknowledge(1));
  EXPECT_FALSE(*q.acknowledge(1));
  EXPECT_FALSE(*q.acknowledge(0));
  EXPECT_FALSE(*q.acknowledge(0x8000'0002));
  EXPECT_EQ(q.acknowledge(2).error(), errc::protocol) << "it waits, and was not sent";
  EXPECT_EQ(q.acknowledge(0x7fff'ffff).error(), errc::protocol);
  q.sent(15);
  EXPECT_EQ(q.acknowledge(2).error(), errc::protocol) << "a byte of it was not sent";
  q.sent(1);
  EXPECT_TRUE(*q.acknowledge(2));
  EXPECT_EQ(waiting(q), (std::vector<std::string>{"0:c"}));
}

TEST(tcpshm_queue, starts_at_the_front_again_when_all_was_acknowledged) {
  file f;
  auto q = tcpshm_queue::begin(f.span(), k_bytes, k_order);
  for (int round = 0; round < 100; ++round) {
    ASSERT_TRUE(push(q, std::string().append(k_bytes - 8, 'x')));
    EXPECT_FALSE(push(q, ""));
    q.sent(q.unsent().size());
    ASSERT_TRUE(*q.acknowledge(static_cast<std::uint32_t>(round) + 1));
    EXPECT_EQ(f.word(0), 0u);
  }
}

TEST(tcpshm_queue, keeps_the_place_of_an_open_message_when_all_others_are_acknowledged) {
  file f;
  auto q = tcpshm_queue::begin(f.span(), k_bytes, k_order);
  ASSERT_TRUE(push(q, "first"));
  q.sent(16);
  std::byte* const open = q.alloc(11);
  std::memcpy(open + 8, "new", 3);
  ASSERT_TRUE(*q.acknowledge(1));
  q.push(1);
  EXPECT_EQ(waiting(q), (std::vector<std::string>{"0:new"}));
}

TEST(tcpshm_queue, sends_the_rest_of_a_message_that_was_cut_also_when_it_has_moved) {
  file f;
  auto q = tcpshm_queue::begin(f.span(), k_bytes, k_order);
  const std::string big = std::string().append(104, 'x');
  ASSERT_TRUE(push(q, big));
  ASSERT_TRUE(push(q, "0123456789"));
  q.sent(112 + 11);
  ASSERT_TRUE(*q.acknowledge(1));
  ASSERT_TRUE(push(q, std::string().append(120, 'y')));
  EXPECT_EQ(f.word(1), 0u) << "it did not move";
  EXPECT_EQ(as_text(q.unsent().first(7)), "3456789");
}

TEST(tcpshm_queue, numbers_messages_beyond_32_bits) {
  file f;
  f.word(3) = 0xffff'fffe;
  f.word(4) = 0xffff'ffff;
  auto q = recovered(f);
  for (const char* one : {"a", "b", "c"}) {
    ASSERT_TRUE(push(q, one));
    q.consumed();
  }
  q.sent(48);
  EXPECT_EQ(q.range(), (codec::tcpshm::range{2, 0xffff'fffe, 1}));
  auto again = recovered(f);
  EXPECT_EQ(again.range(), q.range());
  ASSERT_TRUE(again.resume(0));
  EXPECT_EQ(waiting(again), (std::vector<std::string>{"1:c"}));
  again.sent(16);
  EXPECT_FALSE(*again.acknowledge(0xffff'ffff));
  EXPECT_TRUE(*again.acknowledge(1));
  EXPECT_EQ(again.range(), (codec::tcpshm::range{2, 1, 1}));
}

TEST(tcpshm_queue, of_the_original_is_cleaned_of_what_lies_in_its_padding) {
  file f;
  auto q = tcpshm_queue::begin(f.span(), k_bytes, k_order);
  ASSERT_TRUE(push(q, "abc"));
  f.bytes[12] = std::byte{0xee};
  const auto again = recovered(f);
  EXPECT_EQ(again.unsent()[12], std::byte{0});
}

TEST(tcpshm_queue, whose_send_index_alone_is_wrong_is_recovered_as_it_is_set_again_anyway) {
  file f;
  auto q = tcpshm_queue::begin(f.span(), k_bytes, k_order);
  ASSERT_TRUE(push(q, "abc"));
  f.word(2) = 0xffff'ffff;
  EXPECT_EQ(waiting(recovered(f)), (std::vector<std::string>{"0:abc"}));
}

// What the layout cannot tell; everything else is found, or is not used. The page has the same list.
enum class word_of { body, type, size_to_a_boundary, older_ack, index_to_a_boundary, number, ack, nothing };

// @param before, after  of one flip that was taken
word_of what_was_taken(file& before, file& after, std::size_t byte) {
  const std::uint32_t read = before.word(1) * 8, write = before.word(0) * 8;
  if (byte >= k_bytes) {
    constexpr std::array words{word_of::index_to_a_boundary, word_of::index_to_a_boundary, word_of::nothing,
                               word_of::number, word_of::ack};
    return words.at((byte - k_bytes) / 4);
  }
  if (byte < read || byte >= write) return word_of::nothing;
  for (std::size_t at = read; at < write;) {
    const auto was = codec::tcpshm::load_header(before.bytes.data() + at, k_order);
    const auto is = codec::tcpshm::load_header(after.bytes.data() + at, k_order);
    const std::size_t blocks = codec::tcpshm::padded(was.size);
    if (byte < at + blocks) {
      if (byte >= at + was.size) return word_of::nothing;
      if (byte >= at + 8) return word_of::body;
      if (was.type != is.type) return word_of::type;
      if (was.ack != is.ack) return word_of::older_ack;
      return word_of::size_to_a_boundary;
    }
    at += blocks;
  }
  return word_of::nothing;
}

TEST(tcpshm_queue, with_a_flipped_bit_is_refused_or_it_is_a_word_of_which_the_layout_cannot_tell) {
  file good;
  auto q = tcpshm_queue::begin(good.span(), k_bytes, k_order);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(push(q, "message " + std::to_string(i)));
    q.consumed();
  }
  q.sent(q.unsent().size());
  ASSERT_TRUE(*q.acknowledge(2));
  file whole = good;
  const auto as_it_was = recovered(whole);
  std::size_t refused = 0, unused = 0;
  std::map<word_of, std::size_t> taken;
  for (std::size_t bit = 0; bit < good.span().size() * 8; ++bit) {
    file bad = good;
    bad.bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    file before = good, after = bad;
    const auto found = tcpshm_queue::recover(bad.span(), k_bytes, k_order);
    if (!found) {
      EXPECT_EQ(found.error(), errc::corrupt);
      refused += 1;
      continue;
    }
    const auto texts = waiting(*found);
    EXPECT_EQ(texts.size(), found->range().end - found->range().start) << bit;
    EXPECT_LE(found->unsent().size(), k_bytes);
    const auto word = what_was_taken(before, after, bit / 8);
    if (word == word_of::nothing) {
      EXPECT_EQ(texts, waiting(as_it_was)) << bit << " says nothing, and is not used";
      EXPECT_EQ(found->range(), as_it_was.range()) << bit;
      EXPECT_EQ(as_text(found->unsent()), as_text(as_it_was.unsent())) << bit << " is not sent";
      unused += 1;
    } else {
      taken[word] += 1;
    }
  }
  EXPECT_EQ(taken[word_of::body], 3u * 9 * 8) << "no bit of a body is found";
  EXPECT_EQ(taken[word_of::number], 32u) << "nor of the number, but by the peer at the login";
  EXPECT_GT(taken[word_of::ack], 0u);
  EXPECT_LT(taken[word_of::ack], 32u) << "one that is older than that of a message is found";
  EXPECT_LT(taken[word_of::older_ack], 3u * 32) << "one that is newer than the queue's, or falls, is found";
  EXPECT_EQ(taken[word_of::type], 3u * 15) << "all but that which makes it 0";
  EXPECT_LE(taken[word_of::index_to_a_boundary], 6u) << "indices lead to the beginning of a message, or are found";
  EXPECT_LE(taken[word_of::size_to_a_boundary], 3u * 3);
  EXPECT_EQ(taken[word_of::nothing], 0u);
  EXPECT_GT(refused, 150u);
  EXPECT_GT(unused, 0u);
}

TEST(tcpshm_queue, with_impossible_indices_or_sizes_is_refused) {
  file good;
  auto q = tcpshm_queue::begin(good.span(), k_bytes, k_order);
  ASSERT_TRUE(push(q, "abc"));
  ASSERT_TRUE(push(q, "def"));
  const auto refused = [&](auto change) {
    file bad = good;
    change(bad);
    const auto found = tcpshm_queue::recover(bad.span(), k_bytes, k_order);
    return !found && found.error() == errc::corrupt;
  };
  EXPECT_FALSE(refused([](file&) {}));
  for (const std::uint32_t write : {33u, 3u, 0xffff'ffffu})
    EXPECT_TRUE(refused([&](file& f) { f.word(0) = write; })) << write;
  for (const std::uint32_t read : {1u, 5u, 0xffff'ffffu}) EXPECT_TRUE(refused([&](file& f) { f.word(1) = read; }));
  for (const unsigned size : {0u, 7u, 33u, 65535u})
    EXPECT_TRUE(refused([&](file& f) { store_le(f.bytes.data(), static_cast<std::uint16_t>(size)); })) << size;
  EXPECT_TRUE(refused([](file& f) { store_le(f.bytes.data() + 2, std::uint16_t{0}); })) << "type";
  EXPECT_TRUE(refused([](file& f) { store_le(f.bytes.data() + 4, std::uint32_t{1}); })) << "never acknowledged";
  EXPECT_TRUE(refused([](file& f) { f.word(4) = 0xffff'ffff; })) << "acknowledges less than its messages";
}

// What outlives a process: compared before and after each step.
struct logical {
  codec::tcpshm::range range;
  std::vector<std::string> messages;
  friend bool operator==(const logical&, const logical&) = default;
};
logical look(const file& from) {
  file copy = from;
  auto q = tcpshm_queue::recover(copy.span(), k_bytes, k_order);
  EXPECT_TRUE(q) << "a kill here leaves a queue that nobody can read";
  return q ? logical{q->range(), waiting(*q)} : logical{};
}

class watched {
 public:
  watched() : queue(*watched_queue::recover(disk.span(), k_bytes, k_order)), before_(look(disk)) {
    watched_stores::before = [this] {
      steps += 1;
      const logical now = look(disk);
      if (now != before_) seen_.push_back(now);
    };
  }
  ~watched() { watched_stores::before = {}; }
  /// Whatever is killed within `f` leaves what was before it or what is after it.
  template <class F>
  void atomically(F f) {
    before_ = look(disk);
    seen_.clear();
    f();
    const logical after = look(disk);
    for (const auto& one : seen_) ASSERT_EQ(one, after);
  }
  file disk;
  watched_queue queue;
  std::uint64_t steps = 0;

 private:
  logical before_;
  std::vector<logical> seen_;
};

TEST(tcpshm_queue, is_whole_wherever_a_kill_comes) {
  watched w;
  std::mt19937 random(20);
  const auto one_of = [&](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(random); };
  std::uint64_t pushed = 0, moved = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto place = w.disk.word(1);
    switch (one_of(6)) {
      case 0:
      case 1:
      case 2:
        w.atomically(
            [&] { pushed += push(w.queue, std::string().append(one_of(60), static_cast<char>('a' + i % 26))); });
        break;
      case 3:
        w.atomically([&] { w.queue.sent(one_of(static_cast<std::uint32_t>(w.queue.unsent().size()) + 1)); });
        break;
      case 4: w.atomically([&] { (void)w.queue.acknowledge(w.queue.range().start + one_of(4)); }); break;
      case 5: w.atomically([&] { w.queue.consumed(); }); break;
    }
    if (HasFatalFailure()) return;
    moved += place > 0 && w.disk.word(1) == 0 && w.disk.word(0) > 0;
    if (one_of(50) != 0) continue;
    w.atomically([&] {  // a login
      const auto range = w.queue.range();
      ASSERT_TRUE(w.queue.resume(range.start + one_of(range.end - range.start + 1)));
    });
    if (HasFatalFailure()) return;
    const auto range = w.queue.range();
    w.queue = *watched_queue::recover(w.disk.span(), k_bytes, k_order);
    ASSERT_EQ(w.queue.range(), range);
  }
  EXPECT_GT(pushed, 1000u);
  EXPECT_GT(moved, 100u);
}

// Five messages, pushed when 1, 2, ... of the peer's were consumed, counted from `base` on.
void fill(file& f, std::uint32_t base) {
  f.word(3) = base;
  f.word(4) = base;
  auto q = recovered(f);
  for (int i = 0; i < 5; ++i) {
    q.consumed();
    ASSERT_TRUE(push(q, std::to_string(i)));
  }
  q.consumed();
}

std::vector<std::string> bodies(const std::vector<std::string>& messages) {
  std::vector<std::string> made;
  made.reserve(messages.size());
  for (const auto& one : messages) made.push_back(one.substr(one.find(':') + 1));
  return made;
}

TEST(tcpshm_queue, wants_whatever_number_it_is_told_and_is_whole_wherever_a_kill_comes_meanwhile) {
  for (const std::uint32_t base : {10u, 0xffff'fffdu, 0u})
    for (const std::uint32_t away : {0u, 1u, 3u, 0x3fff'ffffu, 0x7fff'ffffu, 0x8000'0000u, 0x8000'0003u, 0xc000'0000u,
                                     0xffff'fffau, 0xffff'fffdu, 0xffff'ffffu}) {
      file f;
      fill(f, base);
      const auto before = look(f);
      const std::uint32_t wanted = before.range.ack + away;
      auto q = *watched_queue::recover(f.span(), k_bytes, k_order);
      watched_stores::before = [&] {
        const auto now = look(f);
        ASSERT_EQ(bodies(now.messages), bodies(before.messages));
        const bool between = away == 0x8000'0000 && now.range.ack == before.range.ack - 1;
        ASSERT_TRUE(between || now.range.ack == before.range.ack || now.range.ack == wanted);
      };
      q.want(wanted);
      watched_stores::before = {};
      const auto after = look(f);
      ASSERT_EQ(after.range, (codec::tcpshm::range{wanted, before.range.start, before.range.end}));
      ASSERT_EQ(bodies(after.messages), bodies(before.messages));
      q.for_each([&](std::uint32_t number, const codec::tcpshm::header& h) {
        EXPECT_GE(static_cast<std::int32_t>(wanted - h.ack), 0) << number << " tells of what was never received";
      });
    }
}

TEST(tcpshm_queue, has_acknowledgements_in_the_order_of_bytes_that_was_agreed_on_when_it_goes_back) {
  file f;
  auto q = tcpshm_queue::begin(f.span(), k_bytes, std::endian::big);
  for (int i = 0; i < 3; ++i) q.consumed();
  ASSERT_TRUE(push(q, "abc"));
  q.want(2);
  const unsigned char wanted[8] = {0, 11, 0, 1, 0, 0, 0, 2};
  EXPECT_EQ(std::memcmp(q.unsent().data(), wanted, 8), 0);
}

TEST(tcpshm_queue, gives_up_all_messages_as_one_step_and_goes_on_with_another_number) {
  watched w;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(push(w.queue, "gone"));
  w.queue.sent(16);
  w.queue.consumed();
  w.atomically([&] { w.queue.give_up(77); });
  EXPECT_EQ(look(w.disk), (logical{{1, 77, 77}, {}}));
  ASSERT_TRUE(push(w.queue, "next"));
  EXPECT_EQ(waiting(w.queue), (std::vector<std::string>{"1:next"}));
  EXPECT_EQ(w.queue.range(), (codec::tcpshm::range{1, 77, 78}));
}

TEST(tcpshm_queue, has_its_size_from_that_of_its_file) {
  for (const std::size_t size : {8u, 16u, 2000u, 1u << 20, 1u << 30}) {
    EXPECT_EQ(tcpshm_queue_bytes(size + 20), size);
    EXPECT_EQ(tcpshm_queue_bytes(size + 24), size) << "rounded up to 8";
  }
  for (const std::size_t none : {0u, 1u, 19u, 20u, 24u, 27u, 29u, 30u, 31u, (1u << 30) + 28, (1u << 30) + 32})
    EXPECT_EQ(tcpshm_queue_bytes(none), 0u) << none;
}

TEST(tcpshm_queue, that_is_killed_while_it_begins_anew_is_the_old_one_or_empty) {
  file f;
  auto old = tcpshm_queue::begin(f.span(), k_bytes, k_order);
  ASSERT_TRUE(push(old, "old"));
  old.consumed();
  std::vector<logical> seen;
  watched_stores::before = [&] { seen.push_back(look(f)); };
  (void)watched_queue::begin(f.span(), k_bytes, k_order);
  watched_stores::before = {};
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].messages.size(), 1u);
  EXPECT_EQ(seen[1], (logical{{1, 0, 0}, {}}));  // the login that asked to begin was not answered, and will ask again
  EXPECT_EQ(look(f), (logical{{0, 0, 0}, {}}));
}

}  // namespace
}  // namespace ferry::session
