#pragma once
/// One thread of a gateway: its members, its part of the virtual connections, and how it hands packets to the other
/// threads. A gateway on one thread is one of these. Source: docs/gateway.md, docs/adr/0022-*.md.
///
/// Everything runs on the thread of its context's io_context, except where a member says otherwise.

#include <ferry/context.hpp>
#include <ferry/options.hpp>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/late_look.hpp"
#include "base/spin_habit.hpp"
#include "gateway/commons.hpp"
#include "gateway/doors.hpp"
#include "gateway/gateway.hpp"
#include "gateway/hand_over.hpp"
#include "gateway/member.hpp"

namespace ferry::gateway {

class shard final : public member_owner,
                    private door_owner,
                    public session::gateway_commands,
                    private session::gateway_directory,
                    public std::enable_shared_from_this<shard> {
 public:
  /// @param index  0: of the thread that the gateway was made on
  shard(context& where, const settings& with, std::shared_ptr<commons> shared, std::size_t index);

  /// @param all  of one gateway, by index, this one too; before any of them is used
  void meet(const std::vector<std::shared_ptr<shard>>& all);
  /// @param first  who has bound the ports; null: this one does
  [[nodiscard]] result<void> listen(const shard* first);
  void close() noexcept;
  /// Dials are refused already, or this is the only one. `done` is called from the event loop, when all is closed.
  void stop(time_point at, std::function<void()> done, leaving how);
  /// The last virtual connection may have ended. Thread safety: from any thread.
  void look_soon();

  [[nodiscard]] std::vector<std::string> urls(session::gateway_role role) const { return doors_.urls(role); }
  [[nodiscard]] counts stats() const;
  /// Adds to `made` until it has `most`.
  void add_members(std::vector<member_view>& made, std::size_t most) const;
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> waiting() const;
  [[nodiscard]] const latency_buckets& forward_latency() const noexcept { return forward_latency_; }
  [[nodiscard]] bool is_stopping() const noexcept { return stop_at_.has_value(); }
  void change(const settings& with);
  [[nodiscard]] context& where() const noexcept { return where_; }

  // member_owner

  bool arrived(member& who, std::uint32_t id) override;
  void heard(member& who) override;
  [[nodiscard]] result<login_outcome> check(bytes login, const codec::gateway::challenge& asked) override;
  result<session::gateway_member*> sort(member& from, const codec::gateway::packet& what) override;
  bool must_wait(member& from, bytes command) override;
  bool forward(member& from, session::gateway_member& to, bytes packets, std::size_t count) override;
  void doom(member& who, error why) override;
  void flush_later(member& who) override;
  void drained(member& who) override;
  void wrote(std::size_t batches) noexcept override {
    ++counts_.writes;
    counts_.batches += batches;
  }
  [[nodiscard]] const settings& with() const noexcept override { return settings_; }
  [[nodiscard]] buffer_pool& buffers() noexcept override { return where_.buffers(); }
  [[nodiscard]] bool make_room(const member& asking) override;
  [[nodiscard]] mutable_bytes large_buffer() noexcept override { return {large_.get(), large_size_}; }

  // gateway_commands

  void tell(session::gateway_member& to, const codec::gateway::command& what) override;
  void dial_through(session::gateway_member& to, std::uint32_t number, std::uint32_t from,
                    std::uint32_t remote) override;
  bool takes_dial(session::gateway_member& to) override;

 private:
  // Those of whom something must come in time, whoever has been silent longest first.
  struct watched {
    duration limit{};
    std::list<member*> all;
  };
  struct neighbour;
  // All members of one role on another thread.
  struct remote_members final : session::gateway_member {
    neighbour* over = nullptr;
  };
  // Another thread, as this one sees it.
  struct neighbour {
    shard* who = nullptr;
    remote_members clients, servers;
    std::unique_ptr<batch> open;              // that is being written
    std::atomic<std::size_t> on_the_way = 0;  // weight of what it has not taken; it counts it down
    mailbox spent;                            // what it gives back
    spare_batches spares;
    std::vector<member*> held_back;  // ours who wait until it has taken what is on the way
    bool asked_for_room = false;
    std::unordered_map<std::uint32_t, std::vector<member*>> full;  // servers there, and ours who would dial them

    [[nodiscard]] std::unique_ptr<batch> next_batch();
  };

  template <class Text>
  void log(log_level level, const Text& text) {
    where_.log(level, "gateway", text);
  }
  [[nodiscard]] bool is_alone() const noexcept { return neighbours_.empty(); }
  [[nodiscard]] bool has_connections() const { return is_alone() ? table_.size() != 0 : shared_->has_connections(); }

  void too_slow(member& who);
  void count_forwarded(session::gateway_role from, std::size_t packets, std::size_t bytes_of_them) noexcept;
  static void wait_in(std::vector<member*>& where, member& who);
  static void all_go_on(std::vector<member*>& waiting);

  // door_owner
  void came(session::gateway_role role, std::shared_ptr<stream> who) override { welcome(role, std::move(who)); }
  void not_come(const std::string& url, const error& why, std::uint64_t others) override;
  bool enter(const stream& who) override {
    return may_come(session::gateway_role::client, address_of(who.peer().address));
  }
  void leave(const stream& who) override {
    shared_->gone(session::gateway_role::client, address_of(who.peer().address), false);
  }
  [[nodiscard]] bool may_come(session::gateway_role role, const std::string& address);
  void welcome(session::gateway_role role, std::shared_ptr<stream> carrier);

  // gateway_directory
  std::uint32_t add_client(session::gateway_member& who) override { return shared_->add_client({index_, &who}); }
  void add_server(session::gateway_member& who, std::uint32_t id) override { shared_->add_server({index_, &who}, id); }
  void remove(session::gateway_member& who) noexcept override { shared_->remove(who); }
  dialled dial(session::gateway_role role, std::uint32_t id) override;
  void release(std::uint32_t number) override { shared_->release(number); }
  [[nodiscard]] bool is_of_others(std::uint32_t number) const override { return shared_->is_of_others(index_, number); }

  // What waits for the end of a turn of the event loop, so that what came for one member goes in one write.
  void run_later();
  void run_now();
  void stay_awake();
  void end(member& who);
  // Somebody without a virtual connection, at once.
  void let_leave(member& who);

  // Time.
  void note_watch(watched& in, member& who);
  void watch_until(time_point when);
  void look_at_time();
  void look_whether_stopped(time_point now);

  // Dials that wait: shard_dials.cpp.
  [[nodiscard]] static bool takes_dials(member& who);
  [[nodiscard]] bool must_wait_over(neighbour& over, member& from, std::uint32_t id);
  void say_if_full(remote_members& dialling, std::uint32_t server);
  void dials_go_on(std::uint32_t server);
  void dials_go_to_another(member* before, std::uint32_t server);

  // Other threads: shard_hand_over.cpp.
  void note(session::gateway_member& to, batch::note what, bytes data = {});
  void publish(neighbour& to);
  bool hand_over(member& from, remote_members& to, bytes packets, std::size_t count);
  bool waits_for_thread(neighbour& over, member& from);
  void take_inbox();
  void hear(neighbour& from, const batch& what);
  void deliver(remote_members& from, bytes packets);
  void deliver_to(member& to, remote_members& from, std::uint32_t number, bytes packets, std::size_t count);
  void hold(remote_members& by, std::uint32_t number);
  void let_go(std::uint32_t number);
  void forget_holds(member& who);

  context& where_;
  settings settings_;
  std::vector<server_key> keys_;
  std::shared_ptr<commons> shared_;
  std::size_t index_;
  const bool may_look_;                          // for more, before it sleeps
  const member* talking_ = nullptr;              // whose packet the table is shown; null: it is shown none
  std::optional<std::string_view> far_address_;  // of who dialled on another thread, while the table is told
  session::virtual_connections table_;
  std::unique_ptr<std::byte[]> large_;
  std::size_t large_size_;
  watched proving_, clients_, servers_;
  std::unordered_map<member*, std::shared_ptr<member>> members_;
  std::vector<member*> to_flush_, flushing_, doomed_, to_go_on_;
  std::vector<member*> may_leave_;  // if they have no virtual connection; while `leave_one_by_one_`
  bool later_ = false;
  bool awake_ = false;       // looks for more, and does not sleep
  spin_habit spin_;          // whether it does
  time_point turn_began_{};  // when the first of a turn was noted
  time_point busy_until_{};  // the end of the last turn
  time_point looked_{};      // for more, the last time
  std::uint64_t forwarded_before_ = 0;
  latency_buckets forward_latency_;
  bool closed_ = false;
  bool leave_one_by_one_ = false;
  counts counts_;
  doors doors_;
  boost::asio::steady_timer watch_;
  std::optional<time_point> watch_end_;
  late_look late_;
  std::optional<time_point> stop_at_;
  std::function<void()> finished_;
  std::vector<std::unique_ptr<neighbour>> neighbours_;  // by index, of this one null; empty: there is no other
  std::unordered_map<std::uint32_t, member*> held_;     // ours who wait for an end on another thread, by number
  mailbox inbox_;
};

}  // namespace ferry::gateway
