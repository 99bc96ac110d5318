#pragma once
/// One side of a captured connection, played again.

#include <ferry/context.hpp>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/ferry/replay_upgrade.hpp"
#include "apps/ferry/replay_view.hpp"
#include "codec/pcap_reader.hpp"

namespace ferry::app {

struct replay_rules {
  codec::flow_side as = codec::flow_side::client;
  double speed = 0;  ///< 1: as it was; 2: twice as fast; 0: as fast as the answers come
  std::chrono::nanoseconds patience = std::chrono::seconds(10);  ///< for bytes, or room for them
  bool ignore_answers = false;                                   ///< neither waits for them nor compares them
  replay_view::protocol spoken = replay_view::protocol::plain;
};

/// Where the answers stopped being those of the capture.
struct replay_difference {
  std::uint64_t offset = 0;
  std::vector<std::byte> recorded, received;  ///< from `begin` on, a few bytes of each
  std::uint64_t begin = 0;
};

struct replay_outcome {
  std::uint64_t sent = 0, received = 0;  ///< bytes
  std::uint64_t expected = 0;            ///< bytes of answers in the capture
  std::optional<replay_difference> differs;
  std::optional<error> failed;  ///< why it did not come to its end
};

/// Plays the pieces of one side in the capture's order: before each one, as many bytes must have come as had come then.
/// Ends when all was sent and received, and, if the capture says so, the other side has ended.
class replaying final : private stream_events {
 public:
  using done_handler = std::function<void(const replay_outcome&)>;
  /// @param flow  views the capture; must outlive this
  replaying(context& where, const codec::captured_flow& flow, const replay_rules& rules, done_handler done);
  ~replaying();

  /// Once. `done` is called from the event loop, once.
  void start(std::shared_ptr<stream> on);

 private:
  using clock = std::chrono::steady_clock;
  void on_read(result<std::size_t> outcome) override;
  void on_writable() override;

  void expect_all();
  void go_on();
  /// The rest of a piece as it is sent.
  [[nodiscard]] bytes what_is_sent(const codec::flow_piece& piece);
  /// @return false: it waits for something
  bool send_piece(const codec::flow_piece& piece);
  bool is_due(const codec::flow_piece& piece);
  void end_if_done();
  void compare(bytes live);
  void read_on();
  void progress();
  void finish(std::optional<error> failed = {});

  context& where_;
  const codec::captured_flow& flow_;
  replay_rules rules_;
  done_handler done_;
  std::shared_ptr<stream> stream_;
  std::vector<std::byte> expected_;        // the answers, as they are compared
  replay_view view_;                       // of what happens now
  std::optional<replay_upgrade> upgrade_;  // where we are the server of one
  std::vector<std::byte> buffer_, patched_;
  std::size_t at_ = 0;        // the piece whose turn it is
  std::size_t taken_ = 0;     // bytes of it
  std::uint64_t needed_ = 0;  // bytes of answers before it
  bool writable_ = true;      // no wait for room is under way
  bool told_end_ = false;
  bool peer_ended_ = false;
  clock::time_point begin_;
  boost::asio::steady_timer due_, patience_;
  replay_outcome outcome_;
};

/// For people: both sides around the place, in hexadecimal digits and text.
[[nodiscard]] std::string to_text(const replay_difference& found);

}  // namespace ferry::app
