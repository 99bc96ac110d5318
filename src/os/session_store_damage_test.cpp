// Both files of a session with any bit flipped: it is refused, or the two sides do not fit together any more, or
// nothing is lost and nothing is altered.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "os/session_store.hpp"
#include "testing/temp_dir.hpp"

namespace ferry::os {
namespace {

constexpr std::size_t k_ring = 4096;
constexpr std::uint64_t k_sent = 9, k_consumed = 4, k_answered = 3;

/// A file that is damaged and mended again.
class damaged_file {
 public:
  explicit damaged_file(const std::string& path) : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    whole_.resize(std::filesystem::file_size(path));
    if (::pread(fd_.get(), whole_.data(), whole_.size(), 0) != static_cast<ssize_t>(whole_.size())) whole_.clear();
  }
  [[nodiscard]] std::size_t size() const noexcept { return whole_.size(); }
  void flip(std::size_t at, int bit) const {
    const auto flipped = whole_[at] ^ static_cast<std::byte>(1 << bit);
    (void)!::pwrite(fd_.get(), &flipped, 1, static_cast<off_t>(at));
  }
  void mend() const { (void)!::pwrite(fd_.get(), whole_.data(), whole_.size(), 0); }

 private:
  unique_fd fd_;
  std::vector<std::byte> whole_;
};

class session_damage : public ::testing::Test {
 protected:
  // Messages of which some are consumed, and inputs that are counted.
  void SetUp() override {
    const auto store = open().value();
    auto& s = store->session();
    alignas(8) std::array<std::byte, k_ring> records{};
    ring_line inputs;
    ring_producer other(records, inputs);
    ASSERT_TRUE(s.attach_input(records, inputs));
    ring::held_consumer<> peer;
    ASSERT_TRUE(peer.attach(store->ring_memory().subspan(8192), line(*store), 0));
    for (std::uint64_t i = 0; i < k_sent; ++i) {
      if (i < k_answered) {
        ASSERT_TRUE(other.try_push(as_bytes("12345678input"), ring_marks::none));
        ASSERT_TRUE(s.front());
        s.pop();
      }
      ASSERT_TRUE(s.send({as_bytes(text(i)), message_kind::text, static_cast<std::uint16_t>(i % 2)}));
      s.set_state(as_bytes("state " + text(i)));
      s.identify(s.session(), i);
      s.commit();
      if (i >= k_consumed) continue;
      ASSERT_TRUE(peer.front());
      peer.pop();
      peer.publish(peer.mark());
    }
    number = s.session();
  }
  [[nodiscard]] static std::string text(std::uint64_t i) {
    return std::string("message ").append(std::to_string(i)).append(i * 5, 'x');
  }
  [[nodiscard]] static ring_line& line(const session_store& store) {
    return reinterpret_cast<ring::shared_page*>(store.ring_memory().data() + 4096)->rings[0];
  }
  [[nodiscard]] result<std::unique_ptr<session_store>> open() const {
    session_store::settings small;
    small.ring_bytes = k_ring;
    return session_store::open(dir.path(), {"alice", "bob"}, small);
  }

  // What a peer would be given that has consumed k_consumed messages and sent k_answered.
  [[nodiscard]] ::testing::AssertionResult is_found_or_harmless() const {
    const auto wrong = [] { return ::testing::AssertionFailure(); };
    const auto opened = open();
    if (!opened) return opened.error().text().size() > 40 ? ::testing::AssertionSuccess() : wrong() << "no reason";
    auto& store = **opened;
    auto& s = store.session();
    const auto range = s.range();
    if (!range) return ::testing::AssertionSuccess();
    if (session::compare(*range, {k_consumed, 0, k_answered})) return ::testing::AssertionSuccess();
    if (s.session() != number || s.epoch() != k_sent - 1) return wrong() << "another session or epoch";
    if (range->ack != k_answered || range->end != k_sent) return wrong() << "other numbers";
    if (as_text(s.state()) != "state " + text(k_sent - 1)) return wrong() << "another state";
    if (store.who().own_name != "alice" || store.who().peer_name != "bob") return wrong() << "other names";
    ring::held_consumer<> peer;
    if (!peer.attach(store.ring_memory().subspan(8192), line(store), k_consumed)) return wrong() << "cannot attach";
    for (std::uint64_t i = k_consumed; i < k_sent; ++i) {
      const auto message = session::message_of(peer.front());
      if (!message) return wrong() << message.error().text();
      if (as_text(message->payload) != text(i) || message->kind != message_kind::text || message->type != i % 2)
        return wrong() << "message " << i << " is " << as_text(message->payload);
      peer.pop();
    }
    return peer.front() ? wrong() << "one more message" : ::testing::AssertionSuccess();
  }
  // Every bit of these bytes, or one of each.
  void flip(const damaged_file& file, std::size_t from, std::size_t to, bool every_bit) {
    for (std::size_t at = from; at < to; ++at)
      for (int bit = every_bit ? 0 : static_cast<int>(random() % 8), last = every_bit ? 7 : bit; bit <= last; ++bit) {
        file.flip(at, bit);
        ASSERT_TRUE(is_found_or_harmless()) << "byte " << at << ", bit " << bit;
        for (const auto* one : {&session_file, &ring_file}) one->get()->mend();
      }
  }
  void SetUpFiles() {
    session_file = std::make_unique<damaged_file>(dir.file("alice~bob.session"));
    ring_file = std::make_unique<damaged_file>(dir.file("alice~bob.ring"));
    ASSERT_EQ(session_file->size(), 20480u);
    ASSERT_EQ(ring_file->size(), 8192u + k_ring);
    ASSERT_TRUE(is_found_or_harmless());
    ASSERT_TRUE(open()) << "whole";
  }

  test::temp_dir dir;
  std::unique_ptr<damaged_file> session_file, ring_file;
  std::mt19937_64 random{3};
  std::uint64_t number = 0;
};

TEST_F(session_damage, of_any_bit_of_the_private_file_is_found_or_does_not_matter) {
  SetUpFiles();
  flip(*session_file, 0, sizeof(session::session_header), true);
  for (const std::size_t slot : {4096u, 12288u}) flip(*session_file, slot, slot + 96 + 64, true);
  flip(*session_file, sizeof(session::session_header), session_file->size(), false);
}

TEST_F(session_damage, of_any_bit_of_the_ring_is_found_or_does_not_matter) {
  SetUpFiles();
  flip(*ring_file, 0, sizeof(ring::ring_header), true);
  flip(*ring_file, 4096, 4096 + 384, true);  // bells and the line
  flip(*ring_file, 8192, 8192 + 800, true);  // records
  flip(*ring_file, 0, ring_file->size(), false);
}

}  // namespace
}  // namespace ferry::os
