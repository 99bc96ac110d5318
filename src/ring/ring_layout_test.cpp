#include "ring/ring_layout.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "base/endian.hpp"

namespace {

using namespace ferry;
using namespace ferry::ring;

constexpr geometry k_two_rings{4096, 2, 4096};

/// The memory of two small rings as its producer makes it.
struct formatted {
  formatted() : words(new std::uint64_t[k_two_rings.total() / 8]{}) {
    format(memory(), k_two_rings, {"orders", 77, 1'700'000'000'000'000'000, 4711, 1000});
  }
  [[nodiscard]] std::span<std::byte> memory() {
    return {reinterpret_cast<std::byte*>(words.get()), k_two_rings.total()};
  }
  /// Exactly a header, on its own, so that AddressSanitizer sees a read behind it.
  [[nodiscard]] result<geometry> read(std::uint64_t size = k_two_rings.total()) {
    auto alone = std::make_unique<std::uint64_t[]>(sizeof(ring_header) / 8);
    std::memcpy(alone.get(), words.get(), sizeof(ring_header));
    return read_header({reinterpret_cast<std::byte*>(alone.get()), sizeof(ring_header)}, size);
  }
  template <class Int>
  void put(std::size_t offset, Int value) {
    store_le(memory().data() + offset, value);
  }
  std::unique_ptr<std::uint64_t[]> words;
};

TEST(ring_header, says_what_was_written) {
  formatted made;
  const auto read = made.read();
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(*read, k_two_rings);
  const auto told = describe(made.memory());
  EXPECT_EQ(told.name, "orders");
  EXPECT_EQ(told.epoch, 77u);
  EXPECT_EQ(told.created_at, 1'700'000'000'000'000'000u);
  EXPECT_EQ(told.pid, 4711u);
  EXPECT_EQ(told.uid, 1000u);
}

TEST(ring_header, lies_in_memory_byte_for_byte_as_documented) {
  formatted made;
  const auto* const at = made.memory().data();
  EXPECT_EQ(std::memcmp(at, "FERRYRNG", 8), 0);
  EXPECT_EQ(load_le<std::uint32_t>(at + 8), 1u);
  EXPECT_EQ(load_le<std::uint32_t>(at + 12), 4096u);
  EXPECT_EQ(load_le<std::uint64_t>(at + 16), 4096u);
  EXPECT_EQ(load_le<std::uint32_t>(at + 24), 2u);
  EXPECT_EQ(load_le<std::uint32_t>(at + 28), 0u);
  EXPECT_EQ(load_le<std::uint64_t>(at + 32), 77u);
  EXPECT_EQ(load_le<std::uint64_t>(at + 40), 1'700'000'000'000'000'000u);
  EXPECT_EQ(load_le<std::uint32_t>(at + 48), 4711u);
  EXPECT_EQ(load_le<std::uint32_t>(at + 52), 1000u);
  EXPECT_EQ(load_le<std::uint64_t>(at + 56), 0u);
  EXPECT_EQ(std::memcmp(at + 64, "orders\0\0", 8), 0);
  for (std::size_t i = 128; i < k_two_rings.total(); ++i) ASSERT_EQ(at[i], std::byte{0}) << i;
}

TEST(ring_geometry, places_a_page_for_each_side_and_then_the_rings) {
  EXPECT_EQ(k_two_rings.shared_offset(), 4096u);
  EXPECT_EQ(k_two_rings.data_offset(), 8192u);
  EXPECT_EQ(k_two_rings.ring_offset(1), 12288u);
  EXPECT_EQ(k_two_rings.total(), 16384u);
  const geometry large{1u << 30, 16, 1u << 16};
  EXPECT_EQ(large.total(), (16ull << 30) + (2u << 16));
}

TEST(ring_geometry, takes_powers_of_two_from_4_kib_to_1_gib_and_1_to_16_rings) {
  for (std::uint64_t size = 4096; size <= (1u << 30); size *= 2)
    for (const std::uint32_t rings : {1u, 2u, 16u}) EXPECT_TRUE(check({size, rings, 4096})) << size << " x " << rings;
}

TEST(ring_geometry, names_the_sizes_that_would_do) {
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2048}, std::uint64_t{4095}, std::uint64_t{4104},
        std::uint64_t{1000000}, std::uint64_t{2} << 30, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    const auto refused = check({size, 1, 4096});
    ASSERT_FALSE(refused) << size;
    EXPECT_EQ(refused.error().reason(), errc::bad_option);
    EXPECT_NE(refused.error().text().find(std::to_string(size)), std::string::npos) << refused.error().text();
    EXPECT_NE(refused.error().text().find("power of two, 4KiB .. 1GiB"), std::string::npos);
  }
  for (const std::uint32_t rings : {0u, 17u, ~0u}) {
    const auto refused = check({4096, rings, 4096});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().reason(), errc::bad_option);
    EXPECT_NE(refused.error().text().find("1 .. 16"), std::string::npos) << refused.error().text();
  }
}

struct damage {
  const char* what;
  std::function<void(formatted&)> do_it;
  errc code;
  const char* text;  // that must be in the error's
};

TEST(ring_header, says_of_every_damaged_field_what_is_wrong) {
  const std::vector<damage> all{
      {"empty", [](auto& m) { m.put(0, std::uint64_t{0}); }, errc::corrupt, "does not start with FERRYRNG"},
      {"another magic", [](auto& m) { m.put(0, std::uint64_t{0x4744'4752'5952'4546}); }, errc::corrupt, "FERRYRNG"},
      {"version 0", [](auto& m) { m.put(8, std::uint32_t{0}); }, errc::unsupported, "version 0"},
      {"version 2", [](auto& m) { m.put(8, std::uint32_t{2}); }, errc::unsupported, "use the same release on both"},
      {"no pages", [](auto& m) { m.put(12, std::uint32_t{0}); }, errc::corrupt, "pages of 0 bytes"},
      {"odd pages", [](auto& m) { m.put(12, std::uint32_t{4097}); }, errc::corrupt, "pages of 4097 bytes"},
      {"small pages", [](auto& m) { m.put(12, std::uint32_t{2048}); }, errc::corrupt, "pages of 2048 bytes"},
      {"vast pages", [](auto& m) { m.put(12, std::uint32_t{1u << 31}); }, errc::corrupt, "pages of 2147483648 bytes"},
      {"no ring", [](auto& m) { m.put(16, std::uint64_t{0}); }, errc::corrupt, "a ring of 0 bytes"},
      {"odd ring", [](auto& m) { m.put(16, std::uint64_t{4100}); }, errc::corrupt, "must be a power of two"},
      {"vast ring", [](auto& m) { m.put(16, std::uint64_t{1} << 63); }, errc::corrupt, "4KiB .. 1GiB"},
      {"no rings", [](auto& m) { m.put(24, std::uint32_t{0}); }, errc::corrupt, "0 rings"},
      {"17 rings", [](auto& m) { m.put(24, std::uint32_t{17}); }, errc::corrupt, "must be 1 .. 16"},
      {"flags", [](auto& m) { m.put(28, std::uint32_t{1}); }, errc::corrupt, "reserved fields are set"},
      {"no epoch", [](auto& m) { m.put(32, std::uint64_t{0}); }, errc::corrupt, "the epoch is not"},
      {"reserved", [](auto& m) { m.put(56, std::uint64_t{1} << 40); }, errc::corrupt, "reserved fields are set"},
      {"more rings", [](auto& m) { m.put(24, std::uint32_t{3}); }, errc::truncated, "tells of 20480 bytes"},
      {"larger rings", [](auto& m) { m.put(16, std::uint64_t{8192}); }, errc::truncated, "it was cut off"},
      {"larger pages", [](auto& m) { m.put(12, std::uint32_t{8192}); }, errc::truncated, "there are 16384"},
  };
  for (const auto& one : all) {
    formatted made;
    one.do_it(made);
    const auto read = made.read();
    ASSERT_FALSE(read) << one.what;
    EXPECT_EQ(read.error().reason(), one.code) << one.what << ": " << read.error().text();
    EXPECT_NE(read.error().text().find(one.text), std::string::npos) << one.what << ": " << read.error().text();
  }
}

TEST(ring_header, notices_every_size_that_is_too_small) {
  formatted made;
  for (std::uint64_t size = 0; size < k_two_rings.total(); size += 8) {
    const auto read = made.read(size);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().reason(), errc::truncated);
    EXPECT_NE(read.error().text().find(std::to_string(size)), std::string::npos) << read.error().text();
  }
  EXPECT_TRUE(made.read(k_two_rings.total() + 1)) << "more does no harm";
  EXPECT_EQ(read_header(bytes(made.memory()).first(127), k_two_rings.total()).error().reason(), errc::truncated);
  EXPECT_EQ(read_header({}, 0).error().reason(), errc::truncated);
}

TEST(ring_header, gives_sizes_that_fit_whatever_a_byte_says) {
  formatted made;
  for (std::size_t at = 0; at < sizeof(ring_header); ++at) {
    const auto original = made.memory()[at];
    for (int change = 1; change < 256; ++change) {
      made.memory()[at] = original ^ static_cast<std::byte>(change);
      const auto read = made.read();
      if (read) {
        ASSERT_LE(read->total(), k_two_rings.total()) << "byte " << at;
      }
    }
    made.memory()[at] = original;
  }
}

TEST(ring_header, cuts_a_long_name_and_shows_only_what_can_be_printed) {
  formatted made;
  const std::string longest(k_name_bytes, 'n');
  format(made.memory(), k_two_rings, {longest + "more", 1, 2, 3, 4});
  EXPECT_EQ(describe(made.memory()).name, longest);
  EXPECT_TRUE(made.read());
  format(made.memory(), k_two_rings, {"a\x1b[31m\xff\x7f b", 1, 2, 3, 4});
  EXPECT_EQ(describe(made.memory()).name, "a?[31m???b");
}

}  // namespace
