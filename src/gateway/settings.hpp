#pragma once
/// How a gateway is set up. Source of names and defaults: docs/gateway.md.

#include <ferry/options.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "gateway/address_book.hpp"
#include "gateway/client_check.hpp"
#include "gateway/resumable.hpp"
#include "gateway/server_keys.hpp"

namespace ferry::gateway {

/// What happens when a send queue is full.
enum class overflow : std::uint8_t {
  close,  ///< whoever does not read is closed
  pause,  ///< a client is not read until the server takes more; a client that does not read is closed still, for a
          ///< server that waited for it would keep all its other clients waiting
};

inline constexpr std::uint32_t k_most_threads = 256;

/// Of all clients, or of all servers.
struct side_settings {
  std::string url;                 ///< where they arrive: tcp, ipc, tls, ws, wss, shm; several: with blanks between
  std::string options;             ///< of those URLs: "name=value", several with blanks between
  std::size_t buffer_size = 2048;  ///< bytes that are read at once, kept for each connection; 64 at least
  duration idle_timeout = std::chrono::seconds(30);  ///< without a packet, then closed; 0: never
  std::size_t send_queue = 1000;                     ///< packets that may wait for one of them
  std::size_t send_queue_bytes = 16u << 20;          ///< bytes of them; one packet may always wait
  resume_settings resume;                            ///< of tcp, ipc and tls
  address_limits per_address{};                      ///< of one address of the network
};

struct settings {
  std::uint32_t threads = 1;                      ///< that it runs on, 1 .. k_most_threads
  std::uint32_t max_packet = 512 * 1024;          ///< largest `length` of a packet
  bool reuse_port = false;                        ///< several gateways may listen on one port
  duration spin = std::chrono::microseconds(50);  ///< how long each thread looks for more before it sleeps, if it pays
  side_settings clients{.url = "tcp://*:0"};
  side_settings servers{.url = "tcp://*:0",
                        .buffer_size = 65536,
                        .send_queue = 100'000,
                        .send_queue_bytes = 64u << 20,
                        .resume = {.stream = {.history_bytes = 1u << 20}},
                        .per_address = {.max_failures = 10}};
  client_check_settings check;              ///< of clients, before they are members
  std::uint32_t client_max_conn = 16;       ///< virtual connections of a client; above: its dials are refused
  std::uint32_t max_connections = 1 << 20;  ///< virtual connections of all
  std::uint32_t max_members = 1 << 16;      ///< clients and servers; above: closed as they come
  std::uint32_t max_arriving = 1024;        ///< servers that have not proved themselves; above: closed as they come
  std::string server_key;                   ///< what servers prove that they know
  std::vector<gateway::server_key> server_keys;      ///< if there are some: these instead
  login_kind login = login_kind::any;                ///< how servers may prove it
  bool connect_address = false;                      ///< Connect tells a server the address of the client that dials
  duration login_timeout = std::chrono::seconds(5);  ///< for that
  bool unpredictable_numbers = false;                ///< of virtual connections; else they count from 1
  std::uint32_t first_client = 1;                    ///< ID where counting clients begins
  std::uint32_t first_connection = 1;                ///< number where counting virtual connections begins
  std::uint32_t last_connection = UINT32_MAX;        ///< and after which it begins again; half of them at a time
  overflow when_full = overflow::close;
  std::uint64_t history_memory = 2ull << 30;  ///< bytes that the histories of resumable streams grow by, all together
};

}  // namespace ferry::gateway
