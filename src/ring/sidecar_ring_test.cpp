#include "ring/sidecar_ring.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/endian.hpp"
#include "testing/hex.hpp"

namespace ferry::ring {
namespace {

constexpr std::uint32_t k_queue = 4096;
constexpr std::uint64_t k_now = 1'700'000'000'000;

struct pair {
  explicit pair(std::uint32_t position = 0, const sidecar_ring_limits& limits = {})
      : words(new std::uint32_t[(k_queue + k_sidecar_control_bytes) / 4]()),
        file(reinterpret_cast<std::byte*>(words.get()), k_queue + k_sidecar_control_bytes) {
    sidecar_ring_memory::format(file);
    at = sidecar_ring_memory::open(file).value();
    at.head() = at.tail() = position;
    attach(limits);
  }
  void attach(const sidecar_ring_limits& limits = {}) {
    out = sidecar_ring_producer::attach(at).value();
    in = sidecar_ring_consumer::attach(at, limits).value();
  }
  bool push(std::string_view text, std::uint64_t time = k_now, std::size_t head_bytes = 0) {
    std::byte* const to = out.reserve(text.size());
    if (to == nullptr) return false;
    std::copy_n(as_bytes(text).data(), text.size(), to);
    out.publish(text.size(), head_bytes, time);
    return true;
  }
  std::string take(std::uint64_t now = k_now) {
    const auto found = in.front(now);
    if (!found) return "error: " + found.error().text();
    if (!*found) return "nothing";
    std::string text(as_text(found->body));
    in.pop();
    return text;
  }
  std::unique_ptr<std::uint32_t[]> words;
  std::span<std::byte> file;
  sidecar_ring_memory at;
  sidecar_ring_producer out;
  sidecar_ring_consumer in;
};

std::string big(std::size_t size) { return std::string().append(size, 'x'); }

TEST(sidecar_ring, lies_in_its_file_as_the_page_says) {
  pair on;
  ASSERT_TRUE(on.push("headbody", 0x0102030405060708, 4));
  EXPECT_EQ(test::to_hex(on.file.first(16)),
            "00040000"
            "00100000"
            "00000000"
            "26000000");
  EXPECT_EQ(test::to_hex(on.file.subspan(1024, 38)),
            "fefeefeffefeefef"
            "01000000"
            "0807060504030201"
            "07"
            "01"
            "26000000"
            "04000000"
            "68656164626f6479");
  EXPECT_EQ(on.take(), "headbody");
  EXPECT_EQ(test::to_hex(on.file.first(16)),
            "00040000"
            "00100000"
            "26000000"
            "26000000");
}

TEST(sidecar_ring, says_with_a_filler_that_it_goes_on_at_the_start) {
  pair on(4000);
  ASSERT_TRUE(on.push(big(100)));
  EXPECT_EQ(on.file[1024 + 4000 + 20], std::byte{5});
  EXPECT_EQ(on.at.tail().load(), 130u);
  EXPECT_EQ(on.take(), big(100));
  EXPECT_EQ(on.at.head().load(), 130u);
}

TEST(sidecar_ring, writes_no_filler_where_its_header_has_no_room) {
  for (std::uint32_t left = 1; left < 40; ++left) {
    pair on(k_queue - left);
    std::fill(on.file.begin() + 1024, on.file.end(), std::byte{0xab});
    ASSERT_TRUE(on.push(big(100)));
    EXPECT_EQ(on.file[1024 + k_queue - left] != std::byte{0xab}, left >= 30) << left;
    EXPECT_EQ(on.take(), big(100)) << left;
  }
}

// Others may let a message end exactly where the queue does, and leave the tail there.
TEST(sidecar_ring, goes_on_from_positions_at_the_very_end) {
  pair on(k_queue);
  EXPECT_EQ(on.take(), "nothing");
  ASSERT_TRUE(on.push("one"));
  EXPECT_EQ(on.take(), "one");
  pair ends(k_queue - 40);
  std::byte* const message = ends.at.at(k_queue - 40);
  pair source;
  ASSERT_TRUE(source.push("0123456789"));
  std::copy_n(source.at.at(0), 40, message);
  ends.at.tail() = k_queue;
  ends.attach();
  EXPECT_EQ(ends.in.unread_bytes(), 40u);
  ASSERT_TRUE(ends.push("next"));
  EXPECT_EQ(ends.take(), "0123456789");
  EXPECT_EQ(ends.take(), "next");
  EXPECT_EQ(ends.take(), "nothing");
}

TEST(sidecar_ring, keeps_what_was_unread_when_either_side_comes_again) {
  pair on(3000);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(on.push("message " + std::to_string(i) + big(40)));
    on.attach();
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(on.take(), "message " + std::to_string(i) + big(40));
    on.attach();
  }
  EXPECT_EQ(on.take(), "nothing");
}

TEST(sidecar_ring, skips_and_counts_what_is_too_old_and_never_what_comes_from_the_future) {
  pair on(0, {.valid_ms = 6000});
  ASSERT_TRUE(on.push("old", k_now - 6001));
  ASSERT_TRUE(on.push("just in time", k_now - 6000));
  ASSERT_TRUE(on.push("early", k_now + 9'000'000));
  EXPECT_EQ(on.take(), "just in time");
  EXPECT_EQ(on.take(), "early");
  EXPECT_EQ(on.in.stats().expired, 1u);
  EXPECT_EQ(on.in.stats().messages, 2u);
  EXPECT_EQ(on.in.stats().delay_max_ms, 6000u);
  EXPECT_EQ(on.in.stats().delay_sum_ms, 6000u);
}

TEST(sidecar_ring, skips_no_more_in_one_call_than_it_was_told) {
  pair on(0, {.valid_ms = 1, .max_skipped = 3});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(on.push("old", 0));
  ASSERT_TRUE(on.push("new"));
  EXPECT_EQ(on.take(), "nothing");
  EXPECT_TRUE(on.in.skips()) << "there is more";
  EXPECT_EQ(on.in.stats().expired, 3u);
  EXPECT_EQ(on.take(), "new");
  EXPECT_FALSE(on.in.skips());
  EXPECT_EQ(on.take(), "nothing");
  EXPECT_FALSE(on.in.skips()) << "it is empty";
  EXPECT_EQ(on.in.stats().expired, 5u);
}

TEST(sidecar_ring, counts_an_hour_of_delay_at_most_whatever_a_message_says) {
  pair on;
  ASSERT_TRUE(on.push("an hour and more", k_now - 3'600'001));
  ASSERT_TRUE(on.push("since 1970", 0));
  EXPECT_EQ(on.take(), "an hour and more");
  EXPECT_EQ(on.take(), "since 1970");
  EXPECT_EQ(on.in.stats().delay_max_ms, 3'600'000u);
  EXPECT_EQ(on.in.stats().delay_sum_ms, 2 * 3'600'000u);
}

TEST(sidecar_ring, drops_everything_unread_and_reports_it_when_one_message_is_impossible) {
  struct damage {
    std::size_t offset;
    std::uint32_t value;
    const char* what;
  };
  for (const auto& [offset, value, what] :
       {damage{0, 0, "no message"}, damage{20, 4, "kind"}, damage{22, 29, "length"}, damage{22, 4000, "length"},
        damage{22, 0xffffffff, "length"}, damage{26, 100, "head"}, damage{26, 0xffffffff, "head"}}) {
    pair on;
    ASSERT_TRUE(on.push("first"));
    ASSERT_TRUE(on.push("second"));
    ASSERT_TRUE(on.push("third"));
    std::byte* const second = on.at.at(35);
    if (offset == 20) {
      second[20] = std::byte{4};
    } else {
      store_le(second + offset, value);
    }
    EXPECT_EQ(on.take(), "first");
    const auto found = on.in.front(k_now);
    ASSERT_FALSE(found) << offset;
    EXPECT_EQ(found.error(), errc::corrupt);
    EXPECT_NE(found.error().text().find(what), std::string::npos) << found.error().text();
    EXPECT_NE(found.error().text().find("71 unread bytes"), std::string::npos) << found.error().text();
    EXPECT_EQ(on.in.stats().faults, 1u);
    EXPECT_EQ(on.in.stats().dropped_bytes, 71u);
    EXPECT_EQ(on.take(), "nothing");
    ASSERT_TRUE(on.push("fourth"));
    EXPECT_EQ(on.take(), "fourth") << "and goes on";
  }
}

TEST(sidecar_ring, refuses_a_payload_above_the_limit_but_not_a_head) {
  pair on(0, {.max_payload = 10});
  ASSERT_TRUE(on.push(big(30), k_now, 20));
  EXPECT_EQ(on.take(), big(30));
  ASSERT_TRUE(on.push(big(30), k_now, 19));
  const auto found = on.in.front(k_now);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error(), errc::message_too_large);
  EXPECT_NE(found.error().text().find("11 bytes, the limit is 10"), std::string::npos) << found.error().text();
}

TEST(sidecar_ring, does_not_take_a_filler_for_the_end_where_there_is_none) {
  pair on;
  ASSERT_TRUE(on.push("first"));
  on.at.at(0)[20] = std::byte{5};
  EXPECT_FALSE(on.in.front(k_now));
}

TEST(sidecar_ring, stops_writing_when_the_reader_says_that_it_is_where_it_cannot_be) {
  for (const std::uint32_t head : {k_queue + 1, 0xffffffffu, 2900u, 3500u}) {
    pair on(3000);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(on.push(big(100)));
    on.at.head() = head;
    EXPECT_EQ(on.out.unread_bytes(), k_queue);
    EXPECT_TRUE(on.out.corrupt()) << head;
    EXPECT_FALSE(on.push(""));
  }
}

TEST(sidecar_ring, tells_a_tail_outside_of_the_queue_and_touches_nothing_there) {
  pair on;
  ASSERT_TRUE(on.push("first"));
  on.at.tail() = k_queue + 1;
  EXPECT_FALSE(on.in.front(k_now));
  EXPECT_FALSE(sidecar_ring_consumer::attach(on.at));
  EXPECT_FALSE(sidecar_ring_producer::attach(on.at));
  EXPECT_EQ(on.in.unread_bytes(), k_queue);
}

TEST(sidecar_ring, is_not_opened_where_the_sizes_are_not_those_of_its_file) {
  pair on;
  const auto text_of = [&](std::span<std::byte> all) {
    const auto opened = sidecar_ring_memory::open(all);
    return opened ? std::string("opened") : opened.error().text();
  };
  EXPECT_EQ(text_of(on.file), "opened");
  EXPECT_NE(text_of(on.file.first(5000)).find("5000 bytes, it must be 5120"), std::string::npos);
  EXPECT_NE(text_of({}).find("0 bytes"), std::string::npos);
  store_le(on.file.data() + 4, std::uint32_t{4097});
  EXPECT_NE(text_of(on.file).find("5120 bytes that says it has 1024 and 4097"), std::string::npos);
  store_le(on.file.data() + 4, std::uint32_t{4096});
  store_le(on.file.data(), std::uint32_t{1023});
  EXPECT_NE(text_of(on.file).find("1023"), std::string::npos);
}

// Whatever is written into the memory, both ends stay inside of it and come to an end.
TEST(sidecar_ring, survives_memory_that_somebody_else_writes_to) {
  std::mt19937 random(11);
  std::uint64_t faults = 0;
  for (int round = 0; round < 300; ++round) {
    pair on(random() % k_queue, {.max_payload = 2000, .valid_ms = 1000});
    for (int step = 0; step < 200; ++step) {
      switch (random() % 5) {
        case 0:
        case 1: (void)on.push(big(random() % 300), k_now, 0); break;
        case 2:
        case 3: (void)on.take(); break;
        case 4:
          if (random() % 4 == 0) {
            store_le(on.file.data() + 8 + random() % 2 * 4, static_cast<std::uint32_t>(random() % (k_queue + 100)));
          } else {
            on.file[1024 + random() % k_queue] = static_cast<std::byte>(random());
          }
          break;
      }
    }
    faults += on.in.stats().faults;
  }
  EXPECT_GT(faults, 300u);
}

TEST(sidecar_ring, tells_how_much_was_used_at_most_since_it_was_asked) {
  pair on;
  ASSERT_TRUE(on.push(big(70)));
  ASSERT_TRUE(on.push(big(170)));
  EXPECT_EQ(on.out.unread_bytes(), 300u);
  EXPECT_EQ(on.take(), big(70));
  EXPECT_EQ(on.take(), big(170));
  EXPECT_EQ(on.out.unread_bytes(), 0u);
  EXPECT_EQ(on.out.take_peak(), 300u);
  EXPECT_EQ(on.out.take_peak(), 0u);
  EXPECT_EQ(on.in.take_peak(), 300u);
  EXPECT_EQ(on.in.take_peak(), 0u);
}

}  // namespace
}  // namespace ferry::ring
