#include "testing/ring_contract.hpp"

#include <ferry/detail/ring_core.hpp>

#include <cstring>
#include <memory>

#include "ring/sidecar_ring.hpp"

namespace {

using namespace ferry;
using namespace ferry::test;

/// The native ring over heap memory of exactly its size, so that AddressSanitizer sees a step outside.
class native_layout {
 public:
  static constexpr std::size_t k_alignment = 8;
  static constexpr std::size_t k_around = 16;
  static constexpr bool k_has_end = true;
  static constexpr std::size_t k_share = 8;
  static std::vector<ring_start> starts() {
    return {{},
            {8, (1ull << 29) - 1000},
            {k_contract_ring * 3 - 8, (1ull << 32) - 1000},
            {(1ull << 63) - k_contract_ring * 5, (1ull << 29) - 1},
            {(1ull << 63) + k_contract_ring - 56, (1ull << 61) - 5000}};
  }

  native_layout(std::size_t ring_bytes, ring_start start, std::byte fresh)
      : words_(new std::uint64_t[ring_bytes / 8]),
        data_(reinterpret_cast<std::byte*>(words_.get()), ring_bytes),
        prepared_(prepare(start, fresh)),
        producer_(data_, line_, start.position, start.sequence),
        consumer_(data_, line_, start.position, start.sequence) {}

  [[nodiscard]] std::size_t max_body() const { return producer_.max_body(); }
  [[nodiscard]] bool accepts(std::size_t size) {
    const auto ring = data_.size();
    const auto record = (size + 8 + 7) / 8 * 8;
    const auto to_end = ring - producer_.tail() % ring;
    const auto pad = record > to_end ? to_end : 0;
    return producer_.tail() - line_.position.load() + pad + record + 8 <= ring;
  }
  std::byte* reserve(std::size_t size) { return producer_.reserve(size); }
  void publish(std::size_t size) { producer_.publish(size); }
  bool push(bytes body) { return producer_.try_push(body); }
  void end() { producer_.end(); }
  std::optional<bytes> front() {
    const auto record = consumer_.front();
    return record ? std::optional(record.body()) : std::nullopt;
  }
  void pop() { consumer_.pop(); }
  [[nodiscard]] bool ended() const { return consumer_.ended(); }
  void publish_position() { consumer_.publish_position(); }
  [[nodiscard]] std::uint64_t published() const { return line_.position.load(); }
  [[nodiscard]] std::uint64_t read() const { return consumer_.position(); }
  /// Behind the last record nothing is, or the end; and nobody found fault.
  [[nodiscard]] bool intact() const {
    std::uint64_t word;
    std::memcpy(&word, data_.data() + producer_.tail() % data_.size(), sizeof word);
    return (producer_.ended() ? word == ring_word::k_end_word : word == 0) && !producer_.corrupt() &&
           !consumer_.corrupt() && line_.position.load() <= producer_.tail() &&
           producer_.tail() - line_.position.load() + 8 <= data_.size();
  }

 private:
  bool prepare(ring_start start, std::byte fresh) {
    std::fill(data_.begin(), data_.end(), fresh);
    std::fill_n(data_.begin() + static_cast<std::ptrdiff_t>(start.position % data_.size()), 8, std::byte{0});
    line_.position = start.position;
    return true;
  }

  std::unique_ptr<std::uint64_t[]> words_;
  std::span<std::byte> data_;
  ring_line line_;
  bool prepared_;
  ring_producer producer_;
  ring_consumer consumer_;
};

/// The sidecar's ring over heap memory of exactly its size.
class sidecar_layout {
 public:
  static constexpr std::size_t k_alignment = 1;
  static constexpr std::size_t k_around = 30;
  static constexpr bool k_has_end = false;
  static constexpr std::size_t k_share = 8;
  static std::vector<ring_start> starts() { return {{}, {1, 0}, {2047, 0}, {2048, 0}, {4067, 0}, {4095, 0}}; }

  sidecar_layout(std::size_t ring_bytes, ring_start start, std::byte fresh)
      : words_(new std::uint32_t[(ring_bytes + ring::k_sidecar_control_bytes) / 4]),
        data_(reinterpret_cast<std::byte*>(words_.get()), ring_bytes + ring::k_sidecar_control_bytes),
        ring_(prepare(start, fresh)),
        producer_(ring::sidecar_ring_producer::attach(ring_).value()),
        consumer_(ring::sidecar_ring_consumer::attach(ring_).value()) {}

  [[nodiscard]] std::size_t max_body() const { return producer_.max_body(); }
  [[nodiscard]] bool accepts(std::size_t size) const {
    const std::size_t head = ring_.head();
    const std::size_t tail = ring_.tail();
    const std::size_t length = size + 30;
    if (tail < head) return length + 1 <= head - tail;
    return length + 1 <= ring_.queue_bytes() - tail || length + 1 <= head;
  }
  std::byte* reserve(std::size_t size) { return producer_.reserve(size); }
  void publish(std::size_t size) { producer_.publish(size, size / 2, 1); }
  bool push(bytes body) {
    std::byte* const to = reserve(body.size());
    if (to == nullptr) return false;
    std::copy(body.begin(), body.end(), to);
    publish(body.size());
    return true;
  }
  void end() {}
  std::optional<bytes> front() {
    const auto record = consumer_.front(2).value();
    EXPECT_EQ(record.head_bytes, record.body.size() / 2);
    return record ? std::optional(record.body) : std::nullopt;
  }
  void pop() { consumer_.pop(); }
  [[nodiscard]] bool ended() const { return false; }
  void publish_position() {}
  [[nodiscard]] std::uint64_t published() const { return ring_.head(); }
  [[nodiscard]] std::uint64_t read() const { return ring_.head(); }
  [[nodiscard]] bool intact() const {
    return !producer_.corrupt() && consumer_.stats().faults == 0 && ring_.head() < ring_.queue_bytes() &&
           ring_.tail() < ring_.queue_bytes();
  }

 private:
  ring::sidecar_ring_memory prepare(ring_start start, std::byte fresh) {
    std::fill(data_.begin(), data_.end(), fresh);
    ring::sidecar_ring_memory::format(data_);
    auto made = ring::sidecar_ring_memory::open(data_).value();
    made.head() = made.tail() = static_cast<std::uint32_t>(start.position % made.queue_bytes());
    return made;
  }

  std::unique_ptr<std::uint32_t[]> words_;
  std::span<std::byte> data_;
  ring::sidecar_ring_memory ring_;
  ring::sidecar_ring_producer producer_;
  ring::sidecar_ring_consumer consumer_;
};

}  // namespace

namespace ferry::test {
INSTANTIATE_TYPED_TEST_SUITE_P(sidecar, ring_contract, sidecar_layout);
INSTANTIATE_TYPED_TEST_SUITE_P(native, ring_contract, native_layout);
}  // namespace ferry::test
