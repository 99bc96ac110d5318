#pragma once
/// WebSocket over any stream: itself a stream, of messages in parts framing, once its handshake is over.

#include <ferry/buffer_pool.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <array>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "base/kept_error.hpp"
#include "base/rare.hpp"
#include "codec/websocket_closing.hpp"
#include "codec/websocket_decoder.hpp"
#include "net/bare_wait.hpp"
#include "net/lingers.hpp"
#include "net/message_source.hpp"
#include "net/residents.hpp"
#include "net/socket_poll.hpp"
#include "net/timers.hpp"
#include "net/ws_inbox.hpp"
#include "net/ws_output.hpp"
#include "net/ws_terms.hpp"
#include "session/heartbeat.hpp"

namespace ferry::net {

/// Of the context.
struct ws_home {
  socket_poll& poll;
  std::shared_ptr<buffer_pool> pool;
  std::shared_ptr<detail::residents> residents;  ///< with which a stream that lingers ends
};

/// What all connections of one listener, or to one destination, have in common.
struct ws_rules {
  ws_home home;
  codec::websocket_role role = codec::websocket_role::client;
  codec::websocket_decoder_options decoder;
  bool mask = true;                ///< what we send
  std::size_t fragment_above = 0;  ///< bytes; 0: messages are not split
  std::size_t batch_bytes = 256u << 10;
  session::heartbeat_options heartbeat;
  bool ask_when_idle = false;
  duration close_timeout = std::chrono::seconds(5);
  /// How many connections without a place linger: refused ones, whose peers have not ended yet.
  std::shared_ptr<std::size_t> leaving = std::make_shared<std::size_t>(0);
};
inline constexpr std::size_t k_most_leaving = 1024;  ///< then they are cut

/// What a handshake has come to.
struct ws_agreed {
  std::optional<codec::deflate_parameters> deflate;
  ws_terms terms;  ///< for peer()
};

/// What comes before the first frame. Sans-I/O.
class ws_handshake {
 public:
  virtual ~ws_handshake() = default;
  /// What is sent before anything comes; may be empty.
  [[nodiscard]] virtual std::string begin() = 0;
  struct step {
    std::size_t consumed = 0;         ///< bytes of the input; the rest belongs to the frames, once `agreed`
    std::string answer;               ///< to be sent, in every case
    std::optional<ws_agreed> agreed;  ///< it is over
    std::optional<error> failed;      ///< it is over, and so is the connection
  };
  /// @param in  all that has come and is not consumed
  [[nodiscard]] virtual step feed(bytes in) = 0;
  /// The peer ended. Without an outcome it is a broken connection.
  [[nodiscard]] virtual step ended() { return {}; }
  /// An answer that refuses what has not come to an end. @param status  of HTTP @param why  one line of text
  [[nodiscard]] virtual std::string refuse(int status, const std::string& why) {
    (void)status, (void)why;
    return {};
  }
};

/// Upwards the peer's Close is the end of the stream where it ended in order, else an error that names its code; our
/// end is a Close, behind what was written. A stream below that ends without a Close is errc::reset, inside a message
/// errc::truncated. What the peer does wrong is answered with a Close that says so.
///
///   shaking --handshake over--> open --close(), with our Close out--> lingering --the peer's end, deadline--> closed
///      \___________failed, close()____\___close()____________________________________________________________/^
class ws_stream final : public stream,
                        public bare_wait,
                        public message_source,
                        public lingers,
                        private stream_events,
                        private bare_reader,
                        private detail::resident,
                        private timers::entry,
                        public std::enable_shared_from_this<ws_stream> {
 public:
  using handshake_handler = std::function<void(result<void>)>;

  ws_stream(std::shared_ptr<stream> below, std::shared_ptr<const ws_rules> rules);
  ~ws_stream() override;

  /// Begins; once, before anything else. `done` is called once, never from inside this call, and not after close().
  /// On an error the peer has been told why, and nothing is left but close().
  void async_handshake(std::unique_ptr<ws_handshake> machine, handshake_handler done);
  /// Ends a handshake that is under way, telling the peer; its `done` is not called.
  void refuse(int status, const std::string& why);
  /// The same without one: frames at once.
  void start_raw();

  void attach(stream_events& events, std::shared_ptr<void> owner) override;
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override;
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override;
  void async_read(mutable_bytes into) override;
  [[nodiscard]] bool async_wait_readable(bare_reader& whom) override;
  [[nodiscard]] result<std::size_t> fill() override;
  [[nodiscard]] bool empty() const noexcept override { return nothing_to_take(); }
  [[nodiscard]] result<void> take(message_taker& to) override;
  [[nodiscard]] std::size_t keep_answer(const message_view& m) noexcept override;
  void async_wait_writable() override;
  result<void> shutdown_write() override;
  [[nodiscard]] std::size_t unread() const noexcept override;
  void close() noexcept override;
  void keep_place(std::shared_ptr<void> place) override;
  [[nodiscard]] peer_info peer() const override;
  [[nodiscard]] std::string local_address() const override { return below_->local_address(); }

  result<void> set_close_note(std::uint16_t code, std::string_view reason) override;
  [[nodiscard]] std::optional<close_note> peer_close_note() const override;
  bool ask_for_life() noexcept override;
  [[nodiscard]] stream_health health() const noexcept override;

 private:
  enum class state : std::uint8_t { shaking, open, lingering, closed };
  /// What only a connection that ends needs.
  struct ending {
    std::uint16_t our_code = codec::websocket_close_code::normal;
    std::string our_reason;
    std::optional<close_note> peers;
  };
  /// What waits to be written.
  struct unsent {
    pooled_buffer frames;  ///< of what the stream below has not taken whole
    std::size_t begin = 0, end = 0;
    std::unique_ptr<std::byte[]> replies;  ///< control frames that wait for the end of a frame
    std::size_t replies_end = 0;
  };
  /// A frame that goes out when all that was handed on has been dealt with.
  struct kept_answer {
    std::size_t size = 0;
    std::array<std::byte, 2048> frame;  // filled as far as `size` says
  };
  struct shaking_part {
    std::unique_ptr<ws_handshake> machine;
    handshake_handler done;
  };

  // resident, while it lingers: then it belongs to nobody but the stream below, which it owns
  void abandon() noexcept override { end(); }
  [[nodiscard]] std::shared_ptr<detail::resident> keep() noexcept override;

  // stream_events and bare_reader of the stream below
  void on_read(result<std::size_t> outcome) override;
  void on_readable() override;
  void expect() const noexcept override;
  void on_writable() override;

  void open(ws_agreed agreed);
  void begin_shaking();
  void shake();
  void handshake_over(result<void> outcome);

  // Reading
  [[nodiscard]] result<std::size_t> decode(mutable_bytes into, bool from_below) noexcept;
  [[nodiscard]] bool take_event(time_point when, bool handed_on) noexcept;
  [[nodiscard]] bool next_message(message_view& m, time_point when, bool handed_on) noexcept;
  void take_message(const codec::websocket_event& event) noexcept;
  void hold_message(const message_view& m) noexcept;
  void take_pong(bytes payload, time_point when) noexcept;
  void take_close(std::uint16_t code, std::string_view reason) noexcept;
  void fail(const error& why) noexcept;
  void below_ended(const error& why) noexcept;
  void no_room() noexcept;
  [[nodiscard]] bool read_below() noexcept;
  void took_in(std::size_t n, std::size_t room) noexcept;
  [[nodiscard]] std::size_t copy_out(mutable_bytes into) noexcept;
  void decode_one() noexcept;
  [[nodiscard]] bool holds_output() const noexcept { return typed_left_ != 0 || !handed_.payload.empty(); }
  [[nodiscard]] bool nothing_to_take() const noexcept {
    return inbox_.empty() && !holds_output() && !read_fault_ && decoder_.rests();
  }
  void wait_for_frames();
  void settle() noexcept;
  void linger();
  void tell_read(result<std::size_t> outcome);
  void tell_readable();
  void tell_later(result<std::size_t> outcome);
  void tell_readable_later();

  // Writing
  [[nodiscard]] result<void> write_below(bytes whole) noexcept;
  /// The first thing that everything does that writes, and that ends.
  [[nodiscard]] result<void> send_answer() noexcept {
    return answer_ == nullptr || answer_->size == 0 ? result<void>() : send_kept();
  }
  [[nodiscard]] result<void> send_kept() noexcept;
  [[nodiscard]] result<void> hold(bytes rest) noexcept;
  /// @param taken  what the stream below has said to `whole`
  [[nodiscard]] result<void> hold_what_is_left(bytes whole, const result<std::size_t>& taken) noexcept;
  [[nodiscard]] result<void> write_held() noexcept;
  void say(codec::websocket_opcode what, bytes payload) noexcept;
  void say_close() noexcept;
  [[nodiscard]] std::byte* place_for_reply() noexcept;
  [[nodiscard]] result<void> flush_replies() noexcept;
  [[nodiscard]] result<void> write_replies() noexcept;
  void wait_for_room();
  [[nodiscard]] result<void> expect_room() noexcept;
  /// @return null: no memory
  [[nodiscard]] unsent* need_unsent() noexcept {
    try {
      return &unsent_.need();
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }
  [[nodiscard]] bool frames_wait() const noexcept { return unsent_ && unsent_->begin != unsent_->end; }
  [[nodiscard]] bool replies_wait() const noexcept { return unsent_ && unsent_->replies_end != 0; }
  void forget_unsent() noexcept {
    if (unsent_ && !frames_wait() && !replies_wait()) unsent_.reset();
  }

  // Ending
  void act(codec::closing_action what) noexcept;
  void finish_sending() noexcept;
  [[nodiscard]] bool find_place();
  [[nodiscard]] ending& notes();
  void note_reason(const char* why) noexcept;
  void end_below() noexcept;
  void arm_timer() noexcept;
  void on_time() override;
  void ask() noexcept;
  [[nodiscard]] error silent() const;
  void end() noexcept;
  [[nodiscard]] static time_point now() noexcept { return std::chrono::steady_clock::now(); }

  [[nodiscard]] socket_poll& poll() const noexcept { return rules_->home.poll; }
  [[nodiscard]] boost::asio::io_context& io() const noexcept { return poll().io(); }
  [[nodiscard]] buffer_pool& pool() const noexcept { return *rules_->home.pool; }

  std::shared_ptr<stream> below_;
  bare_wait* bare_below_;  // the same, if it can
  std::shared_ptr<const ws_rules> rules_;
  std::unique_ptr<shaking_part> shaking_;
  kept_ws_terms terms_;
  state state_ = state::shaking;

  // Reading
  codec::websocket_decoder decoder_;
  ws_inbox inbox_;
  message_view handed_;          // what is being read, in the inbox or in the decoder; the payload as far as it is left
  std::uint8_t typed_left_ = 0;  // bytes of its header in parts framing; all of them for who takes it as a message
  std::size_t wanted_ = 0;       // bytes that the decoder must see before it goes on; 0: any
  std::size_t came_ = 0;         // bytes that fill() has not told of
  std::size_t room_size_ = 0;    // of the read below that is under way
  bool waits_below_ = false;     // a read of the stream below is under way
  bool waits_bare_ = false;      // without a buffer
  bool readable_wanted_ = false;   // by our reader, without one of its own
  bare_reader* reader_ = nullptr;  // that
  bool below_full_ = false;        // it filled all the room it was given
  kept_error below_fault_;         // why nothing more comes from below
  kept_error read_fault_;          // what every read says from now on
  mutable_bytes into_;             // of the read that was asked for; empty: of none

  // Writing
  ws_output output_;
  kept_answer* answer_ = nullptr;  // while messages are handed on
  rare<unsent> unsent_;
  std::uint8_t owed_ = 0;        // bytes, 0 or 1, that are out or held and that the caller was not told of
  bool end_when_out_ = false;    // the stream below is to be ended once everything is out
  bool waits_for_room_ = false;  // a wait of the stream below is under way
  bool room_wanted_ = false;     // by the caller
  bool wrote_ = false;           // the stream below took something since the last look at the heartbeat
  kept_error write_fault_;

  // Ending, and staying alive
  codec::websocket_closing closing_;
  session::heartbeat heartbeat_;
  std::uint64_t question_ = 0;  // number of the last ping, its payload
  std::unique_ptr<ending> ending_;
  std::shared_ptr<void> place_;  // null, but counted

  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
};

}  // namespace ferry::net
