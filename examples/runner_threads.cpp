// Blocking calls from two threads of your own; a third, the runner's, does the I/O.
//
//   runner_threads listen ipc:///tmp/numbers.sock
//   runner_threads connect ipc:///tmp/numbers.sock COUNT   sends COUNT numbers, adds up what comes back
#include <ferry/blocking.hpp>

#include <cstdlib>
#include <future>
#include <iostream>
#include <string>

namespace {

int listen(const std::string& url) {
  ferry::runner runner;
  auto arrivals = ferry::listen(url, {}, &runner);
  std::cout << "listening on " << arrivals.url() << std::endl;
  auto peer = arrivals.accept();
  while (auto message = peer.receive()) peer.send(message->payload());
  const auto left = peer.close();
  return left.messages_unsent == 0 ? 0 : 1;
}

int connect(const std::string& url, std::uint64_t count) {
  ferry::runner runner;
  auto link = ferry::connect(url, {}, &runner);

  // One thread may send while another receives; who sends waits while the queue is full.
  auto sent = std::async(std::launch::async, [&] {
    for (std::uint64_t i = 1; i <= count; ++i) link.send(std::to_string(i));
  });
  std::uint64_t messages = 0;
  std::uint64_t sum = 0;
  while (messages < count) {
    const auto message = link.receive();
    if (!message) break;
    messages += 1;
    sum += std::strtoull(std::string(message->text()).c_str(), nullptr, 10);
  }
  sent.get();
  std::cout << messages << " messages, sum " << sum << std::endl;
  return messages == count ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string how = argc > 2 ? argv[1] : "";
  if (how == "listen") return listen(argv[2]);
  if (how == "connect" && argc > 3) return connect(argv[2], std::strtoull(argv[3], nullptr, 10));
  std::cerr << "usage: runner_threads listen URL | runner_threads connect URL COUNT\n";
  return 2;
} catch (const ferry::failure& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
