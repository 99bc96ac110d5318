// Polls rings in shared memory: no event loop, no system call per message.
//   example_ring_ping shm://NAME server      answers until the peer ends
//   example_ring_ping shm://NAME             asks 10000 times and tells the time of one round trip
#include <ferry/ring.hpp>

#include <chrono>
#include <iostream>
#include <string_view>

using namespace std::chrono_literals;

static void serve(ferry::ring_connection peer) {
  while (peer.wait(24h)) {
    const auto record = peer.front();
    if (!record) break;  // the peer has ended, or died
    while (!peer.try_push(record.body()) && peer.wait_for_room(1s)) {
    }
    peer.pop();
  }
  peer.end();
}

int main(int argc, char** argv) {
  if (argc < 2) return 0;
  ferry::options with;
  with.spin = 1ms;
  if (argc > 2) {
    auto peer = ferry::ring_listener::open(argv[1], with).accept();
    serve(std::move(*peer));
    return 0;
  }
  auto peer = ferry::ring_connection::connect(argv[1], with);
  constexpr int k_trips = 10'000;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < k_trips; ++i) {
    if (!peer.try_push(ferry::as_bytes(std::string_view("ping"))) || !peer.wait(1s) || !peer.front()) return 1;
    peer.pop();
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  std::cout << took.count() / k_trips << " ns a round trip\n";
  peer.end();
}
