#pragma once
/// Takes messages out of the rings of some instances, and puts them into those of others. Source: docs/sidecar.md.
///
/// One message at a time of each pipe, so that what one instance sends to another one stays in order. A message that
/// finds no room stays in the sender's ring, and what is behind it waits too, for `hold` at most; from then on a
/// receiver that still has no room, or is still not there, is waited for no more until it has, or is.

#include <ferry/error.hpp>
#include <ferry/service_message.hpp>
#include <ferry/sidecar.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "session/service_routes.hpp"
#include "sidecar/message_forms.hpp"
#include "sidecar/pipe.hpp"

namespace ferry::sidecar {

/// What the forwarder tells its owner. Must not call it.
class forwarder_events {
 public:
  /// What lies in the pipe's files cannot be; it is damaged from now on.
  virtual void damaged(session::service_address at) = 0;
  /// Everything that an instance wrote before it went has been read.
  virtual void drained(session::service_address at) = 0;
  /// For the log: what was dropped, and why.
  virtual void dropped(session::service_address from, const std::string& why) = 0;

 protected:
  ~forwarder_events() = default;
};

struct forwarder_counts {
  std::uint64_t forwarded = 0;     ///< copies that were written
  std::uint64_t passed_on = 0;     ///< of these, whole messages that went the short way
  std::uint64_t shared = 0;        ///< bodies that were put where several receivers find them
  std::uint64_t references = 0;    ///< copies that were written as references to these
  std::uint64_t returned = 0;      ///< undeliverable ones that went back to their senders
  std::uint64_t not_returned = 0;  ///< those that found no room there either
  std::array<std::uint64_t, session::k_unroutable_kinds> undeliverable{};  ///< copies, by the reason
};

class forwarder {
 public:
  static constexpr int k_messages_a_turn = 64;  ///< of one pipe; then the next one has its turn

  /// All must outlive it. @param with  may change meanwhile
  forwarder(const session::service_routes& routes, const settings& with, forwarder_events& events);
  ~forwarder();
  forwarder(const forwarder&) = delete;
  forwarder& operator=(const forwarder&) = delete;

  /// The pipes of an entity. @param slot  as of service_routes
  void add(std::uint32_t slot, std::vector<std::unique_ptr<pipe>> pipes);
  void remove(std::uint32_t slot) noexcept;
  [[nodiscard]] pipe& at(session::service_address where) noexcept;
  [[nodiscard]] const pipe& at(session::service_address where) const noexcept;

  /// An instance is there; from now on what it writes is read. @param rings  that it asks for
  void begin(session::service_address where, std::uint32_t rings);
  /// It writes to its native ring from now on.
  void switched(session::service_address where) noexcept;
  /// Its bell was rung: what it writes is looked at again.
  void wake(session::service_address where) noexcept;
  void wake_all() noexcept;
  /// Its files cannot be used any more: it is damaged from now on, as if that had been found while they were read.
  void give_up(session::service_address where, const std::string& why) { damage(lane_at(where), why); }
  /// It has gone; what it wrote is read to its end.
  void drain(session::service_address where);

  enum class outcome : std::uint8_t {
    idle,  ///< nothing was there
    held,  ///< what was there has to wait
    busy,  ///< something was forwarded, or dropped
  };
  /// Looks once at each pipe that is read, but for those that sleep until their bell is rung: native ones, when nothing
  /// was there for `spin`. @param now_ms  since 1970
  outcome turn(time_point now, std::uint64_t now_ms);
  /// The part of it that is most of it: what goes the short way, and nothing else. @return how many messages did
  [[nodiscard]] int short_turn(std::uint64_t now_ms);

  /// Whether turn() would find something to do, as far as can be told without the time.
  [[nodiscard]] bool something() const noexcept;
  /// Whether there is one to look at.
  [[nodiscard]] bool has_pipes() const noexcept { return !active_.empty(); }
  [[nodiscard]] const forwarder_counts& counts() const noexcept { return counts_; }

 private:
  struct lane;   // a pipe, and what the message at its front waits for
  struct place;  // the lanes of an entity
  struct way;    // to the main instance of an entity

  [[nodiscard]] lane& lane_at(session::service_address where) const noexcept;
  outcome turn_of(lane& from, time_point now, std::uint64_t now_ms);
  [[nodiscard]] int pass_on(lane& from, int most, std::uint64_t now_ms);
  [[nodiscard]] const way* way_to(std::uint32_t entity, std::uint64_t set_version);
  void forget_ways() noexcept;
  outcome bring_left(lane& to);
  [[nodiscard]] bool bring(lane& to, const ring_message& what);
  [[nodiscard]] bool forward(lane& from, const ring_message& what, time_point now);
  void look_at(lane& which);
  void rest(time_point now);
  [[nodiscard]] result<void> understand(const lane& from, const ring_message& what);
  void resolve(lane& from, time_point now);
  void resolve_rest(lane& from);
  void await_rest_of(const to_all& whom, const lane& from, time_point now);
  [[nodiscard]] std::optional<std::uint32_t> wanted_pipe(const lane& from);
  [[nodiscard]] bool is_put_off(const lane& from, const session::undelivered& one, time_point now);
  [[nodiscard]] static bool is_expected(lane& there, time_point now);
  [[nodiscard]] bool is_expected(std::uint32_t slot, const lane& asks, time_point now);
  [[nodiscard]] bool deliver(lane& from, const ring_message& what, time_point now);
  void announce_body() noexcept;
  [[nodiscard]] bool write_reference(lane& there, const formed_message& what);
  [[nodiscard]] bool write_to(lane& from, session::service_address to, const ring_message& what);
  [[nodiscard]] result<formed_message> formed_for(service_rings kind, const ring_message& what);
  [[nodiscard]] bool has_waited(const lane& from, time_point now) const noexcept;
  void hold(lane& from, const ring_message& what, time_point now);
  void report_undelivered(lane& from, const ring_message& what);
  bool give_back(lane& to, const ring_message& what, const session::undelivered& why, bool has_room);
  void damage(lane& which, const std::string& why);
  void stop_reading(lane& which) noexcept;
  [[nodiscard]] std::uint64_t next_chance() noexcept;

  const session::service_routes& routes_;
  const settings& with_;
  forwarder_events& events_;
  std::vector<std::unique_ptr<place>> places_;  // by slot; null: none
  std::vector<lane*> active_;                   // those that are read
  std::vector<lane*> round_;                    // of one turn
  std::size_t first_ = 0;                       // whose turn is first
  std::uint64_t chance_;
  std::vector<lane*> tired_;  // of one turn
  static constexpr std::size_t k_ways = 256;
  std::vector<way> ways_;          // k_ways, by entity, of which several have one place
  std::uint64_t ways_are_of_ = 0;  // of routes_
  // Of the message in hand; the sender cannot change what was copied.
  message_reader reader_;
  message_former former_;
  service_route route_;                       // what it says
  std::optional<formed_message> translated_;  // for rings of the other kind; none: it was not needed yet
  std::vector<session::service_address> to_;
  std::vector<session::undelivered> not_to_;
  std::vector<std::uint32_t> later_;  // entities
  std::uint64_t message_ = 0;         // its number, as for shared_bodies
  forwarder_counts counts_;
};

}  // namespace ferry::sidecar
