#pragma once
/// The gateway: clients and servers that reach each other through virtual connections. Source: docs/gateway.md.

#include <ferry/context.hpp>
#include <ferry/error.hpp>
#include <ferry/metrics.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/latency.hpp"
#include "gateway/settings.hpp"
#include "session/virtual_connections.hpp"

namespace ferry::gateway {

struct counts {
  std::uint64_t clients = 0;           ///< there now
  std::uint64_t servers = 0;           ///< there now
  std::uint64_t arriving = 0;          ///< servers that have not proved themselves yet
  std::uint64_t clients_accepted = 0;  ///< ever, as what follows
  std::uint64_t servers_accepted = 0;
  std::uint64_t turned_away = 0;  ///< above a limit
  std::uint64_t wrong_proofs = 0;
  std::uint64_t breaches = 0;   ///< members closed because they broke the protocol
  std::uint64_t idle = 0;       ///< members closed because nothing came
  std::uint64_t slow = 0;       ///< members closed because they did not read
  std::uint64_t forwarded = 0;  ///< packets handed on
  std::uint64_t forwarded_bytes = 0;
  std::uint64_t forwarded_from_servers = 0;  ///< of these packets, those that servers sent
  std::uint64_t forwarded_bytes_from_servers = 0;
  std::uint64_t batches = 0;    ///< what a turn brought a member, or large packets that came together
  std::uint64_t writes = 0;     ///< to streams of members, that sent them
  std::uint64_t held_back = 0;  ///< times that a client had to wait for a server
  std::size_t connections = 0;  ///< virtual ones, now
  session::virtual_connection_counts dials;
  resume_counts resumable;  ///< streams that outlive their connections
};

/// One member, for operators.
struct member_view {
  session::gateway_role role = session::gateway_role::client;
  std::uint32_t id = 0;
  std::string address;
  std::uint32_t connections = 0;  ///< virtual ones
  std::size_t waiting_packets = 0, waiting_bytes = 0;
  duration silent{};            ///< since its last packet
  duration blocked{};           ///< in all, what waited for it could not be sent for so long
  duration held{};              ///< in all, it was not read for so long, because it waited for others
  bool is_without_one = false;  ///< its stream waits for another connection
};

/// When the members of a gateway that stops leave.
enum class leaving : std::uint8_t {
  together,    ///< when the last virtual connection of all has ended
  one_by_one,  ///< each one when it has none: somebody else listens in this one's place, where it can go
};

/// Runs on the context's io_context, and on threads of its own if the settings ask for more than one. Members are
/// called on the thread that turns that io_context; they may wait for the other threads, for as long as one turn of an
/// event loop takes. The context must outlive it.
class service {
 public:
  /// Listens for both. @return as of doors::open | bad_option: so many threads cannot be
  /// | busy: the system gives no thread
  [[nodiscard]] static result<service> open(context& where, const settings& with);
  /// Whether open() could listen at all URLs, as far as that shows without listening. @return as of doors::check
  [[nodiscard]] static result<void> check(const context& where, const settings& with);
  service(service&&) noexcept;
  service& operator=(service&&) noexcept;
  /// Closes everything at once.
  ~service();

  /// "tcp://0.0.0.0:40123", with the ports that were bound, in the order of the settings.
  [[nodiscard]] std::vector<std::string> urls(session::gateway_role of) const;
  [[nodiscard]] std::string client_url() const { return urls(session::gateway_role::client).front(); }
  [[nodiscard]] std::string server_url() const { return urls(session::gateway_role::server).front(); }
  [[nodiscard]] counts stats() const;

  /// Those who have logged in. @param most  of them
  [[nodiscard]] std::vector<member_view> members(std::size_t most) const;
  /// What waits for all of them: packets, bytes.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> waiting() const;
  /// What the contexts of all threads list; of several threads each has a label `thread`.
  [[nodiscard]] std::vector<metric_sample> metrics() const;
  /// How long packets were under way, by thread.
  [[nodiscard]] std::vector<latency_buckets> forward_latency() const;
  /// Of which all threads take.
  [[nodiscard]] const buffer_pool& buffers() const noexcept;
  [[nodiscard]] bool is_stopping() const noexcept;
  /// From now on these settings hold: limits, times, keys, what happens when a queue is full. Members stay, also above
  /// a limit. What keep_until_next_start() names stays as it is.
  void change(const settings& with);

  /// Takes nobody new and refuses dials; when the last virtual connection has ended, or after `within`, tells both ends
  /// of those that are left, closes all and calls `done`, from the event loop.
  void stop(duration within, std::function<void()> done, leaving how = leaving::together);

 private:
  class parts;
  explicit service(std::shared_ptr<parts> made);
  std::shared_ptr<parts> parts_;
};

}  // namespace ferry::gateway
