#include <ferry/blocking.hpp>

#include <chrono>
#include <iostream>

int main() {
  using namespace std::chrono_literals;
  ferry::runner thread;
  auto server = ferry::listen("tcp://127.0.0.1:0", {}, &thread);
  auto client = ferry::connect(server.url(), {}, &thread);
  client.send("over the water");
  auto arrived = server.accept(60s);
  const auto message = arrived.receive(60s);
  std::cout << (message ? message->text() : "nothing") << '\n';
  return message && message->text() == "over the water" ? 0 : 1;
}
