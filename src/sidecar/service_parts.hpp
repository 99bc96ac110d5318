#pragma once
/// A service: its pipe, its lease, its connection to the sidecar, and the turns in which it reads its ring. Contracts
/// as in <ferry/sidecar.hpp>.
///
/// How the ring is looked at: as often as the event loop turns while messages come. Then a compatible one ever more
/// seldom, up to poll_interval; a native one not at all, until its bell is rung.
///
///     resting   nobody looks: there is no handler, or nothing is to be received
///     looking   a turn follows at once, or after the timer
///     tired     it falls asleep with all others of the event loop
///     asleep    the bell's pipe is watched
///     driven    the program looks, with poll()

#include <ferry/sidecar.hpp>

#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "channel/replaceable.hpp"
#include "channel/sleep_round.hpp"
#include "codec/native_message.hpp"
#include "net/residents.hpp"
#include "net/watch.hpp"
#include "os/biased_lock.hpp"
#include "session/pipe_lease.hpp"
#include "session/sidecar_service.hpp"
#include "sidecar/control_link.hpp"
#include "sidecar/message_forms.hpp"
#include "sidecar/service_pipe.hpp"

namespace ferry::detail {

class service_parts final : public std::enable_shared_from_this<service_parts>,
                            public resident,
                            private sleeper,
                            private session::sidecar_service_output,
                            private sidecar::control_link_owner {
 public:
  service_parts(context& where, service_options with);
  ~service_parts();
  service_parts(const service_parts&) = delete;
  service_parts& operator=(const service_parts&) = delete;

  result<void> start();
  void on_message(std::function<void(const service_message&)> handler);
  [[nodiscard]] result<void> send(const service_route& route, const service_package& package, bytes body);
  [[nodiscard]] result<std::size_t> send(std::span<const service_message> all);
  [[nodiscard]] result<void> reply(const service_message& to, const service_package& answer, bytes body);
  [[nodiscard]] result<void> forward(const service_message& what);
  [[nodiscard]] bool is_to_current_instance(const service_message& what) const;
  std::size_t poll();
  void change_route(completion<error_code> done);
  [[nodiscard]] result<bool> other_instance_is_there() const;
  void set_condition(service_condition condition);
  result<void> report_load(std::int64_t load, std::int64_t capacity);
  result<void> tell_migration_step(std::int32_t step);
  void stop_receive();
  void leave();
  void unregister();
  void stop(duration deadline, completion<error_code> done);
  void close();
  [[nodiscard]] service_state state() const noexcept;
  [[nodiscard]] std::optional<std::uint32_t> pipe() const noexcept;
  [[nodiscard]] service_rings rings() const noexcept;
  [[nodiscard]] service_stats stats() const;
  [[nodiscard]] service_usage take_usage();
  [[nodiscard]] std::uint32_t unread_bytes() const noexcept;
  [[nodiscard]] const service_options& with() const noexcept { return with_; }
  [[nodiscard]] context& where() const noexcept { return where_; }

  void abandon() noexcept override;
  [[nodiscard]] std::shared_ptr<resident> keep() noexcept override { return weak_from_this().lock(); }

  replaceable<const service_registration&> registered_handler;
  replaceable<const error&> unregistered_handler, attempt_failed_handler, fault_handler, failed_handler;
  replaceable<std::int32_t> migration_handler;

 private:
  /// What has happened to the pipe. none --its rings are mapped--> usable --stop--> ending --> gone; any --lost--> gone
  enum class pipe_state : std::uint8_t { none, waiting, usable, ending, gone };
  [[nodiscard]] static time_point now() { return std::chrono::steady_clock::now(); }
  void tick();
  void arm();
  void find_rings();
  void keep_lease();
  void let_pipe_go();
  void fail(const error& why);
  void finish_stop(error_code outcome);
  void drop_handlers();
  void look_whether_taken();

  /// As above.
  enum class looking : std::uint8_t { resting, looking, tired, asleep, driven };
  using message_function = std::function<void(const service_message&)>;
  /// While handlers may run: what they let go of lives until the last of them has returned. Nothing is counted for it,
  /// as an atomic count would wait for all that was stored before: the rings.
  class handling;
  struct let_go {
    std::shared_ptr<service_parts> self;  // the last to go
    std::unique_ptr<sidecar::service_pipe> pipe;
    std::vector<std::unique_ptr<message_function>> handlers;
  };
  [[nodiscard]] let_go& kept();
  void set_message_handler(std::unique_ptr<message_function> handler);
  void look_soon();
  void look_later();
  void rest();
  void fall_asleep();
  void stop_looking();
  void turn();
  [[nodiscard]] std::size_t take_some(sidecar::service_pipe& pipe);
  [[nodiscard]] bool take_one(sidecar::service_pipe& pipe, std::uint64_t now_ms);
  void hand_on(sidecar::service_pipe& pipe, const sidecar::ring_message& record);
  void use_rings(std::uint32_t agreed);
  // sleeper
  [[nodiscard]] bool announce_sleep() override;
  void look_once_more() override;
  void fault(const error& why);

  // Under send_lock_.
  void complete(codec::sidecar::native_head& what) const noexcept;
  [[nodiscard]] result<void> put(const codec::sidecar::native_head& what, bytes body, std::uint64_t sent_at);
  [[nodiscard]] result<void> put_slowly(const codec::sidecar::native_head& what, bytes body, std::uint64_t sent_at);
  [[nodiscard]] error no_room(std::size_t wanted);

  // session::sidecar_service_output
  void connect() override;
  void send(const codec::sidecar::notice& what) override;
  void hang_up() override;
  void on_registered(const codec::sidecar::registration_answer& answer) override;
  void on_main_changed(const codec::sidecar::registration_answer& answer) override;
  void tell_registration(const codec::sidecar::registration_answer& answer);
  void on_unregistered(const error& why) override;
  void on_attempt_failed(const error& why) override;
  void on_route_changed(const std::optional<error>& failed) override;
  void on_migration_step(codec::sidecar::control_id which) override;
  // control_link_owner
  [[nodiscard]] result<void> heard(sidecar::control_link& from, const codec::sidecar::notice& what) override;
  void over(sidecar::control_link& which, const error& why) override;

  context& where_;
  service_options with_;
  std::shared_ptr<residents> house_;
  session::sidecar_service machine_;
  pipe_state pipe_state_ = pipe_state::none;
  std::unique_ptr<sidecar::service_pipe> pipe_;  // null: none
  std::optional<session::lease_keeper> lease_;
  time_point rings_until_{};
  boost::asio::steady_timer timer_;

  std::unique_ptr<connect_attempt> attempt_;
  std::shared_ptr<sidecar::control_link> link_;
  completion<error_code> change_done_, stop_done_;
  time_point stop_until_{};

  std::unique_ptr<message_function> message_handler_;
  bool receives_ = true;
  bool takes_ = false;          // a handler may be running
  std::optional<let_go> kept_;  // by it
  looking looking_ = looking::resting;
  duration idle_delay_{};     // before the next look
  time_point quiet_since_{};  // nothing was there then, and ever since; 0: something was
  boost::asio::steady_timer look_timer_;
  std::optional<net::watch> bell_;  // of the ring that is read, while it is asleep
  service_message in_hand_;         // handlers are told of one after the other
  sidecar::message_reader reader_;  // heads are read from what the sidecar cannot change any more
  service_stats stats_;

  // What senders use, from any thread.
  mutable os::biased_lock send_lock_;
  bool can_send_ = false;
  sidecar::message_former former_;
  std::vector<service_note> notes_;
  std::string own_note_, own_pipe_;  // "<entity>ShmPipeIdx" and its value
  std::uint64_t own_row_ = 0;        // the same, as in a native head
  std::uint64_t sent_ = 0, full_ = 0;
};

}  // namespace ferry::detail
