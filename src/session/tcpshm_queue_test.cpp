#include "session/tcpshm_queue.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
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

TEST(tcpshm_queue, with_a_flipped_bit_is_refused_or_sends_whole_messages_from_within_it) {
  file good;
  auto q = tcpshm_queue::begin(good.span(), k_bytes, k_order);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(push(q, "message " + std::to_string(i)));
    q.consumed();
  }
  q.sent(q.unsent().size());
  ASSERT_TRUE(*q.acknowledge(2));
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < good.span().size() * 8; ++bit) {
    file bad = good;
    bad.bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto found = tcpshm_queue::recover(bad.span(), k_bytes, k_order);
    if (!found) {
      EXPECT_EQ(found.error(), errc::corrupt);
      refused += 1;
      continue;
    }
    const auto texts = waiting(*found);
    EXPECT_EQ(texts.size(), found->range().end - found->range().start) << bit;
    EXPECT_LE(found->unsent().size(), k_bytes);
  }
  EXPECT_GT(refused, 150u);
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
