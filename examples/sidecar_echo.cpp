// A service beside a sidecar, which answers every message with the same: sidecar_echo DIRECTORY SERVICE ENTITY
#include <ferry/sidecar.hpp>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: sidecar_echo DIRECTORY SERVICE ENTITY\n";
    return 2;
  }
  boost::asio::io_context io;
  ferry::context where(io);

  ferry::service_options with;
  with.directory = argv[1];  // of the sidecar for this service
  with.number = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
  with.entity = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10));
  auto made = ferry::service::make(where, with);
  if (!made) {
    std::cerr << made.error().text() << '\n';
    return 2;
  }
  auto& service = *made;
  service.on_message([&](const ferry::service_message& asked) {
    (void)service.reply(asked, {.client_sequence = asked.package.client_sequence}, asked.body);
  });
  service.on_registered([](const ferry::service_registration&) { std::cout << "ready" << std::endl; });
  service.on_failed([](const ferry::error& why) { std::cerr << why.text() << '\n'; });
  if (const auto started = service.start(); !started) {
    std::cerr << started.error().text() << '\n';
    return 1;
  }

  boost::asio::signal_set stop(io, SIGINT, SIGTERM);
  stop.async_wait([&](const boost::system::error_code&, int) { service.async_stop([](ferry::error_code) {}); });
  io.run();
}
