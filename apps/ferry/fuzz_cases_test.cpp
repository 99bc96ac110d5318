// What the fuzzer holds for right and wrong, judged by the decoders.
#include "apps/ferry/fuzz_cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "codec/typed_framing.hpp"
#include "codec/u32_framing.hpp"
#include "codec/varint_framing.hpp"
#include "codec/websocket_decoder.hpp"

namespace ferry::app {
namespace {

constexpr std::uint64_t k_seeds = 3000;
constexpr std::size_t k_max = 10'000;

// What is left when all messages are taken: nothing, a part of one, or an error.
template <class Framing>
fuzz_answer judged(bytes wire, bool half_closes) {
  const Framing framing(k_max);
  while (!wire.empty()) {
    const auto next = framing.next(wire);
    if (!next) return fuzz_answer::ends;
    if (next->consumed == 0) return half_closes ? fuzz_answer::ends : fuzz_answer::open;
    wire = wire.subspan(next->consumed);
  }
  return fuzz_answer::open;
}

template <class Framing>
void expect_right(framing_kind kind) {
  std::set<std::string> names;
  for (std::uint64_t seed = 0; seed < k_seeds; ++seed) {
    const auto one = make_fuzz_case({false, kind, k_max}, seed);
    names.insert(one.name);
    ASSERT_EQ(judged<Framing>(one.wire, one.half_closes), one.wanted) << "seed " << seed << ": " << one.name;
    ASSERT_TRUE(std::is_sorted(one.cuts.begin(), one.cuts.end()));
    ASSERT_TRUE(one.cuts.empty() || one.cuts.back() < one.wire.size());
  }
  EXPECT_GE(names.size(), 4u);
}

TEST(fuzz_cases, are_wrong_for_varint_where_they_say_so) { expect_right<codec::varint_framing>(framing_kind::varint); }
TEST(fuzz_cases, are_wrong_for_u32_where_they_say_so) { expect_right<codec::u32_framing>(framing_kind::u32); }
TEST(fuzz_cases, are_wrong_for_typed_where_they_say_so) { expect_right<codec::typed_framing>(framing_kind::typed); }

TEST(fuzz_cases, are_wrong_for_websocket_where_they_say_so) {
  std::set<std::string> names;
  buffer_pool pool;
  for (std::uint64_t seed = 0; seed < k_seeds; ++seed) {
    const auto one = make_fuzz_case({true, framing_kind::automatic, k_max}, seed);
    names.insert(one.name);
    const codec::websocket_decoder_options options{.max_frame = k_max, .max_message = k_max};
    codec::websocket_decoder decoder(pool, options);
    std::vector<std::byte> wire = one.wire;
    mutable_bytes rest(wire);
    std::optional<std::uint16_t> code;
    while (!rest.empty() && !code) {
      const auto event = decoder.next(rest, {});
      if (!event) {
        code = codec::close_code_for(decoder.fault());
        break;
      }
      if (event->what == codec::websocket_event_kind::close) code = event->close_code;
      if (event->what == codec::websocket_event_kind::need_more) break;
      rest = rest.subspan(event->consumed);
    }
    if (one.wanted == fuzz_answer::ends) {
      EXPECT_EQ(code, std::nullopt) << "seed " << seed << ": " << one.name;
      continue;
    }
    ASSERT_TRUE(code) << "seed " << seed << ": " << one.name;
    EXPECT_NE(std::find(one.codes.begin(), one.codes.end(), *code), one.codes.end())
        << "seed " << seed << ": " << one.name << " closed with " << *code;
  }
  EXPECT_EQ(names.size(), 16u) << "each wrong thing, and nothing wrong";
}

TEST(fuzz_cases, are_the_same_for_the_same_seed) {
  const fuzz_target target{true, framing_kind::automatic, k_max};
  EXPECT_EQ(make_fuzz_case(target, 7).wire, make_fuzz_case(target, 7).wire);
  EXPECT_NE(make_fuzz_case(target, 7).wire, make_fuzz_case(target, 8).wire);
}

}  // namespace
}  // namespace ferry::app
