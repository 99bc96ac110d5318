// Input: one byte for where the ring begins, then what happens, a byte or more each. Both ends work on one memory, and
// somebody else may write into it anywhere. As long as nobody does, what comes out is what went in; whatever happens,
// nothing outside is touched, every record keeps the limits, and reading comes to an end.
#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "fuzz/checks.hpp"
#include "fuzz/input.hpp"
#include "ring/ring_layout.hpp"

namespace {

using namespace ferry;
using ferry::fuzz::input;
using ferry::fuzz::require;
using namespace ferry::ring;

constexpr geometry k_sizes{4096, 1, 4096};

/// The three parts of the memory, each on its own, so that a sanitizer sees every step outside.
class world {
 public:
  world(std::uint64_t start, std::uint64_t sequence) {
    const auto whole = std::make_unique<std::uint64_t[]>(k_sizes.total() / 8);
    format({reinterpret_cast<std::byte*>(whole.get()), k_sizes.total()}, k_sizes, {"fuzz", 1, 2, 3, 4});
    std::memcpy(header_->data(), whole.get(), sizeof *header_);
    line().position = start;
    line().sequence = sequence;
    std::fill_n(data().data(), data().size(), std::byte{0xee});
    std::memset(data().data() + start % data().size(), 0, 8);
    producer_ = ring_producer(data(), line(), start, sequence);
    consumer_ = ring_consumer(data(), line(), start, sequence);
  }

  void push(std::size_t reserved, std::size_t size, ring_marks marks) {
    reserved = std::min(reserved, producer_.max_body());
    if (has(marks, ring_marks::tagged)) reserved = std::max(reserved, sizeof(ring_tag));
    size = std::clamp(size, has(marks, ring_marks::tagged) ? sizeof(ring_tag) : 0, reserved);
    if (!honest_producer_) return;
    std::byte* const to = producer_.reserve(reserved);
    require(to == nullptr || !(producer_.ended() || producer_.corrupt()));
    require(to != nullptr || !model_.empty() || foreign_ || producer_.ended());
    if (to == nullptr) return;
    for (std::size_t i = 0; i < reserved; ++i) to[i] = static_cast<std::byte>(pushed_ + i);
    producer_.publish(size, marks);
    model_.push_back({size, marks, pushed_++});
  }
  bool pop() {
    const auto record = consumer_.front();
    if (!record) {
      require(foreign_ || model_.empty());
      return false;
    }
    require(record.size <= consumer_.max_body());
    require(!has(record.marks, ring_marks::tagged) || record.size >= sizeof(ring_tag));
    std::size_t different = 0;
    if (foreign_) {
      for (const auto byte : record.body()) different += byte != std::byte{0};
    } else {
      require(!model_.empty());
      const auto& one = model_.front();
      require(record.size == one.size && record.marks == one.marks);
      for (std::size_t i = 0; i < one.size; ++i) different += record.data[i] != static_cast<std::byte>(one.number + i);
      require(different == 0);
    }
    if (!model_.empty()) model_.pop_front();
    consumer_.pop();
    return different <= record.size;
  }
  void look() {
    (void)consumer_.front();
    (void)consumer_.something();
    (void)producer_.used();
    const auto read = read_header(std::as_bytes(std::span(*header_)), k_sizes.total());
    require(read ? read->total() <= k_sizes.total() : !read.error().text().empty());
    require(describe(std::as_bytes(std::span(*header_))).name.size() <= k_name_bytes);
    const auto found = ring_scan(data(), line());
    if (!foreign_) require(found && found->tail == producer_.tail() && found->sequence == producer_.sequence());
    if (found) require(found->records <= k_sizes.ring_bytes / 8);
  }
  void publish_position() {
    consumer_.publish_position();
    (void)consumer_.take_producer_waits();
  }
  void end() {
    if (honest_producer_) producer_.end();
  }

  /// Somebody who may write everything. The producer's own memory is written by nobody but a producer that breaks the
  /// rules: then it is no longer the one above.
  void overwrite(std::size_t offset, std::uint64_t value, std::size_t count) {
    foreign_ = true;
    const auto into = [&](void* part, std::size_t size) {
      if (offset < size) std::memcpy(static_cast<std::byte*>(part) + offset, &value, std::min(count, size - offset));
      const bool here = offset < size;
      offset -= size;
      return here;
    };
    if (into(header_->data(), sizeof *header_)) return;
    if (into(&line(), sizeof(ring_line))) return;
    if (into(data().data(), data().size())) honest_producer_ = false;
  }

  /// Everything that is left; a ring holds at most one record every 8 bytes, and its numbers never come twice.
  void drain() {
    for (std::size_t i = 0; i <= 2 * k_sizes.ring_bytes / 8; ++i)
      if (!pop()) return;
    std::abort();
  }

 private:
  struct sent {
    std::size_t size;
    ring_marks marks;
    std::size_t number;
  };
  [[nodiscard]] std::span<std::byte> data() { return std::as_writable_bytes(std::span(*data_)); }
  [[nodiscard]] ring_line& line() { return *line_; }

  std::unique_ptr<std::array<std::uint64_t, sizeof(ring_header) / 8>> header_{
      new std::array<std::uint64_t, sizeof(ring_header) / 8>{}};
  std::unique_ptr<ring_line> line_{new ring_line};
  std::unique_ptr<std::array<std::uint64_t, k_sizes.ring_bytes / 8>> data_{
      new std::array<std::uint64_t, k_sizes.ring_bytes / 8>{}};
  ring_producer producer_;
  ring_consumer consumer_;
  std::deque<sent> model_;
  std::size_t pushed_ = 0;
  bool foreign_ = false;         // somebody else has written something
  bool honest_producer_ = true;  // nobody else has written records
};

void step(world& ring, input& in) {
  const auto what = in.byte();
  const std::size_t scale = (what & 0x10) != 0 ? 8 : 1;
  const auto marks = ((what & 0x20) != 0 ? ring_marks::text : ring_marks::none) |
                     ((what & 0x40) != 0 ? ring_marks::tagged : ring_marks::none) |
                     ((what & 0x80) != 0 ? ring_marks::more : ring_marks::none);
  switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const auto size = in.byte() * scale;
      ring.push(size, size, marks);
      break;
    }
    case 4: {
      const auto reserved = in.byte() * scale;
      ring.push(reserved, in.byte(), marks);
      break;
    }
    case 5:
    case 6:
    case 7:
    case 8: (void)ring.pop(); break;
    case 9: ring.drain(); break;
    case 10: ring.look(); break;
    case 11: ring.publish_position(); break;
    case 12:
      if (what == 0xfc) ring.end();
      break;
    case 13: {
      const auto offset = in.number(2) % (sizeof(ring_header) + sizeof(ring_line) + k_sizes.ring_bytes);
      ring.overwrite(offset, in.number(1), 1);
      break;
    }
    case 14: {
      // The places that decide: the positions, and words at the start of a record.
      const auto offset = sizeof(ring_header) + in.number(2) * 8 % (sizeof(ring_line) + k_sizes.ring_bytes);
      ring.overwrite(offset, in.number(8), 8);
      break;
    }
    case 15: {
      const auto offset = sizeof(ring_header) + sizeof(ring_line) + in.byte() * 8u;
      const auto size = in.number(2);
      const auto sequence = std::uint64_t{in.byte()} << ring_word::k_sequence_shift;
      ring.overwrite(offset, ring_word::k_present | word_bits(marks) | sequence | size, 8);
      break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  input in(data, size);
  constexpr std::uint64_t k_starts[][2] = {{0, 0},
                                           {8, (1u << 29) - 3},
                                           {4088, (std::uint64_t{1} << 32) - 3},
                                           {(std::uint64_t{1} << 63) - 4096 * 2 + 2048, 7}};
  const auto& start = k_starts[in.byte() % std::size(k_starts)];
  world ring(start[0], start[1]);
  while (in.more()) step(ring, in);
  ring.look();
  ring.drain();
  return 0;
}
