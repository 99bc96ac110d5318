// Values instead of bytes: a format says how they lie in messages. Prints "sensor 3: 21.5" and "too short".
#include <ferry/formatted.hpp>
#include <ferry/listener.hpp>

#include <cstring>
#include <iostream>

namespace {

struct reading {
  std::uint32_t sensor = 0;
  float degrees = 0;
};

// Both ends run on one machine here, so its order of bytes will do.
ferry::message_format<reading> format() {
  return {[](const reading& what, std::vector<std::byte>& into) -> ferry::result<void> {
            into.resize(sizeof what);
            std::memcpy(into.data(), &what, sizeof what);
            return {};
          },
          [](ferry::bytes message) -> ferry::result<reading> {
            reading what;
            if (message.size() != sizeof what) return ferry::error(ferry::errc::protocol, "too short");
            std::memcpy(&what, message.data(), sizeof what);
            return what;
          }};
}

void print(const ferry::result<reading>& came) {
  if (came)
    std::cout << "sensor " << came->sensor << ": " << came->degrees << '\n';
  else
    std::cout << came.error().text() << '\n';
}

}  // namespace

int main() {
  boost::asio::io_context io{1};
  ferry::context where(io);
  auto door = ferry::listener::open(where, "inproc://readings").value();
  ferry::formatted_channel<reading> there;
  door.on_channel([&](ferry::channel one) {
    there = {std::move(one), format()};
    there.on_value(print);
    there.base().on_down([&](const ferry::down_info&) { io.stop(); });
  });

  ferry::formatted_channel<reading> here(ferry::channel::open(where, "inproc://readings").value(), format());
  if (!here.try_send({3, 21.5f})) return 1;
  if (!here.base().try_send("no reading")) return 1;
  here.base().half_close();
  io.run();
}
