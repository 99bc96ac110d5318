#pragma once
/// How the parts of a sidecar are wired: doors, control connections, the registry, the forwarder and its clock.

#include <ferry/context.hpp>
#include <ferry/options.hpp>
#include <ferry/stream.hpp>

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/seldom.hpp"
#include "net/accept_loop.hpp"
#include "net/watch.hpp"
#include "os/unix_listener.hpp"
#include "os/wake_pipe.hpp"
#include "sidecar/control_link.hpp"
#include "sidecar/shared_bodies.hpp"
#include "sidecar/sidecar.hpp"

namespace ferry::sidecar {

class daemon::parts final : public std::enable_shared_from_this<parts>,
                            public control_link_owner,
                            public session::service_commands,
                            public forwarder_events {
 public:
  parts(context& where, const settings& with);
  [[nodiscard]] result<void> open();
  void close() noexcept;
  void stop(duration within, std::function<void()> done);
  std::vector<std::string> change(const settings& with);

  [[nodiscard]] daemon_counts stats() const;
  [[nodiscard]] std::vector<pipe_view> pipes() const;
  [[nodiscard]] std::size_t entities() const noexcept { return doors_.size(); }
  [[nodiscard]] bool is_stopping() const noexcept { return stopped_ != nullptr; }

 private:
  /// Where the instances of one entity arrive.
  struct door {
    explicit door(parts& all)
        : loop(all.where_.io(), {[&all, this](std::shared_ptr<stream> who) { all.came(*this, std::move(who)); },
                                 [&all, this](const error& why) { all.turned_away(*this, why); }}) {}
    entity_settings what;
    std::uint32_t slot = 0;
    std::shared_ptr<os::unix_listener> socket;
    std::string fault;  // why the socket cannot be made again; empty: it need not be, or was not tried
    seldom turned_away_line{std::chrono::seconds(1)};
    net::accept_loop loop;
  };
  struct listening {
    std::unique_ptr<acceptor> at;
    std::shared_ptr<os::unix_listener> socket;
  };

  /// Rung by an instance that has written to its native ring while nobody looked.
  struct bell {
    explicit bell(boost::asio::io_context& io) : at(io) {}
    session::service_address where;
    os::wake_pipe rung;
    net::watch at;
  };

  /// What the entities of one service whose files have the same users have in common.
  struct sharing {
    std::uint32_t service = 0;
    os::file_users who;
    std::shared_ptr<shared_bodies> bodies;  // null: they could not be made
  };

  /// Some of whose files or sockets could not be made; tried again from time to time.
  struct missing {
    entity_settings what;
    error why;
    time_point tried{};
  };

  [[nodiscard]] result<void> open_entity(const entity_settings& what);
  void try_missing(time_point now);
  [[nodiscard]] static bool is_of(const sharing& which, const entity_settings& what);
  [[nodiscard]] sharing& sharing_of(const entity_settings& what);
  void share_what_is_there(const door& of);
  void share_with(session::service_address at, std::uint32_t asked);
  [[nodiscard]] result<void> show(sharing& which, const entity_settings& to);
  [[nodiscard]] result<void> renew(sharing& which, const entity_settings& first);
  void look_after(sharing& which);
  void close_entity(const std::shared_ptr<door>& which);
  [[nodiscard]] result<listening> listen(const entity_settings& what);
  void came(door& which, std::shared_ptr<stream> carrier);
  void turned_away(door& from, const error& why);
  void look_after(const std::shared_ptr<door>& which);

  // control_link_owner
  result<void> heard(control_link& from, const codec::sidecar::notice& what) override;
  void over(control_link& which, const error& why) override;
  // session::service_commands
  void tell(session::service_link& to, const codec::sidecar::notice& what) override;
  void end(session::service_link& which, const error& why) override;
  std::string unusable(session::service_address at, std::int64_t process) override;
  void attached(session::service_address at) override;
  void detached(session::service_address at) override;
  // forwarder_events
  void damaged(session::service_address at) override;
  void drained(session::service_address at) override;
  void dropped(session::service_address from, const std::string& why) override;

  void forget(const control_link& which) noexcept;
  void watch_bell(session::service_address where);
  void wait(const std::shared_ptr<bell>& which);
  void look_soon();
  void look();
  void look_again(forwarder::outcome last, time_point now);
  void end_damaged();
  bool is_usable(session::service_address at);
  void look_after(session::service_address at, time_point now);
  void watch_links();
  void watch_links_by(time_point when);
  void finish();
  [[nodiscard]] std::string text(session::service_address at) const;
  [[nodiscard]] const entity_settings& settings_of(std::uint32_t slot) const;
  [[nodiscard]] pipe_view view(const door& of, std::uint32_t index, time_point now) const;

  context& where_;
  settings with_;
  session::service_registry registry_;
  forwarder forward_;
  std::vector<std::shared_ptr<door>> doors_;
  std::vector<missing> missing_;
  std::vector<sharing> sharings_;
  std::list<std::shared_ptr<control_link>> links_;
  std::vector<std::shared_ptr<bell>> bells_;       // of pipes that were native ever since their entity is there
  std::vector<session::service_address> damaged_;  // of this turn
  boost::asio::steady_timer look_timer_, link_timer_, stop_timer_;
  bool looks_ = false;         // a look is under way or will be
  int pauses_ = 1;             // between two looks in vain: in bursts more, as lines are taken from whoever writes them
  time_point busy_at_{};       // when something was forwarded last
  time_point looked_after_{};  // when all pipes were looked after last
  bool watches_ = false;       // the link timer runs
  seldom dropped_line_{std::chrono::seconds(1)};
  std::uint64_t turned_away_ = 0;
  bool closed_ = false;
  std::function<void()> stopped_;  // null: it is not stopping
};

}  // namespace ferry::sidecar
