// Sends numbered orders and counts the answers, each exactly once, whatever dies and however often.
//
//   order_client 'shm://orders?session=persistent&as=alice&dir=/var/lib/alice&reconnect=on' 1000
//
// The state of its transactions is what it has sent and what was answered: an order and "this order was sent" are one
// step, and so are an answer and "this order was booked".
#include <ferry/channel.hpp>
#include <ferry/session.hpp>

#include <cstring>
#include <iostream>
#include <string>
#include <utility>

namespace {

constexpr std::uint64_t k_window = 100;  // orders without an answer

class client {
 public:
  client(ferry::channel exchange, std::uint64_t wanted)
      : exchange_(std::move(exchange)),
        session_(ferry::persistent_session::of(exchange_).value()),
        wanted_(wanted),
        so_far_(committed()) {}

  void start() {
    exchange_.on_message([this](const ferry::message_view& answer) { take(answer); });
    exchange_.on_connect_failure([this](const ferry::error& why) { tell(why.text()); });
    while (something_to_send()) {
      auto step = session_.begin().value();
      step.send(next_order()).value();
      so_far_.sent += 1;
      step.set_state(state()).value();
      step.commit().value();
    }
    if (so_far_.booked >= wanted_) exchange_.cut();  // nothing is left to do
  }
  [[nodiscard]] std::uint64_t booked() const { return so_far_.booked; }
  [[nodiscard]] bool wrong() const { return wrong_; }

 private:
  struct progress {
    std::uint64_t sent = 0;
    std::uint64_t booked = 0;
  };

  // The same is not told at each attempt.
  void tell(const std::string& why) {
    if (std::exchange(told_, why) != why) std::cerr << why << '\n';
  }

  // Called inside a transaction: the answer, the next order and the new state become one step when it returns.
  void take(const ferry::message_view& answer) {
    so_far_ = committed();
    if (answer.text() != "booked " + order(so_far_.booked + 1)) {
      std::cerr << "order " << so_far_.booked + 1 << ": answered with '" << answer.text() << "'\n";
      wrong_ = true;
      return exchange_.cut();
    }
    so_far_.booked += 1;
    if (something_to_send()) {
      exchange_.try_send(next_order()).value();
      so_far_.sent += 1;
    }
    session_.set_state(state()).value();
    if (so_far_.booked == wanted_) exchange_.async_close([](ferry::error_code, const ferry::close_report&) {});
  }

  [[nodiscard]] bool something_to_send() const {
    return so_far_.sent < wanted_ && so_far_.sent - so_far_.booked < k_window;
  }
  static std::string order(std::uint64_t number) { return std::to_string(number) + " buy 100 ACME"; }
  [[nodiscard]] std::string next_order() const { return order(so_far_.sent + 1); }

  [[nodiscard]] progress committed() const {
    progress kept;
    const ferry::bytes state = session_.state();
    if (state.size() == sizeof kept) std::memcpy(&kept, state.data(), sizeof kept);
    return kept;
  }
  [[nodiscard]] ferry::bytes state() const { return std::as_bytes(std::span(&so_far_, 1)); }

  ferry::channel exchange_;
  ferry::persistent_session session_;
  std::uint64_t wanted_;
  progress so_far_;
  bool wrong_ = false;
  std::string told_;
};

int send_orders(const std::string& url, std::uint64_t count) {
  boost::asio::io_context io;
  ferry::context where(io);
  auto opened = ferry::channel::open(where, url);
  if (!opened) {
    std::cerr << opened.error().text() << '\n';
    return 1;
  }
  client trader(std::move(*opened), count);
  trader.start();
  io.run();  // until the channel is closed
  std::cout << trader.booked() << " orders are booked" << std::endl;
  return !trader.wrong() && trader.booked() >= count ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string count = argc == 3 ? argv[2] : "";
  if (!count.empty() && count.find_first_not_of("0123456789") == count.npos)
    return send_orders(argv[1], std::stoull(count));
  std::cerr << "usage: order_client URL COUNT\n";
  return 2;
} catch (const std::exception& why) {
  std::cerr << why.what() << '\n';
  return 1;
}
